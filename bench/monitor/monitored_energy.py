"""The record's ``energy`` of a monitored run: each host over its own window, on its own clock."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bench.joules.channel import Trace
from bench.joules.cover import Cover, Part, find_cover
from bench.joules.energy_block import J_PER_KWH
from bench.joules.integration import Energy, sum_of_sensors
from bench.joules.metered_parts import (
    EnergyContext,
    coverage_record,
    cross_check_records,
    host_record,
    left_out_records,
    no_coverage,
    other_records,
    sampler_record,
    system_J,
)
from bench.joules.timed_run import Run
from bench.monitor.host_axis import HostAxis
from bench.monitor.host_part import with_rank
from bench.record.host_energy_record import LeftOutRecord
from bench.record.monitored_record import MonitoredCarbonRecord, MonitoredEnergyRecord

NOT_THERE = "a host that did not hand in"


@dataclass(frozen=True)
class MeteredRun:
    """The readings of a run and what they are of.

    ``missing`` are ranks whose hosts have not handed in: then there is no total.
    """

    axis: HostAxis
    traces: Sequence[Trace]
    cover: Cover
    missing: Sequence[int]

    @classmethod
    def of(cls, axis: HostAxis) -> MeteredRun:
        """The readings of all parts.

        Args:
            axis: The parts on one axis.

        Returns:
            Their traces with the cover of their hosts.
        """
        traces = [trace for number, part in enumerate(axis.parts) for trace in with_rank(part, number)]
        cover = find_cover(traces, [part.label for part in axis.parts], axis.to_common)
        ranks = {end.rank for part in axis.parts for end in part.ranks}
        missing = [rank for rank in range(axis.parts[0].size) if rank not in ranks]
        return cls(axis, traces, cover, missing)

    @property
    def complete(self) -> bool:
        """Whether every host has handed in, and has readings."""
        return self.cover.complete and not self.missing

    @property
    def clock_s(self) -> float:
        """What the clocks add at the edges of a window that spans hosts; 0 where each is read on its own clock."""
        return self.axis.bound_s or 0.0

    def clock_of(self, part: Part) -> float:
        """What the clocks add to one part of the total: nothing, where its host reads itself.

        Args:
            part: One of the cover.

        Returns:
            Seconds.
        """
        return self.clock_s if len(part.hosts) > 1 else 0.0

    def covers(self) -> list[Cover]:
        """For each part a cover of it and its cross-checks alone: each is looked at over its own host's window."""
        pairs = [tuple(pair for pair in self.cover.checks if pair[0].trace.label in part.hosts) for part in self.cover.parts]
        return [Cover((part,), checks, {}, ()) for part, checks in zip(self.cover.parts, pairs, strict=True)]

    def run_of(self, hosts: Sequence[str]) -> Run:
        """The window of some hosts as the functions of ``bench.joules`` take it.

        Args:
            hosts: Names; a meter that has several is read from the first begin to the last end.

        Returns:
            A run without work: a monitored program says nothing of samples.
        """
        numbers = [number for number, part in enumerate(self.axis.parts) if part.label in hosts]
        windows = [self.axis.window(number) for number in numbers]
        idle = [window for number in numbers for window in self.axis.idle_windows(number)]
        if len(numbers) > 1 and idle:
            idle = [(max(begin for begin, _ in idle), min(end for _, end in idle))]
        return Run(
            windows=[(min(begin for begin, _ in windows), max(end for _, end in windows))],
            idle_windows=[window for window in idle if window[1] > window[0]],
            rank_host={number: self.axis.parts[number].label for number in numbers},
            stretches={},
            samples=0,
            tokens=0,
            steps=0,
        )


@dataclass(frozen=True)
class _Sums:
    """Joules and watts of all hosts; null where one is missing."""

    total_J: float | None = None
    uncertainty_J: float | None = None
    random_J: float | None = None
    systematic_J: float | None = None
    model_J: float | None = None
    mean_power_W: float | None = None
    idle_W: float | None = None
    idle_J: float | None = None
    dynamic_J: float | None = None
    dynamic_uncertainty_J: float | None = None
    carbon: MonitoredCarbonRecord | None = None


