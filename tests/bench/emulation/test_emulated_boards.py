"""Emulated boards for real: up, changed, broken, taken down; rates, names and limits as the boards find them. Needs root."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.common.user_error import UserError
from bench.config.testbed_config import Testbed as Spec  # pytest takes a class Test... for tests
from bench.emulation import kernel_network, lifecycle, network_commands
from bench.emulation.cgroups import find_cgroups
from bench.emulation.lease import Lease
from bench.emulation.state_files import STATE, Lock, agent_command, read_state
from bench.testbed import testbed_command
from tests.bench.emulation.real_boards import Boards, nothing_left
from tests.points import make_point

pytestmark = pytest.mark.machine

MIB = 2**20


@pytest.fixture
def boards(tmp_path: Path) -> Iterator[Boards]:
    """Two boards with names of this test run's own, removed whatever happens."""
    with Boards.of(tmp_path, 2) as made:
        yield made


def testbed_of(boards: Boards, *words: str) -> Spec:
    return testbed_command.testbed_of([*boards.words, *words])[0]


testbed_of.__test__ = False  # type: ignore[attr-defined]


def on_board(boards: Boards, index: int, command: str) -> list[str]:
    return [*agent_command(boards.name).split(), boards.address(index), command]


def test_up_status_down(boards: Boards, capsys: pytest.CaptureFixture[str]) -> None:
    """Each can be repeated; what changes is set anew; status tells what the kernel has; down leaves nothing."""

    def run(*words: str) -> str:
        assert testbed_command.main(list(words)) == 0, capsys.readouterr().err
        return capsys.readouterr().out

    first = run("up", *boards.words)
    assert f"{boards.name}: 2 boards are up\n" in first
    assert f"by hand: mpirun --host {boards.address(1)}:1,{boards.address(2)}:1 " in first
    again = run("up", *boards.words, "cluster.link_rate_bit_s=3.0e+7")
    assert "2 boards were up; rates and limits are set" in again
    for text in ("b1", boards.address(2), "raspberry-pi-4", "ethernet-1g", " 30 ", "1.000", "not limited"):
        assert text in again
    rows = lifecycle.status(testbed_of(boards))
    assert [(row.board, row.rate_bit_s, row.processes) for row in rows] == [("b1", 3e7, 0), ("b2", 3e7, 0)]
    assert f"{boards.name}: taken down" in run("down", *boards.words)
    assert nothing_left(boards.name) == []
    assert f"{boards.name}: was not up" in run("down", *boards.words)
    assert f"{boards.name} is not up" in run("status", *boards.words)
    for _ in range(2):  # at once: what a deleted namespace had goes some time later
        run("up", *boards.words)
        run("down", *boards.words)
    assert nothing_left(boards.name) == []


@pytest.mark.parametrize("commands", [1, 4, 7, 11, None])
def test_what_a_crash_left_is_repaired(boards: Boards, commands: int | None) -> None:
    """A start that was broken off after some commands, and a testbed of which a part was lost (None)."""
    testbed = testbed_of(boards)
    if commands is None:
        lifecycle.up(testbed)
        kernel_network.run(["ip", "-n", network_commands.namespace(boards.name, "b2"), "link", "del", "eth0"])
    else:
        for command in network_commands.create(testbed)[:commands]:
            kernel_network.run(command)
        find_cgroups().limit(boards.name, "gone", None, None)
    assert lifecycle.up(testbed)
    assert kernel_network.is_whole(testbed)
    assert not lifecycle.up(testbed)
    assert lifecycle.leftovers().count(boards.name) == 1
    lifecycle.down(boards.name)
    assert nothing_left(boards.name) == []


