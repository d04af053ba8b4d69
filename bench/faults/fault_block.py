"""The record's ``fault`` block: seconds, bytes and joules of the failure, step by step on the common axis."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from bench.common.phases import RECOVERY
from bench.config.point_config import PointFault
from bench.joules.cover import Cover, Window
from bench.joules.energy_block import window_energy
from bench.record.fault_record import (
    AfterFaultRecord,
    CopiesRecord,
    FaultRecord,
    FaultStepRecord,
    RecoveryPhaseRecord,
    RecoveryRecord,
    TrainingStretchRecord,
)
from bench.record.point_record import MeshRecord
from bench.timeline.fault_spans import Lived, Span
from bench.timeline.rank_states import ToCommon
from strategies.plan.shapes import Plan

Part = Literal["copies", "redo", "after"]
Covers = Callable[[Sequence[str]], Cover]


def fault_block(
    fault: PointFault,
    batch: int,
    plan: Plan,
    lives: Sequence[Lived],
    hosts: Sequence[str],
    covers: Covers,
    clock_s: float,
    to_common: ToCommon,
) -> FaultRecord:
    """The block of a point of which one rank was killed.

    Joules before the failure are those of all hosts, from then on those of the survivors' hosts.

    Args:
        fault: The failure that was asked for.
        batch: Samples of one optimizer step.
        plan: The plan of the survivors.
        lives: The views of all ranks, the failed one included.
        hosts: The host of every rank, by its name in the inventory.
        covers: The readings of some hosts.
        clock_s: The error bound of the hosts' clocks, s.
        to_common: ``to_common(rank, t_ns)`` gives seconds on the common axis.

    Returns:
        The block; its steps are those before the failure, the replayed ones, and those after it.
    """
    return _FaultSummary(fault, batch, plan, lives, hosts, covers, clock_s, to_common).block()


@dataclass(frozen=True)
class _FaultSummary:
    """One failure: the arguments of ``fault_block``, and what several keys of the block need."""

    fault: PointFault
    batch: int
    plan: Plan
    lives: Sequence[Lived]
    hosts: Sequence[str]
    covers: Covers
    clock_s: float
    to_common: ToCommon

    @cached_property
    def survivors(self) -> list[Lived]:
        return [life for life in self.lives if life.rank != self.fault.rank]

    @cached_property
    def remaining_hosts(self) -> list[str]:
        return list(dict.fromkeys(self.hosts[life.rank] for life in self.survivors))

    @cached_property
    def surviving_cover(self) -> Cover:
        return self.covers(self.remaining_hosts)

    @cached_property
    def replayed(self) -> list[FaultStepRecord]:
        return list(self._steps(self.survivors, "redo"))

    @cached_property
    def steps(self) -> list[FaultStepRecord]:
        replayed_s = self.replayed[-1].end_s if self.replayed else -math.inf
        return [*self._steps(self.lives, "copies"), *self.replayed, *self._steps(self.survivors, "after", replayed_s)]

    @cached_property
    def edges(self) -> list[float]:
        """The failure, then the end of each phase of the recovery; without lost steps the last one takes no time."""
        edges = [self._begin_s(self.survivors, "notice")]
        for part in RECOVERY:
            edges.append(self._end_s(self.survivors, part) if part != "redo" or self.replayed else edges[-1])
        return edges

    def block(self) -> FaultRecord:
        at_s, recovered_s = self.edges[0], self.edges[-1]
        spent = window_energy(self.surviving_cover, self.clock_s, (at_s, recovered_s))
        return FaultRecord(
            rank=self.fault.rank,
            host=self.hosts[self.fault.rank],
            step=max(step.step for step in self.steps if step.part == "copies") + 1,
            at_s=at_s,
            recovered_s=recovered_s,
            recovery=RecoveryRecord(seconds=recovered_s - at_s, **vars(spent)),
            phases=self._phases(),
            lost_steps=len(self.replayed),
            loss_difference=self._loss_difference(),
            restored_bytes=sum(life.restored_bytes for life in self.survivors),
            copies=self._copies(),
            after=self._after(),
            steps=self.steps,
        )

    def _phases(self) -> list[RecoveryPhaseRecord]:
        return [
            RecoveryPhaseRecord(
                name=part,
                start_s=begin,
                end_s=end,
                **vars(window_energy(self.surviving_cover, self.clock_s, (begin, end))),
            )
            for part, begin, end in zip(RECOVERY, self.edges, self.edges[1:], strict=False)
            if part != "redo" or self.replayed
        ]

    def _copies(self) -> CopiesRecord:
        copies = [self._edges_of(self.lives, same) for same in _together(self.lives, "copies", "copy")]
        window = (self._begin_s(self.lives, "copies"), self._end_s(self.lives, "copies"))
        everywhere = self.covers(list(dict.fromkeys(self.hosts)))
        return CopiesRecord(
            every_steps=self.fault.snapshot_every,
            seconds=[end - begin for begin, end in copies],
            payload_bytes=sum(life.copied_bytes for life in self.lives),
            memory_bytes=[life.copy_memory_bytes for life in self.lives],
            **vars(self._stretch(window, len(self.lives), "copies", everywhere)),
        )

    def _after(self) -> AfterFaultRecord:
        window = (self.edges[-1], self._end_s(self.survivors, "after"))
        return AfterFaultRecord(
            mesh=MeshRecord(**vars(self.plan.mesh)),
            hosts=self.remaining_hosts,
            **vars(self._stretch(window, len(self.survivors), "after", self.surviving_cover)),
        )

    def _stretch(self, window: Window, ranks: int, part: Part, cover: Cover) -> TrainingStretchRecord:
        """Throughput and energy of the steps of a part; joules per sample null where a host has no readings."""
        spent = window_energy(cover, self.clock_s, window)
        steps = sum(step.part == part for step in self.steps)
        samples = steps * self.batch
        return TrainingStretchRecord(
            ranks=ranks,
            start_s=window[0],
            end_s=window[1],
            steps=steps,
            samples_per_s=samples / (window[1] - window[0]),
            per_sample_J=None if spent.joules is None else spent.joules / samples,
            **vars(spent),
        )

    def _steps(self, lives: Sequence[Lived], part: Part, before: float = -math.inf) -> Iterator[FaultStepRecord]:
        """The steps of a part, each from the first rank's begin to the last rank's end.

        A step begins no earlier than the one ``before`` it ended. The loss is the sum over the ranks.
        """
        for same in _together(lives, part, "step"):
            begin, end = self._edges_of(lives, same)
            yield FaultStepRecord(
                part=part,
                step=same[0].step or 0,
                ranks=len(lives),
                start_s=max(before, begin),
                end_s=end,
                loss=math.fsum(span.loss for span in same if span.loss is not None),
            )
            before = end

    def _loss_difference(self) -> float | None:
        """The largest relative difference between the loss of a lost step and of its repetition."""
        first = {step.step: step.loss for step in self.steps if step.part == "copies"}
        return max((abs(step.loss - first[step.step]) / abs(first[step.step]) for step in self.replayed), default=None)

    def _begin_s(self, lives: Sequence[Lived], part: str) -> float:
        return min(self.to_common(life.rank, span.begin_ns) for life in lives for span in _of(life, part))

    def _end_s(self, lives: Sequence[Lived], part: str) -> float:
        return max(self.to_common(life.rank, span.end_ns) for life in lives for span in _of(life, part))

    def _edges_of(self, lives: Sequence[Lived], same: Sequence[Span]) -> Window:
        """From the first rank's begin to the last one's end."""
        pairs = list(zip(lives, same, strict=True))
        first = min(self.to_common(life.rank, span.begin_ns) for life, span in pairs)
        return first, max(self.to_common(life.rank, span.end_ns) for life, span in pairs)


def _of(life: Lived, part: str) -> list[Span]:
    return [span for span in life.spans if span.part == part]


def _together(lives: Sequence[Lived], part: str, what: str) -> Iterator[tuple[Span, ...]]:
    """Spans of the ranks at the same time, one after the other."""
    return zip(*([span for span in _of(life, part) if span.what == what] for life in lives), strict=True)
