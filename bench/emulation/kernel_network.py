"""This machine's side of a testbed: running ``ip`` and ``tc``, and what the kernel says is there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.common.user_error import UserError
from bench.config.testbed_config import Testbed
from bench.emulation import PREFIX, network_commands
from bench.emulation.state_files import NAMESPACES

TOOLS = ("ip", "tc")
WAIT_S = 5.0


def check_machine(testbed: Testbed) -> None:
    """Check that this machine can emulate a testbed. Changes nothing.

    Args:
        testbed: The boards and their links.

    Raises:
        UserError: It cannot: no root, a tool or a module of the kernel is missing; the message says what to do.
    """
    name = testbed.name
    check_root(name)
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        raise UserError(f"cluster {name} needs {missing[0]}, which is not installed; install the package iproute2")
    why_not = try_out(["tbf", "rate", "1gbit", "burst", "32kb", "latency", "50ms"])
    if why_not is not None:
        raise UserError(f"cluster {name} cannot limit rates here ({why_not}); it needs root and the kernel's tbf (sch_tbf)")
    link = network_commands.needs_netem(testbed)
    if link is not None and (why_not := try_out(["netem", "delay", "1ms"])) is not None:
        what = f"cluster.link_delay_s={link.delay_s}" if link.delay_s else f"the loss of link {link.name}"
        raise UserError(
            f"{what} needs the kernel's netem (sch_netem), which this one has not ({why_not}); leave it out, or use a kernel "
            "with it"
        )


def check_root(name: str) -> None:
    """Check that this process is root.

    Args:
        name: The cluster's name, for messages.

    Raises:
        UserError: It is not.
    """
    if os.geteuid() != 0:
        raise UserError(
            f"cluster {name} needs root for network namespaces and control groups; run as root (sudo), or use cluster=local"
        )


def try_out(queue: Sequence[str]) -> str | None:
    """Try whether this kernel can shape with a queue, in a namespace that nobody sees.

    Args:
        queue: The queue as words of ``tc qdisc add``.

    Returns:
        Why it cannot; None where it can.
    """
    words = ["unshare", "--net", "tc", "qdisc", "add", "dev", "lo", "root", *queue]
    try:
        done = subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    except OSError as error:
        return str(error)
    return None if done.returncode == 0 else first_line(done.stderr).removeprefix("Error: ").rstrip(".")


def run(command: network_commands.Command) -> str:
    """Run one command to its end.

    Args:
        command: Its words.

    Returns:
        Its standard output.

    Raises:
        UserError: It fails; the message has the first line of its errors.
    """
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise UserError(f"{' '.join(command)} failed ({first_line(done.stderr)}); try python -m bench.testbed down, then up")
    return done.stdout


def first_line(text: str) -> str:
    """The first line of a program's output that is not blank.

    Args:
        text: The output.

    Returns:
        The line without spaces around it, or ``no output``.
    """
    return next((line.strip() for line in text.splitlines() if line.strip()), "no output")


def present() -> list[str]:
    """Names of the network namespaces of this machine."""
    return sorted(path.name for path in NAMESPACES.iterdir()) if NAMESPACES.is_dir() else []


def has_device(name: str) -> bool:
    """Whether this machine has a network interface.

    Args:
        name: The interface's name.

    Returns:
        False also for one of another namespace.
    """
    return Path("/sys/class/net", name).exists()


def remove_device(name: str) -> None:
    """Remove an interface. One whose other end was in a namespace that is going vanishes by itself, some time later.

    Args:
        name: The interface's name; nothing is done where there is none.

    Raises:
        UserError: The kernel refuses for longer than that takes.
    """
    deadline = time.monotonic() + WAIT_S
    while has_device(name):
        try:
            run(["ip", "link", "del", name])
        except UserError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def addresses() -> list[tuple[str, str]]:
    """(interface, address/length) of this machine, those of testbeds left out."""
    devices: list[dict[str, Any]] = json.loads(run(["ip", "-j", "-4", "addr"]) or "[]")
    return [
        (device["ifname"], f"{info['local']}/{info['prefixlen']}")
        for device in devices
        if device and not device["ifname"].startswith(PREFIX)
        for info in device.get("addr_info", [])
    ]


def rate_bit_s(namespace: str, device: str) -> float | None:
    """The rate at which an interface is held now, as the kernel says.

    Args:
        namespace: The network namespace of the interface.
        device: The interface's name.

    Returns:
        The rate in bit/s; None where it is not held or not there.
    """
    try:
        queues: list[dict[str, Any]] = json.loads(run(["tc", "-n", namespace, "-j", "qdisc", "show", "dev", device]) or "[]")
    except UserError:
        return None
    return next((8.0 * queue["options"]["rate"] for queue in queues if queue["kind"] == "tbf"), None)


def is_whole(testbed: Testbed) -> bool:
    """Whether all of the testbed is there: a crash, or a hand, may have taken or left a part.

    Args:
        testbed: The boards as they were brought up.

    Returns:
        Whether all namespaces, addresses and ports are there.
    """
    if not set(network_commands.namespaces(testbed)) <= set(present()) or not has_device(
        network_commands.launch_device(testbed.name)
    ):
        return False
    try:
        addresses = [
            run(["ip", "-n", network_commands.namespace(testbed.name, b.name), "-4", "addr", "show", "dev", "eth0"])
            for b in testbed.boards
        ]
        ports = json.loads(run(["ip", "-n", network_commands.switch_namespace(testbed.name), "-j", "link"]))
    except UserError:
        return False
    plugged = {port.get("ifname") for port in ports if port.get("master")}
    addressed = all(f" {board.address}/" in text for board, text in zip(testbed.boards, addresses, strict=True))
    return addressed and network_commands.ports(testbed) <= plugged


def pids_in(namespace: str) -> list[int]:
    """Processes in a network namespace, also those that no control group has.

    Args:
        namespace: Its name.

    Returns:
        Their numbers; empty where there is no such namespace.
    """
    try:
        return [int(word) for word in run(["ip", "netns", "pids", namespace]).split()]
    except UserError:
        return []
