"""The cores that a rank may use: its affinity, shared with other ranks, under the processor quota of its board or container."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from bench.config.point_config import PointConfig
from strategies.comm.comm_choice import RankCores

if TYPE_CHECKING:
    from mpi4py import MPI

CGROUPS, MEMBERSHIP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def rank_cores(config: PointConfig, comm: MPI.Comm) -> RankCores:
    """The processor of this rank. Collective.

    Args:
        config: The point, which knows the quotas of emulated boards.
        comm: All ranks that compute at once.

    Returns:
        Cores, computing threads (one where a GPU computes), and where the number of cores comes from.
    """
    from mpi4py import MPI  # importing it starts MPI, and the planner reads this package on the launch host

    processor, emulated = MPI.Get_processor_name(), config.cluster.emulated
    machine = "" if emulated else processor  # emulated boards share one machine
    everyone = comm.allgather((machine, processor, sorted(os.sched_getaffinity(0))))
    share = fair_share(everyone[comm.Get_rank()][2], [cores for home, _, cores in everyone if home == machine])
    beside = sum(name == processor for _, name, _ in everyone)
    if emulated:
        quotas = {board.name: board.quota_cores for board in emulated.boards}
        quota, source = quotas.get(processor), "quota of the board"
    else:
        quota, source = container_quota(CGROUPS, MEMBERSHIP), "quota of the control group"
    threads = torch.get_num_threads() if config.device == "cpu" else 1
    if quota is not None and quota / beside < share:
        return RankCores(quota / beside, threads, source)
    return RankCores(share, threads, "affinity")


def fair_share(affinity: Sequence[int], everyone: Sequence[Sequence[int]]) -> float:
    """A rank's part of the cores that it may run on, each divided by the ranks that may run on it too.

    Args:
        affinity: Cores of this rank.
        everyone: Cores of each rank of the machine, this one included.

    Returns:
        Cores.
    """
    return sum(1 / max(1, sum(core in cores for cores in everyone)) for core in affinity)


def container_quota(cgroups: Path, membership: Path) -> float | None:
    """The processor quota of this process's control group and those above it, versions 1 and 2.

    Args:
        cgroups: Where control groups are mounted.
        membership: The file that names those of the process, as ``/proc/self/cgroup``.

    Returns:
        The least of them in cores; None: no limit is known.
    """
    if not membership.exists():
        return None
    quotas = []
    for line in membership.read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        names = (controllers, "cpu", "cpu,cpuacct") if controllers else ("", "unified")
        mount = next((cgroups / name for name in names if (cgroups / name).is_dir()), cgroups)
        inside = Path(path.strip("/"))
        quotas += [_quota(mount / folder) for folder in (inside, *inside.parents)]
    return min((quota for quota in quotas if quota is not None), default=None)


def _quota(folder: Path) -> float | None:
    """Cores that one group may use; None: it has no limit or does not exist."""
    if (limit := folder / "cpu.max").is_file():
        amount, period = limit.read_text().split()
        return None if amount == "max" else int(amount) / int(period)
    if (limit := folder / "cpu.cfs_quota_us").is_file():
        quota_us = int(limit.read_text())
        return None if quota_us < 0 else quota_us / int((folder / "cpu.cfs_period_us").read_text())
    return None
