"""All-reduce algorithms of our own, on messages, beside the one that the MPI library chooses.

n ranks, a buffer of M bytes, latency a and time b per byte of one link (Thakur et al., IJHPCA 19(1), 2005):

| name               | time                        | sent per rank    | good for              |
|--------------------|-----------------------------|------------------|-----------------------|
| ring               | 2 (n-1) a + 2 (n-1)/n M b   | 2 (n-1)/n M      | large buffers         |
| recursive_doubling | ceil(log2 n) (a + M b)      | ceil(log2 n) M   | small ones            |

The result is the same to the last bit on every rank, so replicas stay equal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from strategies.comm.comm_options import AllReduce, Wait
from strategies.comm.mpi_buffers import as_mpi
from strategies.comm.waiting import finish
from strategies.plan.partition import even

if TYPE_CHECKING:
    from mpi4py import MPI

TAG = 77


def _exchange(comm: MPI.Comm, sent: Tensor, to: int, received: Tensor, source: int, wait: Wait) -> None:
    arriving = comm.Irecv(as_mpi(received), source=source, tag=TAG)
    leaving = comm.Isend(as_mpi(sent), dest=to, tag=TAG)
    finish(arriving, wait)
    finish(leaving, wait)


def ring(comm: MPI.Comm, tensor: Tensor, wait: Wait) -> None:
    """Sum over the ranks: parts travel round the ring, first adding up, then complete.

    Args:
        comm: The ranks.
        tensor: This rank's summand; replaced by the sum. Contiguous.
        wait: How to wait for messages.
    """
    size, rank, flat = comm.Get_size(), comm.Get_rank(), tensor.view(-1)
    parts = [flat[begin:end] for begin, end in even(flat.numel(), size)]
    room = torch.empty_like(parts[0])
    right, left = (rank + 1) % size, (rank - 1) % size
    for step in range(size - 1):
        target = parts[(rank - step - 1) % size]
        arrived = room[: target.numel()]
        _exchange(comm, parts[(rank - step) % size], right, arrived, left, wait)
        target.add_(arrived)
    for step in range(size - 1):
        _exchange(comm, parts[(rank + 1 - step) % size], right, parts[(rank - step) % size], left, wait)


def recursive_doubling(comm: MPI.Comm, tensor: Tensor, wait: Wait) -> None:
    """Sum over the ranks: partners at distance 1, 2, 4, ... exchange all they have.

    Ranks beyond the largest power of two first hand theirs to a partner, and get the result in the end.

    Args:
        comm: The ranks.
        tensor: This rank's summand; replaced by the sum. Contiguous.
        wait: How to wait for messages.
    """
    size, rank, flat = comm.Get_size(), comm.Get_rank(), tensor.view(-1)
    power = 1 << (size.bit_length() - 1)
    if rank >= power:
        finish(comm.Isend(as_mpi(flat), dest=rank - power, tag=TAG), wait)
        finish(comm.Irecv(as_mpi(flat), source=rank - power, tag=TAG), wait)
        return
    room, extra = torch.empty_like(flat), rank + power < size
    if extra:
        finish(comm.Irecv(as_mpi(room), source=rank + power, tag=TAG), wait)
        flat.add_(room)
    distance = 1
    while distance < power:
        partner = rank ^ distance
        _exchange(comm, flat, partner, room, partner, wait)
        flat.add_(room)  # a + b is b + a to the last bit, so partners agree
        distance *= 2
    if extra:
        finish(comm.Isend(as_mpi(flat), dest=rank + power, tag=TAG), wait)


ALL_REDUCE: dict[str, Callable[[MPI.Comm, Tensor, Wait], None]] = {"ring": ring, "recursive_doubling": recursive_doubling}


def add_up(comm: MPI.Comm, sent: Tensor, summed: Tensor, algorithm: AllReduce, wait: Wait, aware: bool = False) -> None:
    """Sum over the ranks by one of the algorithms, or the library's own.

    Args:
        comm: The ranks.
        sent: This rank's summand, contiguous.
        summed: Where the sum goes, of the same shape; ``sent`` itself: it is replaced.
        algorithm: ``mpi`` or a name of ``ALL_REDUCE``.
        wait: How to wait for messages.
        aware: MPI takes buffers on a GPU.
    """
    from mpi4py import MPI

    if algorithm != "mpi":
        if sent is not summed:
            summed.copy_(sent)
        ALL_REDUCE[algorithm](comm, summed, wait)
        return
    send = MPI.IN_PLACE if sent is summed else as_mpi(sent, aware=aware)
    if wait == "spin":
        comm.Allreduce(send, as_mpi(summed, aware=aware))
    else:
        finish(comm.Iallreduce(send, as_mpi(summed, aware=aware)), wait)
