"""All-reduce algorithms of our own, on messages, beside the one that the MPI library chooses.

n ranks, a buffer of M bytes, latency a and time b per byte of one link (Thakur et al., IJHPCA 19(1), 2005):

| name               | time                        | sent per rank    | good for              |
|--------------------|-----------------------------|------------------|-----------------------|
| ring               | 2 (n-1) a + 2 (n-1)/n M b   | 2 (n-1)/n M      | large buffers         |
| recursive_doubling | ceil(log2 n) (a + M b)      | ceil(log2 n) M   | small ones            |

The result is the same to the last bit on every rank, so replicas stay equal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from strategies.comm.comm_options import AllReduce
from strategies.comm.mpi_buffers import as_mpi
from strategies.comm.waiting import Waiting
from strategies.plan.partition import even

if TYPE_CHECKING:
    from mpi4py import MPI

TAG = 77


def _exchange(
    comm: MPI.Comm, sent: Tensor, to: int, received: Tensor, source: int, waiting: Waiting, moved: bool = False
) -> None:
    arriving = [comm.Irecv(as_mpi(piece, moved), source=source, tag=TAG) for piece in waiting.pieces(received)]
    leaving = [comm.Isend(as_mpi(piece, moved), dest=to, tag=TAG) for piece in waiting.pieces(sent)]
    waiting.finish_all([*arriving, *leaving])


def ring(comm: MPI.Comm, tensor: Tensor, waiting: Waiting) -> None:
    """Sum over the ranks: parts travel round the ring, first adding up, then complete.

    Args:
        comm: The ranks.
        tensor: This rank's summand; replaced by the sum. Contiguous.
        waiting: How to wait for messages.
    """
    flat = tensor.view(-1)
    parts = [flat[begin:end] for begin, end in even(flat.numel(), comm.Get_size())]
    ring_reduce_scatter(comm, parts, waiting)
    ring_all_gather(comm, parts, waiting)


def ring_reduce_scatter(comm: MPI.Comm, parts: Sequence[Tensor], waiting: Waiting) -> None:
    """Sum over the ranks, of which each gets its own part: (n-1)/n of the bytes leave a rank.

    Args:
        comm: The ranks.
        parts: This rank's summand, a part for each rank, contiguous; the own one is replaced by the sum, the others are spoilt.
        waiting: How to wait for messages.
    """
    size, rank = comm.Get_size(), comm.Get_rank()
    room = parts[0].new_empty(max(part.numel() for part in parts))
    right, left = (rank + 1) % size, (rank - 1) % size
    for step in range(size - 1):
        target = parts[(rank - step - 2) % size]
        arrived = room[: target.numel()]
        _exchange(comm, parts[(rank - step - 1) % size], right, arrived, left, waiting)
        target.add_(arrived)


def ring_all_gather(comm: MPI.Comm, parts: Sequence[Tensor], waiting: Waiting) -> None:
    """Every rank gets the parts of all.

    Args:
        comm: The ranks.
        parts: A part for each rank, contiguous, of which the own one is there. 16-bit floats may be moved.
        waiting: How to wait for messages.
    """
    size, rank = comm.Get_size(), comm.Get_rank()
    right, left = (rank + 1) % size, (rank - 1) % size
    for step in range(size - 1):
        _exchange(comm, parts[(rank - step) % size], right, parts[(rank - step - 1) % size], left, waiting, moved=True)


def recursive_doubling(comm: MPI.Comm, tensor: Tensor, waiting: Waiting) -> None:
    """Sum over the ranks: partners at distance 1, 2, 4, ... exchange all they have.

    Ranks beyond the largest power of two first hand theirs to a partner, and get the result in the end.

    Args:
        comm: The ranks.
        tensor: This rank's summand; replaced by the sum. Contiguous.
        waiting: How to wait for messages.
    """
    size, rank, flat = comm.Get_size(), comm.Get_rank(), tensor.view(-1)
    power = 1 << (size.bit_length() - 1)
    if rank >= power:
        waiting.finish(comm.Isend(as_mpi(flat), dest=rank - power, tag=TAG))
        waiting.finish(comm.Irecv(as_mpi(flat), source=rank - power, tag=TAG))
        return
    room, extra = torch.empty_like(flat), rank + power < size
    if extra:
        waiting.finish(comm.Irecv(as_mpi(room), source=rank + power, tag=TAG))
        flat.add_(room)
    distance = 1
    while distance < power:
        partner = rank ^ distance
        _exchange(comm, flat, partner, room, partner, waiting)
        flat.add_(room)  # a + b is b + a to the last bit, so partners agree
        distance *= 2
    if extra:
        waiting.finish(comm.Isend(as_mpi(flat), dest=rank + power, tag=TAG))


ALL_REDUCE: dict[str, Callable[[MPI.Comm, Tensor, Waiting], None]] = {"ring": ring, "recursive_doubling": recursive_doubling}


def add_up(comm: MPI.Comm, sent: Tensor, summed: Tensor, algorithm: AllReduce, waiting: Waiting, aware: bool = False) -> None:
    """Sum over the ranks by one of the algorithms, or the library's own.

    Args:
        comm: The ranks.
        sent: This rank's summand, contiguous.
        summed: Where the sum goes, of the same shape; ``sent`` itself: it is replaced.
        algorithm: ``mpi`` or a name of ``ALL_REDUCE``.
        waiting: How to wait for messages.
        aware: MPI takes buffers on a GPU.
    """
    from mpi4py import MPI

    if algorithm != "mpi":
        if sent is not summed:
            summed.copy_(sent)
        ALL_REDUCE[algorithm](comm, summed, waiting)
        return
    send = MPI.IN_PLACE if sent is summed else as_mpi(sent, aware=aware)
    if waiting.wait == "spin":
        comm.Allreduce(send, as_mpi(summed, aware=aware))
    else:
        waiting.finish(comm.Iallreduce(send, as_mpi(summed, aware=aware)))
