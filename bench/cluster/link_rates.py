"""How fast ranks reach each other: latency and rate of every pair, one pair at a time, while the others sleep."""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from mpi4py import MPI

SMALL_BYTES, ROUNDS, LARGE_ROUNDS = 8, 40, 3
NAP_S = 0.002
TAG = 4712


@dataclass(frozen=True)
class RankLink:
    """Two ranks, the latency between them one way (s), and the rates from the lower one (there) and to it (back), in bit/s."""

    low: int
    high: int
    latency_s: float
    there_bit_s: float
    back_bit_s: float


def exchange(comm: MPI.Intracomm, other: int, first: bool, megabytes: float) -> tuple[float, float, float]:
    """Latency to another rank and the rates there and back; both ranks of the pair call it.

    The latency is half of the median round trip of 8 bytes. A rate is of one large message that the other answers with 8 bytes,
    less the latency of the answer; the fastest of three.

    Args:
        comm: The communicator of both.
        other: The rank of the other in ``comm``.
        first: Whether this rank sends first; true on exactly one of the two.
        megabytes: Size of the large message in 1e6 bytes.

    Returns:
        Latency one way in s, rate from the first to the other and rate back in bit/s.
    """
    small, large = np.zeros(SMALL_BYTES, np.uint8), np.zeros(int(megabytes * 1e6), np.uint8)

    def there_and_back(out: np.ndarray, back: np.ndarray) -> float:
        begin = time.perf_counter()
        if first:
            comm.Send(out, dest=other, tag=TAG)
            comm.Recv(back, source=other, tag=TAG)
        else:
            comm.Recv(out, source=other, tag=TAG)
            comm.Send(back, dest=other, tag=TAG)
        return time.perf_counter() - begin

    there_and_back(small, small)  # the first message makes the connection
    latency_s = median(there_and_back(small, small) for _ in range(ROUNDS)) / 2
    rates = []
    for out, back in ((large, small), (small, large)):
        took_s = min(there_and_back(out, back) for _ in range(LARGE_ROUNDS)) - latency_s
        rates.append(large.nbytes * 8 / max(took_s, 1e-9))
    return latency_s, rates[0], rates[1]


def links(comm: MPI.Intracomm, megabytes: float) -> list[RankLink]:
    """Measure every pair of ranks, one after the other, seen from its lower rank. Collective.

    Args:
        comm: The communicator of all ranks.
        megabytes: Size of the large message in 1e6 bytes.

    Returns:
        On rank 0 a link for each pair; empty on other ranks.
    """
    rank, measured = comm.Get_rank(), []
    for low in range(comm.Get_size()):
        for high in range(low + 1, comm.Get_size()):
            rest(comm)
            if rank in (low, high):
                latency_and_rates = exchange(comm, high if rank == low else low, rank == low, megabytes)
                if rank == low:
                    measured.append(RankLink(low, high, *latency_and_rates))
    rest(comm)
    gathered = comm.gather(measured)
    return [] if gathered is None else [link for own_links in gathered for link in own_links]


def rest(comm: MPI.Intracomm) -> None:
    """A barrier in which ranks sleep: those that wait must not take a core, or the network's, from those that measure.

    Args:
        comm: The communicator whose ranks all call this.
    """
    request = comm.Ibarrier()
    while not request.Test():
        time.sleep(NAP_S)
