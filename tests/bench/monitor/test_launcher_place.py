"""Rank, size and job from the environment of each launcher, as it sets them; MPI is never asked."""

from __future__ import annotations

import pytest

from bench.common.user_error import UserError
from bench.monitor.launcher_place import LauncherPlace, launcher_place

OPEN_MPI = {
    "OMPI_COMM_WORLD_RANK": "3",
    "OMPI_COMM_WORLD_SIZE": "4",
    "OMPI_COMM_WORLD_LOCAL_SIZE": "2",
    "PMIX_NAMESPACE": "prterun-node1-71@1",
    "PMIX_RANK": "3",
}
STEP = {
    "SLURM_JOB_ID": "812",
    "SLURM_STEP_ID": "0",
    "SLURM_PROCID": "5",
    "SLURM_STEP_NUM_TASKS": "7",
    "SLURM_NTASKS": "8",
    "SLURM_STEP_NUM_NODES": "4",
    "SLURM_NODEID": "3",
    "SLURM_STEP_TASKS_PER_NODE": "2(x3),1",
}
TORCHRUN = {
    "TORCHELASTIC_RUN_ID": "none",
    "RANK": "1",
    "WORLD_SIZE": "2",
    "LOCAL_WORLD_SIZE": "2",
    "MASTER_ADDR": "127.0.0.1",
    "MASTER_PORT": "29500",
}


@pytest.mark.parametrize(
    ("environ", "place"),
    [
        ({}, LauncherPlace()),
        (OPEN_MPI, LauncherPlace("Open MPI", 3, 4, 2, "prterun-node1-71@1")),
        ({"PMI_RANK": "1", "PMI_SIZE": "2", "MPI_LOCALNRANKS": "2", "PMI_FD": "7"}, LauncherPlace("MPICH", 1, 2, 2, None)),
        (STEP, LauncherPlace("SLURM", 5, 7, 1, "812:0")),
        ({**STEP, "SLURM_NODEID": "0"}, LauncherPlace("SLURM", 5, 7, 2, "812:0")),
        ({**STEP, "PMI_RANK": "5", "PMI_SIZE": "7"}, LauncherPlace("MPICH", 5, 7, 1, "812:0")),
        (TORCHRUN, LauncherPlace("torchrun", 1, 2, 2, "none:127.0.0.1:29500")),
        # Daemons of mpirun come through srun, torchrun runs inside of a step: the innermost launcher counts.
        ({**STEP, **OPEN_MPI}, LauncherPlace("Open MPI", 3, 4, 2, "prterun-node1-71@1")),
        ({**STEP, **TORCHRUN}, LauncherPlace("torchrun", 1, 2, 2, "none:127.0.0.1:29500")),
    ],
    ids=["none", "open-mpi", "mpich", "slurm", "slurm-node-0", "srun-pmi2", "torchrun", "mpirun-in-slurm", "torchrun-in-slurm"],
)
def test_place(environ: dict[str, str], place: LauncherPlace) -> None:
    assert launcher_place(environ) == place


def test_a_batch_script_is_no_rank() -> None:
    """sbatch sets SLURM_PROCID and SLURM_NTASKS in the script too, where nobody else would come."""
    script = {name: value for name, value in STEP.items() if not name.startswith("SLURM_STEP")}
    assert launcher_place(script) == LauncherPlace()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"OMPI_COMM_WORLD_RANK": "three"}, "OMPI_COMM_WORLD_RANK=three must be a whole number"),
        ({"OMPI_COMM_WORLD_SIZE": "3"}, "OMPI_COMM_WORLD_RANK=3 is no rank of OMPI_COMM_WORLD_SIZE=3"),
        ({"OMPI_COMM_WORLD_LOCAL_SIZE": "-1"}, "OMPI_COMM_WORLD_LOCAL_SIZE=-1 must be a whole number"),
    ],
)
def test_a_variable_that_is_wrong_is_named(change: dict[str, str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        launcher_place({**OPEN_MPI, **change})
