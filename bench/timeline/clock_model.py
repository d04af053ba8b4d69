"""Every host's clock against rank 0's: offset before and after the run, drift between.

CLOCK_MONOTONIC starts at boot, so the clocks of two hosts have nothing in common, and a quartz of 20 ppm drifts by 72 ms
an hour. Rank 0 exchanges messages with each other rank; the exchange with the shortest round trip bounds the offset best:
the other's time lies within half of it around the middle of ours.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import stdev
from typing import TYPE_CHECKING

from bench.record.time_record import ClockRecord

if TYPE_CHECKING:
    from mpi4py import MPI

EXCHANGES = 100
BEST = 10
TAG = 4711


@dataclass(frozen=True)
class Offset:
    """Clock of ``rank`` minus clock of rank 0, at ``at_ns`` of rank ``rank``, and the round trip that gave it.

    ``spread_ns`` is the standard deviation of the offsets of the BEST shortest exchanges: how well they agree.
    """

    rank: int
    boot_id: str
    offset_ns: float
    round_trip_ns: int
    at_ns: int
    spread_ns: float = 0.0


def measure(
    comm: MPI.Comm, boot_id: str, exchanges: int = EXCHANGES, now: Callable[[], int] = time.monotonic_ns
) -> list[Offset] | None:
    """Offsets of all ranks' clocks from that of rank 0. Collective.

    Args:
        comm: All ranks.
        boot_id: That of this rank's host.
        exchanges: Messages there and back for each rank.
        now: This rank's clock, in ns.

    Returns:
        One offset for each rank, on rank 0; None elsewhere.
    """
    boot_ids = comm.gather(boot_id)
    if comm.Get_rank():
        for _ in range(exchanges):
            comm.recv(source=0, tag=TAG)
            comm.send(now(), dest=0, tag=TAG)
        return None
    assert boot_ids is not None
    offsets = [Offset(0, boot_ids[0], 0.0, 0, now())]
    for rank in range(1, comm.Get_size()):
        tries = []
        for _ in range(exchanges):
            sent = now()
            comm.send(None, dest=rank, tag=TAG)
            there = comm.recv(source=rank, tag=TAG)
            round_trip = now() - sent
            tries.append((round_trip, there - (sent + round_trip / 2), there))
        best = sorted(tries)[:BEST]
        round_trip, offset_ns, there = best[0]
        spread_ns = stdev(offset for _, offset, _ in best) if len(best) > 1 else 0.0
        offsets.append(Offset(rank, boot_ids[rank], offset_ns, round_trip, there, spread_ns))
    return offsets


@dataclass(frozen=True)
class ClockModel:
    """A straight line for each rank through its offsets before and after."""

    before: tuple[Offset, ...]
    after: tuple[Offset, ...]

    @classmethod
    def fit(cls, before: Sequence[Offset], after: Sequence[Offset]) -> ClockModel:
        """The model of a run.

        Args:
            before: Offsets of all ranks before it.
            after: Offsets of all ranks after it.

        Returns:
            A straight line for each rank.
        """
        return cls(tuple(before), tuple(after))

    def slope(self, rank: int) -> float:
        """Drift of a rank's clock against that of rank 0.

        Args:
            rank: The rank.

        Returns:
            Seconds per second.
        """
        b, a = self.before[rank], self.after[rank]
        return (a.offset_ns - b.offset_ns) / (a.at_ns - b.at_ns) if a.at_ns > b.at_ns else 0.0

    def to_common(self, rank: int, t_ns: float) -> float:
        """A time of a rank's clock on rank 0's clock. Ranks of one machine share its clock.

        Args:
            rank: The rank.
            t_ns: Nanoseconds of its clock.

        Returns:
            Nanoseconds of rank 0's clock.
        """
        b = self.before[rank]
        if b.boot_id == self.before[0].boot_id:
            return float(t_ns)
        return t_ns - (b.offset_ns + self.slope(rank) * (t_ns - b.at_ns))

    def _far(self) -> list[Offset]:
        return [o for o in (*self.before, *self.after) if o.boot_id != self.before[0].boot_id]

    @property
    def bound_s(self) -> float:
        """No offset is wrong by more than this: half of the longest of the shortest round trips."""
        return max((o.round_trip_ns for o in self._far()), default=0) / 2e9

    @property
    def residual_s(self) -> float:
        """How far the best exchanges lie from the line: the largest of their standard deviations."""
        return max((o.spread_ns for o in self._far()), default=0.0) / 1e9

    def summary(self) -> ClockRecord:
        """The record's ``time.clock``."""
        far = sorted({o.rank for o in self._far()})
        return ClockRecord(
            hosts_share_a_clock=not far,
            bound_s=self.bound_s,
            residual_s=self.residual_s,
            drift_ppm={str(rank): 1e6 * self.slope(rank) for rank in far},
        )
