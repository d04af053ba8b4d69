"""Inside a SLURM allocation: hosts from the environment, the srun line, and a whole point through a stand-in srun."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.cluster import participants
from bench.cluster.slurm_allocation import counts, expand, hosts_of
from bench.common.user_error import UserError
from bench.config.host_config import Host
from bench.launch.mpirun import Job, find_mpirun
from bench.launch.srun import Srun
from tests.bench.cluster.test_inventory import in_path
from tests.command_line import environment

pytestmark = pytest.mark.machine


@pytest.mark.parametrize(
    ("nodes", "names"),
    [
        ("node1", ["node1"]),
        ("node[01-03,07],gpu1", ["node01", "node02", "node03", "node07", "gpu1"]),
        ("a[9-11]", ["a9", "a10", "a11"]),
        ("r[1-2]n[01-02]", ["r1n01", "r1n02", "r2n01", "r2n02"]),
        ("x[1,3]-ib,y", ["x1-ib", "x3-ib", "y"]),
        ("n[098-101]", ["n098", "n099", "n100", "n101"]),
    ],
)
def test_lists_of_nodes(nodes: str, names: list[str]) -> None:
    assert expand(nodes) == names


@pytest.mark.parametrize("nodes", ["n[1-", "n[a-b]", "n[3-1]", "n]1[", "n[1-99999]", ",", "n1,n1", "n[]"])
def test_lists_that_are_none(nodes: str) -> None:
    with pytest.raises(UserError, match="SLURM_JOB_NODELIST=") as caught:
        expand(nodes)
    assert "\n" not in str(caught.value)


def test_tasks_of_each_node() -> None:
    assert counts("2(x3),1", 4) == [2, 2, 2, 1]
    assert counts("4", 1) == [4]
    with pytest.raises(UserError, match=r"SLURM_TASKS_PER_NODE=2\(x3\) speaks of 3 hosts, SLURM_JOB_NODELIST of 2"):
        counts("2(x3)", 2)
    with pytest.raises(UserError, match="cannot be understood at two"):
        counts("two", 1)


def test_hosts_of_an_allocation() -> None:
    environ = {"SLURM_JOB_NODELIST": "n[1-3]", "SLURM_TASKS_PER_NODE": "2(x2),1", "SLURM_CPUS_PER_TASK": "4"}
    assert hosts_of(environ, "pi") == [
        Host("n1", 2, "pi", threads=4), Host("n2", 2, "pi", threads=4), Host("n3", 1, "pi", threads=4),
    ]  # fmt: skip
    each = hosts_of({**environ, "SLURM_NTASKS_PER_NODE": "1"}, "x")
    assert [host.slots for host in each] == [1, 1, 1]
    described = [Host("n2", 8, "gpu", python="/opt/python", threads=2, env={"A": "1"})]
    found = hosts_of(environ, "x", described)
    assert found[1] == Host("n2", 2, "gpu", python="/opt/python", threads=2, env={"A": "1"})
    assert found[0] == Host("n1", 2, "x", threads=4)
    assert [host.slots for host in hosts_of({"SLURM_JOB_NODELIST": "n[1-2]"}, "x")] == [1, 1]
    with pytest.raises(UserError, match="SLURM_CPUS_PER_TASK=many must be a whole number"):
        hosts_of({**environ, "SLURM_CPUS_PER_TASK": "many"}, "x")


def job(**changes: Any) -> Job:
    values = {
        "ranks": 3, "hosts": [Host("n1", 2, threads=4), Host("n2", 2, threads=4)], "hostfile": Path("/p/hostfile"),
        "module": "bench.run.worker", "arguments": ["/p/config.json"],
        "environment": {"BENCH_RUN_ID": "x"}, "python": "/v/python",
    }  # fmt: skip
    return Job(**{**values, **changes})


WORKER = ["/v/python", "-m", "mpi4py", "-m", "bench.run.worker", "/p/config.json"]


def test_the_srun_line() -> None:
    assert Srun("srun").command(job()) == [
        *("srun", "--mpi=pmix", "--ntasks=3", "--distribution=arbitrary", "--nodelist=n1,n1,n2", "--cpu-bind=none"),
        *("--cpus-per-task=4", "--kill-on-bad-exit=1", "--export=ALL,BENCH_RUN_ID=x", *WORKER),
    ]
    more = Srun("srun").command(
        job(ranks=5, oversubscribe=True, bind="core", interface="10.1.0.0/16", forward=["TOKEN"], hosts=[Host("n1", 2)])
    )
    assert more[1:-6] == [
        *("--mpi=pmix", "--ntasks=5", "--distribution=arbitrary", "--nodelist=n1,n1,n1,n1,n1", "--cpu-bind=cores"),
        *("--overcommit", "--kill-on-bad-exit=1"),
        "--export=ALL,BENCH_RUN_ID=x,OMPI_MCA_btl_tcp_if_include=10.1.0.0/16",
    ]
    assert Srun("srun").command(job(bind="socket"))[5] == "--cpu-bind=sockets"
    assert Srun("srun").hostfile([Host("n1", 2), Host("n2", 1)]) == "n1\nn1\nn2\n"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hosts": [Host("n1", 2, python="/a"), Host("n2", 2)]}, "hosts with different python or env need mpirun"),
        ({"hosts": [Host("n1", 4, user="me")]}, "user=me of n1 is for ssh, which srun does not use"),
        ({"environment": {"A": "1,2"}}, "A=1,2 has a comma, which srun's --export cannot carry"),
        ({"agent": "/bin/sh x"}, "emulated boards need Open MPI 5, found SLURM srun"),
    ],
)
def test_what_srun_cannot(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        Srun("srun").command(job(**changes))
    assert "\n" not in str(caught.value)


def test_another_allocation_is_the_same_point() -> None:
    """A scheduler gives other nodes the next day: a sweep goes on there. Their order still counts."""
    first, next_day = (
        participants.meaning({"allocation": "slurm", "inventory": names, "hosts": [Host(name, 2).to_dict() for name in names]})
        for names in (["n1", "n2"], ["n7", "n9"])
    )
    assert first == next_day
    turned = {"allocation": "slurm", "inventory": ["n1", "n2"], "hosts": [Host(name, 2).to_dict() for name in ("n2", "n1")]}
    assert participants.meaning(turned) != first


def bench(folder: Path, *words: str, **extra: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "bench", "cluster=slurm", *words]
    return subprocess.run(line, cwd=folder, env=environment(**extra), capture_output=True, text=True, timeout=120)


def test_outside_of_an_allocation(tmp_path: Path) -> None:
    done = bench(tmp_path, "strategy=data")
    assert done.returncode == 2
    assert done.stderr.startswith(
        "error: cluster=slurm needs an allocation, and SLURM_JOB_NODELIST is not set; start it inside"
    )
    assert len(done.stderr.splitlines()) == 1
    inside = {"SLURM_JOB_NODELIST": "n1", "PATH": str(tmp_path / "nothing")}
    done = bench(tmp_path, "strategy=single", "cluster.launcher=srun", **inside)
    assert done.stderr == (
        "error: cluster.launcher=srun, but srun is not on PATH; start on a node of the allocation, or use mpirun\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_point_through_srun(tmp_path: Path) -> None:
    """Two real ranks on a node of two tasks; what is forwarded reaches them and is written nowhere; the record knows its
    code and its load."""
    tiny = ("model=gpt2-tiny", "task=lm", "energy=none", "train.batch=8", "train.seq=16", "train.steps=6", "window_s=0.2")
    (tmp_path / "bin").mkdir()
    given = {
        "SLURM_JOB_NODELIST": "n01", "SLURM_TASKS_PER_NODE": "2", "SLURM_CPUS_PER_TASK": "1", "MPIRUN": find_mpirun(),
        "SRUN_LOG": str(tmp_path / "log"), "PATH": in_path(tmp_path / "bin", "srun"), "MY_TOKEN": "hush-7",
    }  # fmt: skip
    words = ("strategy=data", "idle_s=0.1", "cluster.launcher=srun", "cluster.forward=[MY_TOKEN]", "cluster.env={MINE: here}")
    done = bench(tmp_path, *words, *tiny, **given)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = tmp_path.glob("results/*/*/result.json")
    record = json.loads(path.read_text())
    assert (record["status"], record["point"]["hosts"], record["point"]["bind"]) == ("ok", ["n01"], "none")
    (host,) = record["environment"]["hosts"]
    checks = {check["name"]: check for check in record["checks"]}
    assert checks["same code on all hosts"] == {
        "name": "same code on all hosts", "status": "passed", "detail": f"{host['code_hash']} on n01",
    }  # fmt: skip
    assert 0 <= host["busy_before"] <= 1
    assert checks["quiet before start"]["detail"] == f"n01 {100 * host['busy_before']:.0f} % of the cores were busy"
    line = (tmp_path / "log").read_text()
    assert "--ntasks=2 --distribution=arbitrary --nodelist=n01,n01 --cpu-bind=none --cpus-per-task=1" in line
    assert "MINE=here" in line
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) > 5
    assert not [path for path in written if b"hush-7" in path.read_bytes()]
    assert done.stdout.count("hush-7") + done.stderr.count("hush-7") == 0
