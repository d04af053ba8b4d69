"""The boards of this benchmark: network namespaces with shaped links between them, all of this machine's processor for each.

Their names and networks are the benchmark's own, so what a crash has left of them is nobody else's and goes before the next
run. While they are up a guard (``boards_guard.py``) waits for this process's end, whatever that is.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from bench.cluster.network_links import load_link
from bench.common.paths import PROJECT, conf_folders
from bench.common.user_error import UserError
from bench.config.host_config import Host
from bench.config.testbed_config import Board, Link, Testbed
from bench.emulation import kernel_network, lifecycle, network_commands
from bench.emulation.state_files import Lock
from bench.launch.mpirun import own_environment
from bench.launch.supervised_process import RUN_ID

ALIASES = {"1gbit": "ethernet-1g", "100mbit": "ethernet-100m"}
RATE = re.compile(r"^(\d+(?:\.\d+)?)(mbit|gbit|tbit)$")
UNITS = {"mbit": 1e6, "gbit": 1e9, "tbit": 1e12}
NEAR = 0.01
"""Relative: the kernel counts bytes per second in whole numbers."""
MOST_BOARDS = 16


def link_of(word: str) -> Link:
    """A link by the word of the command line.

    Args:
        word: ``1gbit``, ``50mbit``, or a file of ``conf/link``.

    Returns:
        The link, named by the word. Its delay is not emulated.

    Raises:
        UserError: It is neither.
    """
    match = RATE.match(word)
    if word not in ALIASES and match:
        rate = float(match[1]) * UNITS[match[2]]
        if rate < UNITS["mbit"]:
            raise UserError(f"--rate {word} is below 1mbit, where a step would take hours; use at least 1mbit")
        return Link(word, rate)
    try:
        described = load_link(ALIASES.get(word, word), conf_folders("link"))
    except UserError as error:
        raise UserError(f"--rate {word} is neither a rate such as 1gbit or 100mbit nor a link of conf/link ({error})") from None
    return Link(word, described.rate_bit_s.value)


def testbed_of(boards: int, link: Link) -> Testbed:
    """Boards in a star, not limited in processor and memory.

    Args:
        boards: How many.
        link: Of each of them to the switch.

    Returns:
        The testbed.

    Raises:
        UserError: It is no number of boards.
    """
    if not 2 <= boards <= MOST_BOARDS:
        raise UserError(f"--boards {boards} must be from 2 to {MOST_BOARDS}")
    network = f"10.77.{100 + boards}"
    each = [Board(f"peer-{number}", f"{network}.{number}", "this-machine", link) for number in range(1, boards + 1)]
    return Testbed(f"peers{boards}", f"{network}.0/24", tuple(each), None, os.cpu_count() or 1, None)


def hosts_of(testbed: Testbed) -> list[Host]:
    """The boards as hosts of a job, one rank on each.

    Args:
        testbed: The boards.

    Returns:
        A host for each.
    """
    return [Host(board.address, 1, name=board.name) for board in testbed.boards]


@contextmanager
def boards_up(testbed: Testbed, run_id: str) -> Iterator[None]:
    """Boards for the time of the context, checked against what the kernel says of their links.

    Args:
        testbed: The boards.
        run_id: Of the ranks that will run on them.

    Yields:
        Nothing. Boards that an earlier run had left because it was killed are removed first, with a line on stderr.

    Raises:
        UserError: This machine cannot, somebody works with them, or the kernel shapes the links to another rate.
    """
    kernel_network.check_machine(testbed)
    with Lock(testbed.name), guarded(run_id, [testbed.name]):
        if lifecycle.down(testbed.name):
            print(f"note: boards of {testbed.name} that a killed run had left were taken down", file=sys.stderr, flush=True)
        try:
            try:
                lifecycle.up(testbed)
            except UserError as error:
                reason = str(error).split("; try ")[0]  # down and up, which this does
                raise UserError(f"this machine cannot emulate links of {testbed.boards[0].link.name}: {reason}") from None
            check_shaped(testbed)
            yield
        finally:
            lifecycle.down(testbed.name)


def check_shaped(testbed: Testbed) -> None:
    """Compare the boards' links with what the kernel says.

    Args:
        testbed: Boards that are up.

    Raises:
        UserError: It holds one of them to another rate.
    """
    for shaper in network_commands.shapers(testbed):
        asked, held = shaper.link.rate_bit_s, kernel_network.rate_bit_s(shaper.namespace, shaper.device)
        if held is None or abs(held - asked) > NEAR * asked:
            found = "no rate" if held is None else f"{held:.4g} bit/s"
            raise UserError(f"the kernel cannot shape a link to {shaper.link.name} ({asked:.4g} bit/s): it made {found} of it")


@contextmanager
def guarded(run_id: str, testbeds: list[str]) -> Iterator[None]:
    """A process beside this one that ends the ranks and takes down the boards where this one can no longer do it.

    Args:
        run_id: Of the ranks.
        testbeds: Names of boards.

    Yields:
        Nothing.
    """
    environment = {key: value for key, value in own_environment().items() if key != RUN_ID}
    guard = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.peers.starting.boards_guard", run_id, *testbeds],
        stdin=subprocess.PIPE,
        cwd=PROJECT,
        env=environment,
        start_new_session=True,
        text=True,
    )
    try:
        yield
    finally:
        guard.communicate("over\n")
