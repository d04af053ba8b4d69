"""How a rank settles on its host: cores, threads, device."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from bench.cluster.rank_hosts import host_of
from bench.common.user_error import UserError
from bench.conditions.environment import collect_host
from bench.conditions.host_agreement import busy_together, code_hash
from bench.config.point_config import PointConfig
from bench.energy.sampling.energy_session import root_of
from bench.energy.sampling.host_identity import HostIdentity
from bench.record.environment_record import HostRecord
from bench.timeline.rank_report import RankFacts, RankPlace
from strategies.comm.cuda_buffers import why_not_aware

if TYPE_CHECKING:
    from mpi4py import MPI

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def locate(config: PointConfig, comm: MPI.Intracomm) -> RankPlace:
    """Where this rank is. Collective.

    Args:
        config: The point.
        comm: All its ranks.

    Returns:
        The place; the ``first`` rank of a host is the one that looks at the host for all others.
    """
    from mpi4py import MPI  # importing it starts MPI, and the planner reads this module on the launch host

    host = host_of(config, comm.Get_rank())
    processor = MPI.Get_processor_name()
    boot_id = BOOT_ID.read_text().strip() if BOOT_ID.exists() else "unknown"
    homes = comm.allgather((boot_id, processor))
    return RankPlace(
        rank=comm.Get_rank(),
        host=host.label,
        processor=processor,
        board=host.board,
        boot_id=boot_id,
        first=homes.index((boot_id, processor)) == comm.Get_rank(),
    )


def settle(config: PointConfig, comm: MPI.Comm, place: RankPlace) -> RankFacts:
    """Set this rank's threads, choose its device, and look at the host where this rank is its first. Collective.

    Threads default to the host's cores shared by its slots: a slot is a part of the host whether or not it is used,
    so one rank on a host of two slots gets half of it. torch alone would take one thread under Open MPI, because MKL
    sees ``OMPI_COMM_WORLD_LOCAL_SIZE``.

    Args:
        config: The point.
        comm: All its ranks.
        place: Where this rank is.

    Returns:
        The facts of this rank; those of the host on its first rank only.

    Raises:
        UserError: A GPU is asked for and there is none.
    """
    from mpi4py import MPI  # see locate

    host = host_of(config, comm.Get_rank())
    machine = _look_at_host(config, comm, place)  # before anything of ours computes
    if config.cluster.emulated is not None and config.cluster.emulated.cpus is not None:
        _confine(config.cluster.emulated.cpus)
    affinity = sorted(os.sched_getaffinity(0))
    planned = host.threads or config.threads or max(1, (os.cpu_count() or 1) // host.slots)
    torch.set_num_threads(min(planned, len(affinity)))
    return RankFacts(
        **vars(place),
        pid=os.getpid(),
        affinity=affinity,
        threads=torch.get_num_threads(),
        threads_planned=planned,
        device=device_of(config, comm),
        machine=machine,
        mpi=MPI.Get_library_version().split("\n")[0].strip("\0 "),
        thread_level=MPI.Query_thread(),
    )


def _confine(cpus: Sequence[int]) -> None:
    """Keep all threads of this process, MPI's too, on some processors. MPI's daemons undo what a rank would inherit."""
    for thread in Path("/proc/self/task").iterdir():
        with suppress(ProcessLookupError):  # one that has ended meanwhile
            os.sched_setaffinity(int(thread.name), cpus)


def _look_at_host(config: PointConfig, comm: MPI.Comm, place: RankPlace) -> HostRecord | None:
    """The host before anything of this run computes, on its first rank; None on the others. Collective."""
    root = Path(root_of(config.energy["root"], place.host))
    busy = busy_together(comm.Barrier, place.first, root)
    if not place.first:
        return None
    return replace(collect_host(place.host, place.board, root), code_hash=code_hash(), busy_before=busy)


def device_of(config: PointConfig, comm: MPI.Comm) -> str:
    """The device of this rank: the ranks of a host go round over its GPUs. Collective for GPUs.

    Args:
        config: The point.
        comm: All its ranks.

    Returns:
        ``cpu``, or ``cuda:`` and the number of the GPU.

    Raises:
        UserError: There is no GPU, or MPI cannot send from one though that is asked for.
    """
    if config.device == "cpu":
        return "cpu"
    from mpi4py import MPI  # see locate

    if not torch.cuda.is_available():
        raise UserError(f"device=cuda, but torch {torch.__version__} finds no GPU on this host; use device=cpu")
    why_not = why_not_aware(comm) if config.comm.cuda == "aware" else None
    if why_not is not None:
        raise UserError(f"comm.cuda=aware cannot be used: {why_not}; use comm.cuda=staged")
    local = comm.Split_type(MPI.COMM_TYPE_SHARED).Get_rank()
    device = local % torch.cuda.device_count()
    torch.cuda.set_device(device)
    return f"cuda:{device}"


def host_identity(place: RankPlace) -> HostIdentity:
    """The host as the energy session knows it.

    Args:
        place: Where this rank is.

    Returns:
        The identity. Boards emulated on one machine share its boot id, not its name.
    """
    return HostIdentity(place.processor, place.boot_id, place.board, place.host)


def weights_hash(module: torch.nn.Module) -> str:
    """Hash of all local weights, to compare replicas.

    Args:
        module: This rank's part of the model.

    Returns:
        The SHA-1, 40 hexadecimal digits.
    """
    digest = hashlib.sha1(usedforsecurity=False)
    for parameter in module.parameters():
        digest.update(parameter.detach().cpu().contiguous().view(-1).numpy().tobytes())
    return digest.hexdigest()