def test_rates_quotas_and_names_as_the_boards_find_them(boards: Boards) -> None:
    """Bytes between two boards take what the link allows, a board computes what its quota allows, and has its own name."""
    lifecycle.up(testbed_of(boards, "cluster.link_rate_bit_s=4.0e+7"))
    find_cgroups().limit(boards.name, "b2", (2_000, 10_000), 300 * MIB)
    serve = (
        "import socket; s = socket.create_server(('', 7000)); print('up', flush=True); c, _ = s.accept()\n"
        "while c.recv(1 << 20): pass\n"
        "c.sendall(b'x')"
    )
    send = (
        "import os, socket, time; print(socket.gethostname())\n"
        f"c = socket.create_connection(('{boards.address(2)}', 7000)); begin = time.monotonic()\n"
        "c.sendall(bytes(1_000_000)); c.shutdown(socket.SHUT_WR); c.recv(1); print(time.monotonic() - begin)\n"
        "begin, used = time.monotonic(), time.process_time()\n"
        "while time.monotonic() < begin + 1: pass\n"
        "print(time.process_time() - used)"
    )
    server = subprocess.Popen(on_board(boards, 2, f'{sys.executable} -c "{serve}"'), stdout=subprocess.PIPE)
    assert server.stdout is not None
    assert server.stdout.readline() == b"up\n"
    client = subprocess.run(on_board(boards, 1, f'{sys.executable} -c "{send}"'), capture_output=True, text=True, cwd="/")
    assert client.stdout, client.stderr
    name, took, _ = client.stdout.split()
    server.wait(timeout=10)
    server.stdout.close()
    assert name == "b1"
    # 8 Mbit at 40 Mbit/s are 0.2 s, and headers; before the rate bites, two bursts of 4 kB pass.
    assert 0.19 < float(took) < 1.0
    spin = "import time; b = time.monotonic()\nwhile time.monotonic() < b + 1: pass\nprint(time.process_time())"
    used = subprocess.run(on_board(boards, 2, f'{sys.executable} -S -c "{spin}"'), capture_output=True, text=True)
    assert float(used.stdout) == pytest.approx(0.2, abs=0.06)  # a fifth of one second
    unknown = subprocess.run([*agent_command(boards.name).split(), "10.1.1.1", "true"], capture_output=True, text=True)
    assert unknown.returncode == 2
    assert unknown.stderr == (f"error: 10.1.1.1 is no board of {STATE}/{boards.name}/state.json; bring the testbed up again\n")


def test_networks_that_overlap_and_those_that_do_not(boards: Boards, tmp_path: Path) -> None:
    lifecycle.up(testbed_of(boards))
    (tmp_path / "more").mkdir()
    with Boards.of(tmp_path / "more", 2) as beside:
        clash = [*boards.words, f"cluster.name={beside.name}"]
        with pytest.raises(UserError, match=f"testbed {boards.name} is up on {boards.network}, which {beside.name} wants too"):
            lifecycle.up(testbed_command.testbed_of(clash)[0])
        assert lifecycle.up(testbed_of(beside))
        assert set(lifecycle.leftovers()) >= {boards.name, beside.name}
        lifecycle.down(beside.name)
        assert kernel_network.is_whole(testbed_of(boards))
        assert nothing_left(beside.name) == []


def test_what_is_refused(boards: Boards, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def error(*words: str) -> str:
        assert testbed_command.main(list(words)) == 2
        found = capsys.readouterr()
        assert (found.out, found.err.count("\n")) == ("", 1)
        return found.err.removeprefix("error: ").rstrip("\n")

    assert error("upp") == "unknown command upp; use up, down or status; did you mean up?"
    assert error("up", "cluster=local") == (
        "cluster local has real boards; choose one with emulated boards, such as cluster=emulated4"
    )
    if kernel_network.try_out(["netem", "delay", "1ms"]) is not None:
        assert error("up", *boards.words, "cluster.link_delay_s=0.01").startswith(
            "cluster.link_delay_s=0.01 needs the kernel's netem (sch_netem), which this one has not ("
        )
    with Lock(boards.name):
        assert error("up", *boards.words).startswith(f"testbed {boards.name} is in use by process {os.getpid()} (")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert error("up", *boards.words) == (
        f"cluster {boards.name} needs root for network namespaces and control groups; run as root (sudo), or use cluster=local"
    )
    monkeypatch.undo()
    monkeypatch.setenv("PATH", "/nowhere")
    assert error("up", *boards.words) == (
        f"cluster {boards.name} needs ip, which is not installed; install the package iproute2"
    )


def test_boards_on_which_somebody_works_are_not_taken(boards: Boards) -> None:
    """A campaign ends what a killed one left, and nothing else; ``down`` ends everything."""
    testbed = testbed_of(boards)
    lifecycle.up(testbed)
    cluster = make_point(cluster={"name": boards.name, "mpirun": None, "emulated": testbed.to_dict()}).cluster
    worker = subprocess.Popen(on_board(boards, 1, "exec sleep 600"))
    while not lifecycle.processes(boards.name, find_cgroups()):
        time.sleep(0.01)
    with (
        pytest.raises(UserError, match=rf"somebody works on the boards of {boards.name} \(process {worker.pid}\); wait"),
        Lease([cluster]),
    ):
        pass
    assert worker.poll() is None
    lifecycle.down(boards.name)
    assert worker.wait(timeout=5) == -9
    assert read_state(boards.name, STATE) is None
    assert nothing_left(boards.name) == []
