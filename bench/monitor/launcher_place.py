"""Which rank of which job a process is, by what its launcher says in the environment. Pure: MPI is never started for it.

The program that is monitored starts MPI itself, and may do so once only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bench.common.user_error import UserError

SLURM_PER_NODE = "SLURM_STEP_TASKS_PER_NODE"


@dataclass(frozen=True)
class LauncherPlace:
    """A rank of a job.

    ``launcher`` is None for a process that no launcher started. ``local_size`` are the ranks of this host, ``job`` is the same
    text on all ranks of the job and on no other; both are None where the launcher does not tell.
    """

    launcher: str | None = None
    rank: int = 0
    size: int = 1
    local_size: int | None = 1
    job: str | None = None


@dataclass(frozen=True)
class _Variables:
    """The variables of one launcher: it is recognised by ``mark``, which must be set, and by its rank and size."""

    launcher: str
    mark: str
    rank: str
    size: tuple[str, ...]
    local_size: str | None
    job: tuple[str, ...]


LAUNCHERS = (
    _Variables(
        "torchrun",
        "TORCHELASTIC_RUN_ID",
        "RANK",
        ("WORLD_SIZE",),
        "LOCAL_WORLD_SIZE",
        ("TORCHELASTIC_RUN_ID", "MASTER_ADDR", "MASTER_PORT"),
    ),
    _Variables(
        "Open MPI",
        "OMPI_COMM_WORLD_RANK",
        "OMPI_COMM_WORLD_RANK",
        ("OMPI_COMM_WORLD_SIZE",),
        "OMPI_COMM_WORLD_LOCAL_SIZE",
        ("PMIX_NAMESPACE",),
    ),
    _Variables("MPICH", "PMI_RANK", "PMI_RANK", ("PMI_SIZE",), "MPI_LOCALNRANKS", ("PMI_JOBID",)),
    _Variables(
        "SLURM",
        "SLURM_STEP_ID",
        "SLURM_PROCID",
        ("SLURM_STEP_NUM_TASKS", "SLURM_NTASKS"),
        None,
        ("SLURM_JOB_ID", "SLURM_STEP_ID"),
    ),
)
"""The innermost first: torchrun runs inside of srun, mpirun starts its daemons through it."""


def launcher_place(environ: Mapping[str, str]) -> LauncherPlace:
    """The place of this process.

    Args:
        environ: Its environment variables.

    Returns:
        The place; rank 0 of 1 without a launcher.

    Raises:
        UserError: A launcher's variable holds no number, or a rank that its job does not have.
    """
    for one in LAUNCHERS:
        size = next((name for name in one.size if environ.get(name)), None)
        if one.mark in environ and one.rank in environ and size is not None:
            return _place(one, size, environ)
    return LauncherPlace()


def _place(one: _Variables, size_name: str, environ: Mapping[str, str]) -> LauncherPlace:
    rank, size = _whole(environ, one.rank), _whole(environ, size_name)
    if rank >= size:
        raise UserError(f"{one.rank}={rank} is no rank of {size_name}={size}; start it with {one.launcher}, or unset both")
    local = _local_size(one, environ)
    job = ":".join(environ[name] for name in one.job) if all(environ.get(name) for name in one.job) else None
    if job is None and one.launcher == "MPICH" and environ.get("SLURM_STEP_ID"):  # srun --mpi=pmi2
        job = f"{environ.get('SLURM_JOB_ID')}:{environ['SLURM_STEP_ID']}"
        local = local or _slurm_local_size(environ)
    return LauncherPlace(one.launcher, rank, size, local, job)


def _local_size(one: _Variables, environ: Mapping[str, str]) -> int | None:
    if one.local_size is not None:
        return _whole(environ, one.local_size) if environ.get(one.local_size) else None
    return _slurm_local_size(environ)


def _slurm_local_size(environ: Mapping[str, str]) -> int | None:
    """Tasks of this node from ``2(x3),1`` and the node's number in the step."""
    from bench.cluster.slurm_allocation import counts

    text, node, nodes = (environ.get(name, "") for name in (SLURM_PER_NODE, "SLURM_NODEID", "SLURM_STEP_NUM_NODES"))
    if not (text and node.isdigit() and nodes.isdigit() and int(node) < int(nodes)):
        return None
    return counts(text, int(nodes))[int(node)]


def _whole(environ: Mapping[str, str], name: str) -> int:
    text = environ[name]
    if not (text.isascii() and text.isdigit()):
        raise UserError(f"{name}={text} must be a whole number; start it again with its launcher, or unset it")
    return int(text)
