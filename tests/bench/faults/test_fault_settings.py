"""The ``fault`` section: what is refused before anything starts, and the plan of the survivors."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench.cluster.rank_hosts import hosts_of
from bench.common.user_error import UserError
from bench.config.host_config import Host
from bench.config.point_config import PointConfig
from bench.faults.fault_settings import plan_after
from bench.launch.mpirun import MPICH, Job, OpenMPI4, OpenMPI5
from bench.launch.srun import Srun
from bench.point.plan_errors import in_command_line_words
from strategies.common.plan_error import PlanError
from tests.bench.point.test_resume import resolve as resolve_tiny


def resolve(tmp_path: Path, *overrides: str) -> PointConfig:
    return resolve_tiny(tmp_path, "ranks=3", "cluster.oversubscribe=true", "energy.source=none", *overrides)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["fault.rank=0"], r"fault\.rank=0 must be null or a rank from 1 to 2 \(rank 0 writes the record\)"),
        (["fault.rank=3"], r"fault\.rank=3 must be null or a rank from 1 to 2"),
        (["fault.rank=two"], r"fault\.rank=two must be null or"),
        (["strategy=single", "fault.rank=1"], r"fault\.rank=1 must be null or more than one rank"),
        (["fault.rank=1", "fault.snapshot_every=0"], r"fault\.snapshot_every=0 must be a whole number of at least 1"),
        (["fault.rank=1", "fault.after_steps=1.5"], r"fault\.after_steps=1\.5 must be a whole number"),
        (["fault.rank=1", "train.steps=20"], r"train\.steps is for a training without a failure; leave it out, or use"),
        (["fault.rank=1", "train.save=/tmp/none"], r"train\.save is for a training without a failure"),
        (
            ["strategy=hybrid", "ranks=4", "mesh.data=2", "mesh.pipeline=2", "fault.rank=1"],
            r"after the failure of rank 1 \(fault\.mesh, fault\.options\): strategy=hybrid needs a mesh",
        ),
        (["fault.rank=1", "+fault.options.stages=[2,1]"], r"strategy=data has no option stages"),
        (["fault.rank=1", "fault.mesh.tensor=2"], r"strategy=data does not split the tensor axis, found mesh\.tensor=2"),
    ],
)
def test_refused(overrides: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises((UserError, PlanError)) as caught:
        resolve(tmp_path, *overrides)
    assert re.search(message, in_command_line_words(caught.value))
    assert "\n" not in str(caught.value)


def test_a_point_without_a_failure_is_what_it_was(tmp_path: Path) -> None:
    plain = resolve(tmp_path)
    assert plain.fault is None
    assert resolve(tmp_path, "fault.snapshot_every=3").point == plain.point
    failing = [resolve(tmp_path, "fault.rank=1"), resolve(tmp_path, "fault.rank=2"), resolve(tmp_path, "fault.rank=2")]
    assert len({point.hash for point in (plain, *failing)}) == 3
    assert failing[0].fault.rank == 1


def test_the_meter_of_a_host_is_not_killed_with_others_on_it(tmp_path: Path) -> None:
    hosts = "cluster.hostfile=" + str(tmp_path / "hosts")
    (tmp_path / "hosts").write_text("pi-1 slots=1\npi-2 slots=2\n")
    with pytest.raises(UserError, match=r"^fault\.rank=1 reads the power of pi-2 for ranks 2 too; use fault\.rank=2$"):
        resolve(tmp_path, hosts, "fault.rank=1")
    point = resolve(tmp_path, hosts, "fault.rank=2")
    assert hosts_of(point) == ["pi-1", "pi-2", "pi-2"]


def test_options_of_the_survivors(tmp_path: Path) -> None:
    """Lists of ranks and stages are left out; heads are cut as evenly as they can be; what is given wins."""
    tensor = plan_after(resolve(tmp_path, "strategy=tensor", "ranks=4", "fault.rank=3"))
    assert [at.units["heads"] for at in tensor.placements] == [(0, 2), (2, 3), (3, 4)]
    uneven = ("strategy=pipeline", "strategy.stages=[2,1,1]", "fault.rank=1")
    assert [at.layers for at in plan_after(resolve(tmp_path, *uneven)).placements] == [((0, 2),), ((2, 4),)]
    given = plan_after(resolve(tmp_path, *uneven, "+fault.options.stages=[3,1]"))
    assert [at.layers for at in given.placements] == [((0, 3),), ((3, 4),)]
    mesh = ("strategy=hybrid", "ranks=4", "mesh.data=2", "mesh.pipeline=2", "fault.rank=1", "fault.mesh.data=3")
    assert plan_after(resolve(tmp_path, *mesh)).mesh.dims == (1, 3, 1, 1)


def test_launchers_whose_jobs_end_with_a_rank() -> None:
    job = Job(2, [Host("a", 1), Host("b", 1)], Path("hosts"), "bench.run.worker", [], survives=True)
    line = OpenMPI5("mpirun").command(job)
    assert line[line.index("--with-ft") + 1] == "ulfm"
    assert line[line.index("coll") + 1] == "^han"
    for launcher in (OpenMPI4("mpirun"), MPICH("mpiexec"), Srun("srun")):
        with pytest.raises(UserError, match=r"^fault\.rank needs Open MPI 5, whose jobs can outlive a rank") as caught:
            launcher.command(job)
        assert launcher.name in str(caught.value)
    plain = OpenMPI5("mpirun").command(Job(2, [Host("a", 1)], Path("hosts"), "bench.run.worker", []))
    assert "--with-ft" not in plain
