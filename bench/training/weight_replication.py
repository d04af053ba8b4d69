"""The cost of bringing the weights to the boards: the third phase of collaborative training, timed and metered apart.

    rank 0 --(each tensor once to all who need it: broadcast)--> ranks that hold it, whole or a slice

Every rank has read its weights from its own files by now; with ``train.replicate=true`` rank 0 sends each of them what it
asked its files for, and each compares the bits. Bytes are those that arrive: for every tensor its size times the ranks
that receive it. A broadcast of MPI sends them along a tree, so rank 0's link need not carry them all.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from bench.common.user_error import UserError
from bench.config.point_config import PointConfig
from bench.timeline.rank_report import Replication
from strategies.comm.mpi_buffers import as_mpi, nbytes
from strategies.models.pretrained_weights import WeightLoader
from strategies.plan.model_spec import ModelSpec, Parameter
from strategies.plan.partition import Span

if TYPE_CHECKING:
    from mpi4py import MPI

Request = tuple[Parameter, Span | None, torch.dtype]


class RememberingLoader(WeightLoader):
    """A loader that keeps a list of what was ``asked`` of it."""

    def __init__(self, spec: ModelSpec, checkpoint: Path | None, seed: int) -> None:
        super().__init__(spec, checkpoint, seed)
        self.asked: list[Request] = []

    def read(self, parameter: Parameter, span: Span | None, dtype: torch.dtype) -> Tensor:
        """As the base class, noting the request."""
        self.asked.append((parameter, span, dtype))
        return super().read(parameter, span, dtype)


def replicate(config: PointConfig, comm: MPI.Intracomm, asked: list[Request]) -> Replication:
    """Send every rank what it asked for, from rank 0. Collective.

    Args:
        config: The point.
        comm: All its ranks.
        asked: The requests of this rank's loader, in their order.

    Returns:
        Begin and end on this rank's clock, ns, and the bytes that all ranks received.

    Raises:
        UserError: The files of a rank differ from those of rank 0.
    """
    rank = comm.Get_rank()
    deliveries = comm.bcast(_needed(by_rank) if (by_rank := comm.gather(asked)) is not None else None)
    groups = {ranks: _group(comm, ranks) for ranks in dict.fromkeys(ranks for _, ranks in deliveries)}
    model = config.model
    received: list[tuple[Request, Tensor]] = []
    with WeightLoader(model.spec, model.checkpoint_folder, config.seed) as load:
        comm.Barrier()
        begin_ns = time.monotonic_ns()
        for request, ranks in deliveries:
            if rank not in ranks:
                continue
            parameter, span, dtype = request
            if rank == 0:
                tensor = load.read(parameter, span, dtype)
            else:
                tensor = torch.empty(parameter.part(span), dtype=dtype)
                received.append((request, tensor))
            groups[ranks].Bcast(as_mpi(tensor), root=0)
        comm.Barrier()
        end_ns = time.monotonic_ns()
        other = [request[0].name for request, tensor in received if not torch.equal(tensor, load.read(*request))]
    wrong = [differing for differing in comm.allgather((rank, other)) if differing[1]]
    if wrong:
        raise UserError(
            f"the weights of rank {wrong[0][0]} differ from rank 0's ({wrong[0][1][0]}); bring the same files to every board: "
            "python -m bench.doctor push"
        )
    total = comm.allreduce(sum(nbytes(tensor) for _, tensor in received))
    for group in groups.values():
        if group is not None:
            group.Free()
    return Replication(begin_ns, end_ns, total)


def _needed(asked: list[list[Request]]) -> list[tuple[Request, tuple[int, ...]]]:
    """Each distinct tensor with rank 0 and the ranks that need it, in the order in which they first asked."""
    ranks: dict[Request, set[int]] = {}
    for rank, requests in enumerate(asked[1:], 1):
        for request in requests:
            ranks.setdefault(request, {0}).add(rank)
    return [(request, tuple(sorted(receivers))) for request, receivers in ranks.items()]


def _group(comm: MPI.Intracomm, ranks: tuple[int, ...]) -> Any:
    """A communicator of these ranks, None on others; rank 0 is its first."""
    return comm.Create_group(comm.Get_group().Incl(ranks)) if comm.Get_rank() in ranks else None
