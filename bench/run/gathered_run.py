"""All that rank 0 has when a run is over, on one axis of time: what the blocks of the record are built from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

from bench.cluster.board_class import boards_of
from bench.config.point_config import PointConfig
from bench.joules.channel import Trace
from bench.joules.cover import Cover, find_cover
from bench.joules.reused_idle import ReusedIdle
from bench.joules.timed_run import Run
from bench.joules.waiting_share import charge_waiting, model_on_gpu
from bench.timeline import rank_states
from bench.timeline.clock_model import ClockModel
from bench.timeline.rank_report import RankReport, RunFacts, Timeline
from strategies.comm.ledger import Entry
from strategies.plan.shapes import Plan


@dataclass(frozen=True)
class GatheredRun:
    """A run that is over.

    ``reports`` and ``traces`` are those of all ranks, one report a rank in their order. ``plan_after`` is the plan of the
    survivors where a rank was killed; everything else is of the time before. ``reused_idle`` is the idle power of another
    point, ``why_idle`` the reason why one at hand was not taken.
    """

    config: PointConfig
    plan: Plan
    reports: Sequence[RankReport]
    traces: Sequence[Trace]
    clock: ClockModel
    facts: RunFacts
    plan_after: Plan | None = None
    reused_idle: ReusedIdle | None = None
    why_idle: str | None = None

    def to_common(self, rank: int, t_ns: float) -> float:
        """A time of one rank's clock on the common axis: here, and nowhere else, it becomes that of dilated boards.

        Args:
            rank: The rank whose clock it is.
            t_ns: CLOCK_MONOTONIC of its host, ns.

        Returns:
            Seconds from the start of the run, in the boards' time.
        """
        return (self.clock.to_common(rank, t_ns) - self.facts.begin_ns) / 1e9 / self.config.dilation_factor

    def with_waiting_charged(self) -> GatheredRun:
        """The run with the waiting of boards that stand for their GPU charged to their CPU (``bench/joules/waiting_share.py``).

        Returns:
            A copy; this one where there is no such board.
        """
        boards = boards_of(self.config.boards)
        if all(model_on_gpu(trace, boards[trace.board]) is None for trace in self.traces):
            return self
        run, traces = self.run, []
        for trace in self.traces:
            board = boards[trace.board]
            model, ranks = model_on_gpu(trace, board), [rank for rank, host in run.rank_host.items() if host in trace.covers]
            if model is not None and ranks:
                stretches, to_common_s = [run.stretches[rank] for rank in ranks], partial(self.to_common, trace.rank)
                cores = 1.0 if board.cores is None else board.cores.value
                trace = charge_waiting(trace, stretches, run.windows, to_common_s, model, cores)
            traces.append(trace)
        return replace(self, traces=traces)

    @cached_property
    def timeline(self) -> Timeline:
        """The steps of all ranks."""
        return Timeline.of(self.reports, self.to_common)

    @cached_property
    def entries(self) -> dict[int, list[Entry]]:
        """The ledger of every rank."""
        return {report.rank: report.entries for report in self.reports}

    @cached_property
    def by_state(self) -> dict[int, rank_states.RankStates]:
        """When every rank communicated and waited."""
        return rank_states.rank_states(self.entries, self.to_common)

    @cached_property
    def run(self) -> Run:
        """Windows, hosts, phases and work, as the energy needs them."""
        train, steps = self.config.train, len(self.timeline.durations(timed=True))
        return Run(
            windows=self.timeline.windows,
            idle_windows=[(self.to_common(0, begin), self.to_common(0, end)) for begin, end in self.reports[0].idle_ns],
            rank_host={report.rank: report.facts.host for report in self.reports},
            stretches={
                rank: rank_states.stretches(self.entries[rank], states, rank, self.to_common)
                for rank, states in self.by_state.items()
            },
            samples=steps * train.batch,
            tokens=steps * train.batch * train.seq,
            steps=steps,
            reused_idle=self.reused_idle,
            why_idle=self.why_idle,
        )

    @cached_property
    def cover(self) -> Cover:
        """The readings of all hosts that take part, nothing counted twice."""
        return self.cover_of(self.run.hosts)

    def cover_of(self, hosts: Sequence[str]) -> Cover:
        """The readings of some hosts.

        Args:
            hosts: Their names in the inventory.

        Returns:
            The traces that cover them, nothing counted twice.
        """
        return find_cover(self.traces, hosts, self.to_common)

    @property
    def startup_s(self) -> float:
        """From the start of the run until it was ready to measure, s."""
        return self.to_common(0, self.facts.ready_ns) - self.to_common(0, self.facts.begin_ns)
