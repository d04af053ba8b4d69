"""Hosts over ssh for real: OpenSSH in two network namespaces, its client here, rsync, and the daemons of mpirun between them.

They are no other machines: they have the kernel and the files of this one. What ``push`` brings arrives on a file system
that only its host sees.
"""

from __future__ import annotations

import json
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.common.paths import PROJECT
from bench.emulation import lifecycle
from bench.emulation.state_files import agent_command
from bench.testbed import testbed_command
from tests.bench.emulation.real_boards import Boards
from tests.command_line import environment

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/bin:/sbin")
MISSING = [name for name, there in (("openssh-server", SSHD), ("rsync", shutil.which("rsync"))) if not there]
pytestmark = [pytest.mark.machine, pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")]
TINY = (
    "model=gpt2-tiny",
    "task=lm",
    "energy=none",
    "train.batch=8",
    "train.seq=16",
    "train.steps=6",
    "window_s=0.2",
    "idle_s=0.1",
)


@dataclass(frozen=True)
class Shelf:
    """Two hosts that are reached over ssh alone: ``words`` choose them on a command line run in ``folder``."""

    folder: Path
    words: list[str]
    environment: dict[str, str]
    addresses: list[str]

    def run(self, module: str, *words: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", module, *words, *self.words]
        return subprocess.run(line, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=200)

    def ssh(self, number: int, *words: str) -> str:
        line = ["ssh", self.addresses[number], shlex.join(words)]
        return subprocess.run(line, env=self.environment, capture_output=True, text=True, timeout=30, check=True).stdout


@contextmanager
def shelf(folder: Path, before: Sequence[str] = ()) -> Iterator[Shelf]:
    """Two hosts with an ssh server each; ``before`` goes in front of the server's command."""
    with Boards.of(folder, 2, more=", compute: unlimited") as boards, ExitStack() as stack:
        testbed = testbed_command.testbed_of(boards.words)[0]
        lifecycle.up(testbed)
        addresses = [boards.address(number) for number in (1, 2)]
        keys(folder, addresses)
        for number, address in enumerate(addresses, 1):
            config = folder / f"sshd{number}.conf"
            config.write_text(
                f"ListenAddress {address}\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/user.pub\nPidFile none\n"
                "PasswordAuthentication no\nStrictModes no\nUsePAM no\n"
            )
            command = shlex.join([*before, str(SSHD), "-D", "-f", str(config)])
            server = subprocess.Popen([*shlex.split(agent_command(boards.name)), address, f"exec {command}"])
            stack.callback(server.wait)
            stack.callback(server.terminate)
        for address in addresses:
            answers(address)
        inventory = folder / "hosts.yaml"
        hosts = (f"  - {{name: b{n}, address: {a}, threads: 1, link: ethernet-1g}}\n" for n, a in enumerate(addresses, 1))
        inventory.write_text(f"hosts:\n{''.join(hosts)}")
        variables = environment()
        variables["PATH"] = f"{folder}/bin:{variables['PATH']}"
        words = ["cluster=two-boards", f"cluster.hostfile={inventory}", f"cluster.interface={boards.network}"]
        yield Shelf(folder, words, variables, addresses)


def keys(folder: Path, addresses: Sequence[str]) -> None:
    """Keys of the hosts and of the user, known hosts, and the client with that configuration, first in PATH."""
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    public = " ".join((folder / "host.pub").read_text().split()[:2])
    (folder / "known").write_text("".join(f"{address} {public}\n" for address in addresses))
    (folder / "client.conf").write_text(
        f"IdentityFile {folder}/user\nIdentitiesOnly yes\nUserKnownHostsFile {folder}/known\nStrictHostKeyChecking yes\n"
    )
    client = folder / "bin/ssh"
    client.parent.mkdir()
    client.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {folder}/client.conf "$@"\n')
    client.chmod(0o755)
    Path("/run/sshd").mkdir(exist_ok=True)  # the server wants this folder


def answers(address: str) -> None:
    """Wait until the server listens."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            socket.create_connection((address, 22), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"no ssh server at {address}")


def test_the_doctor_and_a_point_over_ssh(tmp_path: Path) -> None:
    """Both hosts are reached, compared and measured, and a point trains on them with the traffic of the plan."""
    with shelf(tmp_path) as hosts:
        done = hosts.run("bench.doctor", "cluster")
        assert "FAIL" not in done.stdout, done.stdout + done.stderr
        for words in (
            "b1: reached over ssh without a password",
            "b2: reached over ssh",
            "Open MPI 5 started 2 ranks on 2 host(s)",
        ):
            assert words in done.stdout, done.stdout
        done = hosts.run("bench", "strategy=data", "ranks=2", *TINY)
        assert done.returncode == 0, done.stdout + done.stderr
        (path,) = tmp_path.glob("results/*/*/result.json")
        record = json.loads(path.read_text())
        assert record["status"] == "ok"
        assert [rank["processor"] for rank in record["environment"]["ranks"]] == ["b1", "b2"]
        assert record["traffic"]["payload_bytes"] == record["traffic"]["theory_bytes"]
        network = record["point"]["network"]
        assert (network["kind"], [link["rate_bit_s"] for link in network["links"]]) == ("stated", [1e9, 1e9])
        assert "ssh_agent" not in record["environment"]["command"]


def test_an_unknown_key_is_one_line(tmp_path: Path) -> None:
    with shelf(tmp_path) as hosts:
        (tmp_path / "known").write_text("")
        done = hosts.run("bench.doctor", "cluster")
        assert done.returncode == 1
        assert f"its host key is not accepted yet; run once by hand: ssh {hosts.addresses[0]} true" in done.stdout


def test_push_brings_the_project(tmp_path: Path) -> None:
    """To hosts whose folder of the project is an empty file system of their own."""
    hide = shlex.join(["mount", "-t", "tmpfs", "none", str(PROJECT)])
    with shelf(tmp_path, before=("unshare", "--mount", "sh", "-c", f'{hide} && exec "$0" "$@"')) as hosts:
        assert hosts.ssh(0, "ls", str(PROJECT)) == ""
        done = hosts.run("bench.doctor", "push", "model=gpt2-tiny")
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.count("PASS") == 2 + 1  # each host, and the sum
        for number in (0, 1):
            assert (
                hosts.ssh(number, "cat", str(PROJECT / "bench/run/worker.py")) == (PROJECT / "bench/run/worker.py").read_text()
            )
            assert ".git" not in hosts.ssh(number, "ls", "-a", str(PROJECT)).split()
        assert hosts.ssh(0, "hostname") == "b1\n"
