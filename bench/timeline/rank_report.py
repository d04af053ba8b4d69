"""What the ranks hand to rank 0 when a run is over, and their steps on one axis of time."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bench.timeline import rank_states


@dataclass(frozen=True)
class RankReport:
    """What a rank hands to rank 0 when the run is over."""

    rank: int
    facts: dict[str, Any]
    history: Any
    entries: list[Any]
    losses: list[float]
    memory: dict[str, int]
    weights_hash: str
    idle_ns: list[tuple[int, int]]
    drawn: list[str]
    host_states: list[dict[str, Any]] = field(default_factory=list)
    """Of the first rank of a host: how it stood before the idle phase and after the last one. Empty elsewhere."""
    mode: dict[str, Any] | None = None
    """Of the first rank of a host: the power mode that was set on it, and whether what was before is restored."""
    lived: Any = None
    """Where a rank was killed: what this one saw of it."""


@dataclass(frozen=True)
class RunFacts:
    """When the run began and was ready to measure (rank 0's clock), and in civil time; how the weights were sent around."""

    begin_ns: int
    ready_ns: int
    started: datetime
    finished: datetime
    replication: Any = None


@dataclass(frozen=True)
class Timeline:
    """The steps of all ranks on one axis, in seconds from the start of the run.

    ``edges[i]`` are the boundaries of segment i: its start, then the moment at which the last rank ended each step.
    """

    edges: list[list[float]]
    timed: list[bool]
    first_step: list[int]

    @classmethod
    def of(cls, reports: Sequence[RankReport], to_common: rank_states.ToCommon) -> Timeline:
        segments = list(zip(*(report.history.segments for report in reports), strict=True))
        edges = []
        for same in segments:
            start = max(to_common(r, s.start_ns) for r, s in enumerate(same))
            ends = zip(*([to_common(r, t) for t in s.ends_ns] for r, s in enumerate(same)), strict=True)
            edges.append([start, *(max(end) for end in ends)])
        return cls(edges, [s[0].timed for s in segments], [s[0].first_step for s in segments])

    @property
    def windows(self) -> list[tuple[float, float]]:
        return [(edge[0], edge[-1]) for edge, timed in zip(self.edges, self.timed, strict=True) if timed]

    def durations(self, timed: bool) -> list[float]:
        chosen = [edge for edge, is_timed in zip(self.edges, self.timed, strict=True) if is_timed == timed]
        return [after - before for edge in chosen for before, after in itertools.pairwise(edge)]

    def timed_steps(self) -> list[int]:
        return [
            step
            for edge, timed, first in zip(self.edges, self.timed, self.first_step, strict=True)
            if timed
            for step in range(first, first + len(edge) - 1)
        ]
