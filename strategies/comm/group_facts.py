"""What ranks agree on about themselves when a mesh is set up: which share memory, and how many cores they have."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from strategies.comm.comm_choice import GroupFacts, RankCores
from strategies.comm.eager_limit import eager_limit

if TYPE_CHECKING:
    from mpi4py import MPI


class MeshFacts:
    """Nodes and cores of all ranks. Making it is collective.

    Args:
        comm: All ranks.
        cores: Of this rank; None: the cores that its affinity allows, shared by the ranks of its node.
    """

    def __init__(self, comm: MPI.Intracomm, cores: RankCores | None) -> None:
        from mpi4py import MPI

        node = comm.Split_type(MPI.COMM_TYPE_SHARED)
        self.comm = comm
        self.own = cores = cores or RankCores(
            len(os.sched_getaffinity(0)) / node.Get_size(), torch.get_num_threads(), "affinity over the ranks of the node"
        )
        first = node.bcast(comm.Get_rank())
        node.Free()
        everyone: list[tuple[int, RankCores]] = comm.allgather((first, cores))
        self.nodes = [first for first, _ in everyone]
        self.cores = min((cores for _, cores in everyone), key=lambda one: one.cores - one.threads)

    def of(self, groups: Sequence[Sequence[int]], message_bytes: int | None, point_to_point: bool = False) -> GroupFacts:
        """Facts about the groups of one axis. Collective over all ranks.

        Args:
            groups: World ranks of those that this rank belongs to.
            message_bytes: The largest message that this rank knows of; None: none.
            point_to_point: Whether all operations are messages from one rank to one other, the same on all ranks.

        Returns:
            The same on all ranks.
        """
        mine = (
            max((len(ranks) for ranks in groups), default=1),
            all(len({self.nodes[rank] for rank in ranks}) == 1 for ranks in groups),
            message_bytes,
        )
        sizes, shared, largest = zip(*self.comm.allgather(mine), strict=True)
        known = [size for size in largest if size is not None]
        shared_memory = all(shared)
        return GroupFacts(
            ranks=max(sizes),
            shared_memory=shared_memory,
            cores=self.cores,
            message_bytes=max(known) if known else None,
            eager=self.comm.bcast(eager_limit(shared_memory)),
            point_to_point=point_to_point,
        )