def monitored_energy(metered: MeteredRun) -> MonitoredEnergyRecord:
    """The record's ``energy`` block.

    Args:
        metered: The readings of the run.

    Returns:
        The block; without totals where a host is missing.
    """
    context = EnergyContext.of(metered.axis.parts[0].energy)
    whole_run = metered.run_of([part.label for part in metered.axis.parts])
    if not metered.traces:
        return _without_readings(metered, whole_run, context)
    cover = metered.cover
    runs = [metered.run_of(part.hosts) for part in cover.parts]
    wholes = [part.energies(run.windows, metered.clock_of(part)) for part, run in zip(cover.parts, runs, strict=True)]
    rests = [part.energies(run.idle_windows, metered.clock_of(part)) for part, run in zip(cover.parts, runs, strict=True)]
    sums = _sums(wholes, rests, runs, context) if metered.complete else _Sums()
    others = other_records(cover, whole_run, metered.clock_s, context.others)
    checks = [row for part in metered.covers() for row in cross_check_records(part, metered.run_of(part.parts[0].hosts), 0.0)]
    coverage = coverage_record(cover, whole_run)
    return MonitoredEnergyRecord(
        kind=cover.kind,
        source="+".join(sorted({curve.trace.source for part in cover.parts for curve in part.curves})) or None,
        **vars(sums),
        by_host=[host_record(*row) for row in zip(cover.parts, wholes, rests, runs, strict=True)],
        others=others,
        system_J=None if sums.total_J is None else system_J(sums.total_J, others),
        cross_checks=checks,
        coverage=replace(coverage, missing=[*coverage.missing, *([NOT_THERE] if metered.missing else [])]),
        left_out=left_out_records(metered.traces),
        sampler=sampler_record(metered.traces),
    )


def _sums(wholes: Sequence[Energy], rests: Sequence[Energy], runs: Sequence[Run], context: EnergyContext) -> _Sums:
    whole = sum_of_sensors(wholes)
    sums = _Sums(
        total_J=whole.joules,
        uncertainty_J=whole.uncertainty_J,
        random_J=whole.random_J,
        systematic_J=whole.common_J,
        model_J=whole.model_u_J if whole.model_J else None,
        mean_power_W=math.fsum(one.joules / run.window_s for one, run in zip(wholes, runs, strict=True)),
        carbon=_carbon(whole.joules, context),
    )
    if not all(run.idle_s > 0 for run in runs):
        return sums
    rows = list(zip(wholes, rests, runs, strict=True))
    idle_J = math.fsum(rest.joules / run.idle_s * run.window_s for _, rest, run in rows)
    squares = 0.0
    for one, rest, run in rows:
        scale = run.window_s / run.idle_s
        share = 1 - rest.joules * scale / one.joules if one.joules else 0.0
        squares += one.random_J**2 + (rest.random_J * scale) ** 2 + (one.common_J * share) ** 2
    return replace(
        sums,
        idle_W=math.fsum(rest.joules / run.idle_s for _, rest, run in rows),
        idle_J=idle_J,
        dynamic_J=whole.joules - idle_J,
        dynamic_uncertainty_J=math.sqrt(squares),
    )


def _carbon(joules: float, context: EnergyContext) -> MonitoredCarbonRecord | None:
    if context.g_per_kWh is None:
        return None
    grams = joules * context.g_per_kWh / J_PER_KWH
    return MonitoredCarbonRecord(g_per_kWh=context.g_per_kWh, source=context.grid_source, total_g=grams)


def _without_readings(metered: MeteredRun, run: Run, context: EnergyContext) -> MonitoredEnergyRecord:
    why: Mapping[str, str] = {part.label: part.unmetered for part in metered.axis.parts if part.unmetered is not None}
    return MonitoredEnergyRecord(
        kind="none",
        source=None,
        **vars(_Sums()),
        by_host=[],
        others=[],
        system_J=None,
        cross_checks=[],
        coverage=no_coverage(run, context.asked),
        left_out=[LeftOutRecord(host=host, source="all", why=reason) for host, reason in why.items()],
        sampler=sampler_record([]),
    )
