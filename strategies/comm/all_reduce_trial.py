"""Which all-reduce is the fastest in some groups, for the sizes that a step sums: tried when a mesh is set up.

All groups of an axis try at once, as they will communicate at once, and an all-reduce has taken as long as on the slowest rank:
so all ranks have the same numbers and decide the same. The trials are in no ledger.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import torch

from strategies.comm.all_reduce_algorithms import add_up
from strategies.comm.comm_choice import Trial
from strategies.comm.comm_options import ALL_REDUCES, AllReduce, AllReduceTable
from strategies.comm.waiting import Waiting

if TYPE_CHECKING:
    from mpi4py import MPI

BUDGET_S = 1.0
"""Seconds for the trials of one axis. One round of the smallest size may take longer."""
ROUNDS = 5
MOST_SIZES = 3
LEAST_BYTES = 4096
GAIN = 0.9
"""Another algorithm than the library's own must take at most this part of its time: summing in another order from run to run
for a difference within the noise would help nobody."""


def trial_sizes(payloads: Sequence[int], most_bytes: int) -> list[int]:
    """The sizes to try for the all-reduces of a step: the largest and the smallest one, and one between them.

    Args:
        payloads: Bytes of each all-reduce.
        most_bytes: Larger ones are cut into pieces of this size.

    Returns:
        At most three sizes, ascending, each at least twice the one before.
    """
    sizes = sorted({min(most_bytes, size) for size in payloads if size > 0})
    if len(sizes) < MOST_SIZES:
        apart = sizes
    else:
        middle = math.sqrt(sizes[0] * sizes[-1])
        apart = [sizes[0], min(sizes, key=lambda size: abs(math.log(size / middle))), sizes[-1]]
    return [size for i, size in enumerate(apart) if i == len(apart) - 1 or 2 * size <= apart[i + 1]]


def disjoint(payloads: Mapping[tuple[int, ...], int]) -> list[tuple[int, ...]]:
    """Groups that can try at once, for no rank is in two of them: the largest sums first.

    Args:
        payloads: Bytes that each set of ranks sums in a step.

    Returns:
        Some of the sets, the same wherever ``payloads`` is the same.
    """
    chosen: list[tuple[int, ...]] = []
    for ranks in sorted(payloads, key=lambda ranks: (-payloads[ranks], ranks)):
        if not any(set(ranks) & set(other) for other in chosen):
            chosen.append(ranks)
    return chosen


class AllReduceTrial:
    """The trials of one axis.

    Args:
        everyone: All ranks of the mesh; each takes part in everything.
        group: Those that this rank sums with; None: it only agrees.
        waiting: How the group waits.
        budget_s: Seconds for all trials.
        clock: Seconds that pass; a test gives its own.
    """

    def __init__(
        self,
        everyone: MPI.Intracomm,
        group: MPI.Comm | None,
        waiting: Waiting,
        budget_s: float = BUDGET_S,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.everyone, self.group, self.waiting, self.budget_s, self.clock = everyone, group, waiting, budget_s, clock
        self.spent_s = 0.0

    def run(self, sizes: Sequence[int]) -> list[Trial]:
        """Try every algorithm with every size that the budget allows. Collective over all ranks.

        A size that would take too long is halved until it fits; what lies above it is decided by the last trial.

        Args:
            sizes: Bytes, ascending, the same on all ranks.

        Returns:
            The same trials on all ranks, ascending by size.
        """
        if not sizes:
            return []
        probe = min(LEAST_BYTES, sizes[0])
        self._round(probe)  # opens the connections
        known = probe, max(self._round(probe).values())
        trials: list[Trial] = []
        for number, size in enumerate(sizes):
            until_s = self.budget_s * (number + 1) / len(sizes)
            fitting = self._fitting(size, known, until_s)
            if trials and fitting <= trials[-1].payload_bytes:
                continue
            rounds = [self._round(fitting)]
            while len(rounds) < ROUNDS and self.spent_s + sum(rounds[-1].values()) < until_s:
                rounds.append(self._round(fitting))
            best = {name: min(one[name] for one in rounds) for name in rounds[0]}
            known = fitting, max(best.values())
            trials.append(Trial(fitting, best, fastest(best)))
        return trials

    def _fitting(self, size: int, known: tuple[int, float], until_s: float) -> int:
        """The size, halved until a round of it fits into the time, as the last one tells; time grows with size at most."""
        known_bytes, known_s = known
        while size > LEAST_BYTES and size > known_bytes:
            if self.spent_s + len(ALL_REDUCES) * known_s * size / known_bytes <= until_s:
                break
            size = max(size // 2, LEAST_BYTES, known_bytes)
        return size

    def _round(self, size: int) -> dict[str, float]:
        """Every algorithm once; seconds of the slowest rank."""
        from mpi4py import MPI

        tensor = torch.zeros(max(1, size // 4), dtype=torch.float32)
        took: dict[str, float] = {}
        for name in ALL_REDUCES:
            self.everyone.Barrier()
            begin_s = self.clock()
            if self.group is not None:
                add_up(self.group, tensor, tensor, name, self.waiting)
            took[name] = self.clock() - begin_s
        slowest: list[float] = [self.everyone.allreduce(seconds, MPI.MAX) for seconds in took.values()]
        self.spent_s += sum(slowest)
        return dict(zip(took, slowest, strict=True))


def fastest(seconds: dict[str, float]) -> AllReduce:
    """The algorithm to use.

    Args:
        seconds: By algorithm.

    Returns:
        The library's own unless another one takes at most ``GAIN`` of its time; then the fastest.
    """
    best: AllReduce = min(ALL_REDUCES, key=lambda name: seconds[name])
    return best if seconds[best] <= GAIN * seconds["mpi"] else "mpi"


def table_of(trials: Sequence[Trial]) -> AllReduceTable:
    """Which algorithm sums how many bytes, by the trials: from one size to the next it changes in their (geometric) middle.

    Args:
        trials: Ascending by size, at least one.

    Returns:
        The table.
    """
    rows: list[tuple[int, AllReduce]] = []
    for index, trial in enumerate(trials):
        above = trials[index + 1].payload_bytes if index + 1 < len(trials) else trial.payload_bytes
        row = (math.isqrt(trial.payload_bytes * above), trial.chosen)
        if rows and rows[-1][1] == trial.chosen:
            rows.pop()
        rows.append(row)
    return AllReduceTable(tuple(rows))
