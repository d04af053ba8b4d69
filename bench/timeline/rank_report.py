"""The report of a rank to rank 0 when a run is over, and the steps of all ranks on one axis of time."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from bench.record.environment_record import HostRecord, PowerModeRecord
from bench.record.host_state_record import HostStateRecord
from bench.record.memory_record import StateBytesRecord
from bench.timeline import rank_states
from bench.timeline.fault_spans import Lived
from bench.timeline.training_history import History
from strategies.comm.comm_choice import Choice
from strategies.comm.ledger import Entry


@dataclass(frozen=True)
class RankPlace:
    """Where a rank runs. ``host`` is the name in the inventory, ``processor`` that which MPI tells.

    ``first`` is true of the first rank of a host, which looks at the host for all others.
    """

    rank: int
    host: str
    processor: str
    board: str
    boot_id: str
    first: bool


@dataclass(frozen=True)
class RankFacts(RankPlace):
    """How a rank settled there: cores, threads and device; ``machine`` is told by the first rank of a host."""

    pid: int
    affinity: list[int]
    threads: int
    threads_planned: int
    device: str
    machine: HostRecord | None
    mpi: str
    thread_level: int


@dataclass(frozen=True)
class RankMemory:
    """Bytes of one rank: of the process (``peak_bytes``, ``baseline_bytes``) and of its tensors."""

    peak_bytes: int
    baseline_bytes: int
    states: StateBytesRecord
    activations_bytes: int


@dataclass(frozen=True)
class RankReport:
    """All that rank 0 needs of one rank for the record."""

    rank: int
    facts: RankFacts
    history: History
    entries: list[Entry]
    losses: list[float]
    memory: RankMemory
    weights_hash: str
    idle_ns: list[tuple[int, int]]
    drawn: list[str]
    host_states: list[HostStateRecord] = field(default_factory=list)
    """Of the first rank of a host: its state before the idle phase and after the last one. Empty elsewhere."""
    mode: PowerModeRecord | None = None
    """Of the first rank of a host: the power mode that was set on it, and whether what was before is restored."""
    lived: Lived | None = None
    """Where a rank was killed: what this one saw of it."""
    comm_choices: list[Choice] = field(default_factory=list)
    """How the groups of each axis communicate, the same on all ranks."""
    spent_ns: dict[tuple[int, str], int] = field(default_factory=dict)
    """Processor time of communication by step and thread (``Ledger.spent_ns``)."""


@dataclass(frozen=True)
class Replication:
    """When the weights were on their way, by this rank's clock, and the bytes that all ranks received."""

    begin_ns: int
    end_ns: int
    payload_bytes: int


@dataclass(frozen=True)
class Stage:
    """A stage of a point on one rank, by its clock."""

    name: str
    begin_ns: int
    end_ns: int


@dataclass(frozen=True)
class RunFacts:
    """When the run began and was ready to measure (rank 0's clock), and in civil time; how the weights were sent around."""

    begin_ns: int
    ready_ns: int
    started: datetime
    finished: datetime
    replication: Replication | None = None
    stages: Sequence[Stage] = ()
    """Those of rank 0."""


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
        """The timeline of all ranks.

        Args:
            reports: Those of all ranks, in order.
            to_common: ``to_common(rank, t_ns)`` gives seconds on the common axis.

        Returns:
            The edges of all segments, in seconds.
        """
        segments = list(zip(*(report.history.segments for report in reports), strict=True))
        edges = []
        for same in segments:
            start = max(to_common(r, s.start_ns) for r, s in enumerate(same))
            ends = zip(*([to_common(r, t) for t in s.ends_ns] for r, s in enumerate(same)), strict=True)
            edges.append([start, *(max(end) for end in ends)])
        return cls(edges, [s[0].timed for s in segments], [s[0].first_step for s in segments])

    @property
    def windows(self) -> list[tuple[float, float]]:
        """Begin and end of each timed window, s."""
        return [(edge[0], edge[-1]) for edge, timed in zip(self.edges, self.timed, strict=True) if timed]

    @property
    def window_steps(self) -> list[int]:
        """Number of steps in each timed window."""
        return [len(edge) - 1 for edge, timed in zip(self.edges, self.timed, strict=True) if timed]

    def durations(self, timed: bool) -> list[float]:
        """How long steps took.

        Args:
            timed: True: the timed steps; False: all others.

        Returns:
            Seconds of each, in order.
        """
        chosen = [edge for edge, is_timed in zip(self.edges, self.timed, strict=True) if is_timed == timed]
        return [after - before for edge in chosen for before, after in itertools.pairwise(edge)]

    def timed_steps(self) -> list[int]:
        """Numbers of the timed steps."""
        return [
            step
            for edge, timed, first in zip(self.edges, self.timed, self.first_step, strict=True)
            if timed
            for step in range(first, first + len(edge) - 1)
        ]
