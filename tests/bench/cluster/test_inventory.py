"""What an inventory and the cluster block may say, who takes part in which order, and the command lines of it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
from hydra import compose, initialize_config_dir

from analysis.study.configuration_labels import labels_of
from bench.cluster import participants
from bench.cluster.inventory import read_inventory
from bench.common import paths
from bench.common.user_error import UserError
from bench.config.host_config import Host
from bench.launch import launchers
from bench.launch.mpirun import MPICH, Job, OpenMPI4, OpenMPI5, check_emulates, find_mpirun, launcher_for, own_environment
from bench.point import hydra_compose, resolved_point
from bench.record.point_block import point_block
from bench.record.record import Record
from tests.command_line import environment
from tests.points import make_point
from tests.project import ROOT, TESTS
from tests.records import make_record

pytestmark = pytest.mark.machine

STAND_INS = TESTS / "stand_ins"
HOSTS = [Host("10.0.0.1", 1, "a", user="pi"), Host("10.0.0.2", 2, "a", env={"OMP_PROC_BIND": "close"})]


def job(**changes: Any) -> Job:
    values = {
        "ranks": 3, "hosts": HOSTS, "hostfile": Path("/p/hostfile"), "module": "bench.run.worker",
        "arguments": ["/p/config.json"], "environment": {"BENCH_RUN_ID": "x"}, "python": "/v/bin/python",
    }  # fmt: skip
    return Job(**{**values, **changes})


WORKER = ["/v/bin/python", "-m", "mpi4py", "-m", "bench.run.worker", "/p/config.json"]
LINKS = ["--mca", "btl_tcp_links", "2"]
ALIKE = [Host("10.0.0.1", 1, "a", user="pi"), Host("10.0.0.2", 2, "a")]


def test_hosts_with_users_and_variables(tmp_path: Path) -> None:
    path = tmp_path / "hosts.yaml"
    path.write_text("hosts:\n  - {address: 10.0.0.1, user: pi, name: one, env: {OMP_WAIT_POLICY: passive, N: 3}}\n")
    (host,) = read_inventory(path, "pi").hosts
    assert host == Host("10.0.0.1", 1, "pi", name="one", user="pi", env={"OMP_WAIT_POLICY": "passive", "N": "3"})
    assert (host.label, host.login) == ("one", "pi@10.0.0.1")
    plain = tmp_path / "hosts"
    plain.write_text("pi@board1 slots=2\nboard2\n")
    assert [host.login for host in read_inventory(plain, "pi").hosts] == ["pi@board1", "board2"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("host: []\n", "unknown block host; blocks are hosts, emulated, meters, others; did you mean hosts"),
        ("hosts: {a: 1}\n", "is not YAML with a list of hosts"),
        ("hosts: [board1]\n", r"a host must be \{address: ...\}, found 'board1'"),
        ("hosts:\n  - {name: a}\n", "has no address; keys are address, slots"),
        ("hosts:\n  - {address: a, pyhton: /p}\n", "unknown key pyhton; keys are .*; did you mean python?"),
        ("hosts:\n  - {address: a b}\n", "address=a b of a b must be an address or a host name"),
        ("hosts:\n  - {address: a, threads: 0}\n", "threads=0 of a must be a whole number of at least 1"),
        ("hosts:\n  - {address: a, python: python3}\n", "python=python3 of a must be the whole path"),
        ("hosts:\n  - {address: a, user: 'me; rm'}\n", "user=me; rm of a must be the name of a user"),
        ("hosts:\n  - {address: a, env: [A]}\n", "env of a must map variables to values"),
        ("hosts:\n  - {address: a, env: {1A: x}}\n", "'1A' is no name of an environment variable"),
        ("hosts:\n  - {address: a, env: {A: true}}\n", "A=True must be one line of text or a number; put quotes"),
        ("hosts:\n  - {address: a, env: {PYTHONPATH: /x}}\n", "PYTHONPATH is set by the suite itself"),
        (
            "hosts:\n  - {address: a, env: {PLUG_PASSWORD: hush}}\n",
            r"PLUG_PASSWORD looks like a secret, .*; use cluster.forward=\[PLUG_PASSWORD\]",
        ),
        (
            "emulated: {network: 10.7.0.0/24, link: x}\nhosts:\n  - {address: 10.7.0.1, name: a, user: pi}\n",
            "user=pi of 10.7.0.1 is for ssh, which emulated boards do not use",
        ),
    ],
)
def test_bad_rows_end_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "hosts.yaml").write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        read_inventory(tmp_path / "hosts.yaml", "pi")
    assert "\n" not in str(caught.value)
    assert "hush" not in str(caught.value)


def test_open_mpi_5() -> None:
    line = OpenMPI5("mpirun").command(job(forward=["TOKEN"], bind="socket"))
    assert line == [
        *("mpirun", "--bind-to", "package", "--map-by", "slot", *LINKS),
        *("-n", "1", "--host", "pi@10.0.0.1:1", "-x", "BENCH_RUN_ID=x", "-x", "TOKEN", *WORKER),
        *(":", "-n", "2", "--host", "10.0.0.2:2", "-x", "BENCH_RUN_ID=x", "-x", "OMP_PROC_BIND=close", "-x", "TOKEN", *WORKER),
    ]
    assert OpenMPI5("mpirun").hostfile(HOSTS) == "pi@10.0.0.1 slots=1\n10.0.0.2 slots=2\n"
    alike = [Host("a", env={"N": "3"}), Host("b", env={"N": "3"})]
    one = OpenMPI5("mpirun").command(job(hosts=alike, ranks=2, bind="core"))
    assert one[1:3] == ["--bind-to", "core"]
    assert one[8:] == ["-n", "2", "--hostfile", "/p/hostfile", "-x", "BENCH_RUN_ID=x", "-x", "N=3", *WORKER]


def test_open_mpi_4() -> None:
    line = OpenMPI4("mpirun").command(job(hosts=ALIKE, forward=["TOKEN"], bind="socket"))
    assert line == [
        *("mpirun", "--bind-to", "socket", "--map-by", "slot", *LINKS, "-n", "3", "--hostfile", "/p/hostfile"),
        *("-x", "BENCH_RUN_ID=x", "-x", "TOKEN", *WORKER),
    ]
    assert OpenMPI4("mpirun").hostfile(ALIKE) == "pi@10.0.0.1 slots=1\n10.0.0.2 slots=2\n"
    with pytest.raises(UserError, match=r"user=pi of 10\.0\.0\.1: Open MPI 4 takes users from one hostfile only"):
        OpenMPI4("mpirun").command(job())


def test_mpich() -> None:
    line = MPICH("mpiexec").command(job(forward=["A", "B"], bind="core"))
    assert line == [
        *("mpiexec", "-f", "/p/hostfile", "-bind-to", "core", "-genv", "BENCH_RUN_ID", "x", "-genvlist", "A,B"),
        *("-n", "1", *WORKER, ":", "-n", "2", "-env", "OMP_PROC_BIND", "close", *WORKER),
    ]
    assert MPICH("mpiexec").hostfile(HOSTS) == "10.0.0.1:1 user=pi\n10.0.0.2:2\n"
    alike = MPICH("mpiexec").command(job(hosts=ALIKE, forward=["A"]))
    assert alike[1:] == [
        *("-f", "/p/hostfile", "-n", "3", "-bind-to", "none", "-genv", "BENCH_RUN_ID", "x", "-genvlist", "A", *WORKER),
    ]
    own = [Host("a", python="/a/python"), Host("b", python="/b/python")]
    assert [word for word in MPICH("mpiexec").command(job(hosts=own, ranks=2)) if "python" in word] == [
        "/a/python",
        "/b/python",
    ]


def test_too_many_ranks_for_hosts_that_differ() -> None:
    with pytest.raises(
        UserError, match="1 of 4 ranks find no slot; hosts with different python or env cannot be oversubscribed"
    ):
        OpenMPI5("mpirun").command(job(ranks=4, oversubscribe=True))


def dicts(*names: str) -> list[dict[str, Any]]:
    return [Host(f"10.0.0.{number}", name=name).to_dict() for number, name in enumerate(names, 1)]


def names(found: list[dict[str, Any]]) -> list[str]:
    return [host["name"] for host in found]


def test_who_takes_part_and_in_which_order() -> None:
    hosts = dicts("a", "b", "c")
    assert names(participants.chosen(hosts, None, None)) == ["a", "b", "c"]
    assert names(participants.chosen(hosts, None, "reverse")) == ["c", "b", "a"]
    assert names(participants.chosen(hosts, None, ["b", "c", "a"])) == ["b", "c", "a"]
    assert names(participants.chosen(hosts, ["c", "a"], None)) == ["a", "c"]  # the order is cluster.order's to say
    assert names(participants.chosen(hosts, ["a", "c"], ["c", "a"])) == ["c", "a"]
    assert names(participants.chosen(hosts, ["a", "c"], "reverse")) == ["c", "a"]


@pytest.mark.parametrize(
    ("taken", "order", "message"),
    [
        (["d"], None, "cluster.hosts names d, which is no host here; hosts are a, b, board"),
        (["bord"], None, "did you mean board?"),
        ("a", None, r"cluster.hosts=a must be a list of hosts, such as \[a,b\]"),
        ([], None, "must be a list of hosts"),
        (["a", "a"], None, "cluster.hosts names a twice"),
        (None, "revers", "cluster.order=revers must be null, reverse, or a list of all hosts; did you mean reverse?"),
        (None, ["a", "b"], "cluster.order has no board; name all hosts that take part, or choose them by cluster.hosts"),
        (["a", "b"], ["a", "board"], "cluster.order names board, which is no host here; hosts are a, b"),
    ],
)
def test_a_bad_choice_ends_in_one_line(taken: Any, order: Any, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        participants.chosen(dicts("a", "b", "board"), taken, order)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ({"bind": "cores"}, "cluster.bind=cores is unknown; use none, core, socket; did you mean core?"),
        ({"launcher": "mpiexec"}, "cluster.launcher=mpiexec is unknown; use mpirun, srun"),
        ({"launcher": "srun"}, "cluster.launcher=srun starts ranks inside a SLURM allocation; use cluster=slurm"),
        ({"allocation": "slrm"}, "cluster.allocation=slrm is unknown; use slurm, null; did you mean slurm?"),
        ({"env": "A=1"}, "cluster.env must map variables to values"),
        ({"env": {"API_KEY": "x"}}, "cluster.env: API_KEY looks like a secret"),
        ({"forward": "A"}, r"cluster.forward=A must be a list of names of variables, \[A\]"),
        ({"forward": ["A=1"]}, "'A=1' is no name of an environment variable"),
    ],
)
def test_a_bad_block_ends_in_one_line(block: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        participants.checked(block)
    assert "\n" not in str(caught.value)


def test_passwords_of_meters_are_forwarded_by_name() -> None:
    cluster = make_point(cluster={"forward": ["B", "A"]}).cluster
    energy = {"meters": {"p": {"password_env": "PLUG"}, "q": {"password_env": "ELSEWHERE"}, "r": {}}}
    assert launchers.forwarded(cluster, energy, {"A": "1", "B": "2", "PLUG": "hush"}) == ["A", "B", "PLUG"]
    with pytest.raises(UserError, match=r"cluster\.forward names B, which is not set here; export B, or leave it out"):
        launchers.forwarded(cluster, energy, {"A": "1"})
    assert launchers.forwarded(make_point().cluster, {}, {}) == []
    assert launchers.forwarded(make_point().cluster, {}, {"OMPI_MCA_btl": "tcp,self"}) == ["OMPI_MCA_btl"]


def resolved(tmp_path: Path, *words: str) -> dict[str, Any]:
    hydra_compose.register()
    path = tmp_path / "hosts.yaml"
    path.write_text("hosts:\n" + "".join(f"  - {{address: 10.0.0.{n}, name: b{n}}}\n" for n in (1, 2, 3)))
    fixed = ["strategy=data", "model=gpt2-tiny", "task=lm", "energy=none", f"cluster.hostfile={path}"]
    with initialize_config_dir(str(paths.CONF), version_base="1.3"):
        plain = hydra_compose.to_plain(compose("config", overrides=[*fixed, *words]))
    return resolved_point.resolve(plain, None, tmp_path / "results")


def test_the_order_is_a_part_of_the_meaning_and_of_the_record(tmp_path: Path) -> None:
    """It can be swept: orders are different points with different labels, and the same order said twice is one point."""
    first, same, other, fewer = (
        resolved(tmp_path, *words)
        for words in ((), ("cluster.order=[b1,b2,b3]",), ("cluster.order=[b2,b1,b3]",), ("cluster.hosts=[b1,b3]",))
    )
    assert first.hash == same.hash
    assert len({first.hash, other.hash, fewer.hash}) == 3
    assert point_block(other).hosts == ["b2", "b1", "b3"]
    assert point_block(fewer).hosts == ["b1", "b3"]
    assert fewer.cluster.inventory == ("b1", "b2", "b3")
    records = []
    for point in (first, other):
        record = make_record()
        record["point"] = {**record["point"], **point_block(point).to_dict()}
        records.append(Record.from_dict(record))
    assert sorted(labels_of(records).values()) == [
        "data n=2 hosts=b1,b2,b3",
        "data n=2 hosts=b2,b1,b3",
    ]
    with pytest.raises(UserError, match=r"ranks=3 needs 3 slots; cluster local has 2 \(10\.0\.0\.1: 1, 10\.0\.0\.3: 1\)"):
        resolved(tmp_path, "cluster.hosts=[b1,b3]", "ranks=3")


def test_emulated_boards_keep_their_speed_whoever_takes_part(tmp_path: Path) -> None:
    hydra_compose.register()
    with initialize_config_dir(str(paths.CONF), version_base="1.3"):
        words = ["cluster=emulated4", "cluster.hosts=[pi-4,pi-2]", "cluster.order=reverse"]
        plain = hydra_compose.to_plain(compose("config", overrides=words))
    block, _ = resolved_point.cluster_of(plain)
    assert names(block["hosts"]) == ["pi-4", "pi-2"]
    assert [board["name"] for board in block["emulated"]["boards"]] == ["pi-1", "pi-2", "pi-3", "pi-4"]


def in_path(folder: Path, *programs: str) -> str:
    """A PATH with stand-ins in front."""
    for program in programs:
        (folder / program).symlink_to(STAND_INS / program)
    return f"{folder}:{os.environ['PATH']}"


def may_name_hosts() -> None:
    """Skip where this user may not give a process a host name of its own."""
    if shutil.which("unshare") is None or subprocess.run(["unshare", "--uts", "true"], capture_output=True).returncode:
        pytest.skip("unshare --uts is not permitted")


def own_device() -> str | None:
    """The device of this machine's own network: others come and go with the boards of other tests."""
    found = [
        name
        for name, addresses in psutil.net_if_addrs().items()
        for one in addresses
        if one.family == socket.AF_INET and name.startswith(("e", "w")) and not name.startswith("ej")
    ]
    return found[0] if found else None


