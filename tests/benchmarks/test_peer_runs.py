"""The table of peers for real, on a model of a few kilobytes: peers that compute what one process does, boards, crashes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.common.user_error import UserError
from bench.emulation import kernel_network, lifecycle
from bench.emulation.cgroups import find_cgroups
from bench.emulation.state_files import STATE, Lock
from benchmarks.peers.starting import peer_boards
from tests import mpirun
from tests.bench.emulation.real_boards import nothing_left
from tests.command_line import environment
from tests.project import ROOT

pytestmark = pytest.mark.machine

TINY = ("--models", "tiny", "--rounds", "1", "--no-limit")
BOARDS = 3
"""Nobody measures on three: a run of the benchmark elsewhere on this machine is not disturbed."""
NAME = f"peers{BOARDS}"
PATIENCE_S = 120.0


def line(*words: str) -> list[str]:
    return [sys.executable, "-m", "benchmarks.peers", *TINY, *words]


def table(folder: Path, *words: str, **extra: str) -> tuple[subprocess.CompletedProcess[str], dict[str, dict[str, object]]]:
    """A run to its end, and its cells by peer and network."""
    out = folder / "peers.json"
    words = (*words, "--out", str(out))
    done = subprocess.run(line(*words), cwd=ROOT, env=environment(**extra), capture_output=True, text=True, timeout=240)
    cells = json.loads(out.read_text())["cells"] if out.exists() else []
    return done, {f"{cell['peer']} {cell['network']}": cell for cell in cells}


@pytest.fixture
def board_rates() -> list[str]:
    """Skips where boards cannot be emulated, and removes what a test leaves."""
    try:
        kernel_network.check_machine(peer_boards.testbed_of(BOARDS, peer_boards.link_of("1gbit")))
        find_cgroups()
    except UserError as error:
        pytest.skip(str(error))
    return ["--boards", str(BOARDS), "--rate"]


@pytest.mark.parametrize("ranks", [2, 4])
def test_peers_compute_what_one_process_does(ranks: int) -> None:
    """Losses and every gradient: a peer that computes something else would be compared for nothing."""
    done = mpirun.run(ranks, "benchmarks.peers.torch_side.peer_check", timeout_s=240, GLOO_SOCKET_IFNAME="lo")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(" ok\n") == 20  # ten peers, two models


def test_the_whole_table_on_shared_memory(tmp_path: Path) -> None:
    """Every line has a ratio, and both sides the same loss."""
    done, cells = table(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(cells) == 10
    for cell in cells.values():
        assert cell["status"] == "ok"
        assert cell["loss_difference"] < (2e-2 if cell["peer"] == "data-bf16" else 1e-4)  # type: ignore[operator]
    assert done.stdout.count("| shared memory | 2 | tiny |") == 10


def test_under_an_mpirun_of_the_user(tmp_path: Path) -> None:
    """The same table without a start of its own; what would start ranks again is refused there."""
    out = tmp_path / "peers.json"
    done = mpirun.run(2, "benchmarks.peers", *TINY[:-1], "--pairs", "zbv,ulysses", "--out", str(out))
    assert done.returncode == 0, done.stdout + done.stderr
    cells = [(cell["ours"], cell["status"], len(cell["limit_s"])) for cell in json.loads(out.read_text())["cells"]]
    assert cells == [("pipeline schedule=zero_bubble", "ok", 1), ("sequence attention=ulysses", "ok", 1)]
    assert done.stdout.count("| shared memory | 2 | tiny |") == 2
    refused = mpirun.run(2, "benchmarks.peers", "--boards", "2")
    assert refused.returncode != 0
    assert "--boards and --ranks start ranks" in refused.stderr


def test_lines_that_fail_leave_the_others(tmp_path: Path) -> None:
    """A peer that torch lacks is refused, one that dies or hangs ends its mpirun: a line each, and the rest is measured."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\n"
        "class Breaks:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.endswith('fsdp_peer'): raise ImportError('no fsdp here')\n"
        "        if name.endswith('tensor_peer'): os._exit(7)\n"
        "sys.meta_path.insert(0, Breaks())\n"
    )
    paths = f"{tmp_path}:{ROOT}"
    words = ("--pairs", "/ fsdp,/ tensor,1f1b,/ data")
    done, cells = table(tmp_path, *words, PYTHONPATH=paths)
    assert done.returncode == 1, done.stdout + done.stderr
    assert {name: cell["status"] for name, cell in cells.items()} == {
        "data shared memory": "ok",
        "data-bf16 shared memory": "ok",
        "fsdp shared memory": "refused",
        "tensor shared memory": "failed",
        "pipeline-1f1b shared memory": "ok",
    }
    assert "no fsdp here" in str(cells["fsdp shared memory"]["reason"])
    assert "the ranks ended with" in str(cells["tensor shared memory"]["reason"])


def test_boards_and_a_rate_that_cannot_be(tmp_path: Path, board_rates: list[str]) -> None:
    """Boards that a crash left go first; a rate that this kernel cannot shape is a line; the other rate is measured.

    The other one is slow: a faster link carries less than its rate while other tests have the cores, and is then refused.
    """
    with Lock(NAME):
        lifecycle.up(peer_boards.testbed_of(BOARDS, peer_boards.link_of("50mbit")))
    done, cells = table(tmp_path, *board_rates, "900tbit,20mbit", "--pairs", "/ data-bf16,/ zero")
    assert done.returncode == 1, done.stdout + done.stderr
    assert {name: cell["status"] for name, cell in cells.items()} == {
        "data-bf16 900tbit": "failed",
        "zero 900tbit": "failed",
        "data-bf16 20mbit": "ok",
        "zero 20mbit": "ok",
    }
    assert "a killed run had left were taken down" in done.stderr
    assert done.stderr.count("error: 900tbit, 3 ranks: ") == 1
    assert 12e6 < cells["zero 20mbit"]["link_bit_s"] < 21e6  # type: ignore[operator]
    assert nothing_left(NAME) == []


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL], ids=lambda each: each.name)
def test_a_run_that_is_ended_leaves_nothing(tmp_path: Path, board_rates: list[str], end: signal.Signals) -> None:
    """No boards and no ranks, whichever way the benchmark ends."""
    words = line(*board_rates, "20mbit", "--rounds", "100000", "--pairs", "/ zero")
    run = subprocess.Popen(words, cwd=ROOT, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait(lambda: bool(on_boards()))
        os.kill(run.pid, end)
        assert run.wait(timeout=PATIENCE_S) == (-end if end == signal.SIGKILL else 130)
        wait(lambda: nothing_left(NAME) == [])
    finally:
        run.kill()
        run.wait()
        with Lock(NAME):
            lifecycle.down(NAME)
        (STATE / f"{NAME}.lock").unlink(missing_ok=True)


def on_boards() -> list[int]:
    """Ranks that compute already: a daemon and its rank on each board."""
    found = lifecycle.processes(NAME, find_cgroups())
    return found if len(found) >= 2 * BOARDS else []


def wait(until: object) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not until():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_boards_in_use_are_one_line(tmp_path: Path, board_rates: list[str]) -> None:
    """Another run on the same boards is told by whom they are used, and shared memory is still measured."""
    with Lock(NAME):
        done, cells = table(tmp_path, *board_rates, "1gbit", "--ranks", "2", "--pairs", "/ zero")
    assert done.returncode == 1
    assert f"testbed {NAME} is in use by process {os.getpid()}" in done.stderr
    assert {name: cell["status"] for name, cell in cells.items()} == {"zero shared memory": "ok", "zero 1gbit": "failed"}