def test_ranks_over_ssh_get_their_host_their_variables_and_the_secret(tmp_path: Path) -> None:
    """The real mpirun through a stand-in ssh whose hosts inherit nothing: what arrives was carried by MPI. The value of what
    is forwarded stands on no command line, and the user is ssh's."""
    may_name_hosts()
    launcher = launcher_for(find_mpirun())
    try:
        check_emulates(launcher)  # contexts with users need Open MPI 5
    except UserError:
        pytest.skip(f"{launcher.name} is not tried here")
    hosts = [Host("boarda", user="pi", env={"OWN": "1"}), Host("boardb", env={"OWN": "2"})]
    wanted = job(
        hosts=hosts, ranks=2, module="tests.bench.launch.print_rank", arguments=["OWN", "ALL", "TOKEN"], python=sys.executable,
        environment={"ALL": "a b", "PYTHONPATH": str(ROOT)}, forward=["TOKEN"], root=os.geteuid() == 0,
        interface=own_device(),
    )  # fmt: skip
    command = launcher.command(wanted)
    assert "hush" not in " ".join(command)
    env = own_environment(**environment(TOKEN="hush", PATH=in_path(tmp_path, "ssh"), SSH_LOG=str(tmp_path / "log")))
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    told = sorted(line for line in done.stdout.splitlines() if line.startswith("told"))
    assert told == ["told 0 boarda OWN=1 ALL=a b TOKEN=hush", "told 1 boardb OWN=2 ALL=a b TOKEN=hush"]
    log = (tmp_path / "log").read_text()
    assert "pi@boarda" in log
    assert "hush" not in log
