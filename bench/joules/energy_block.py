"""The ``energy`` block of a record: totals over a disjoint cover, derived figures, shares, and what was not measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.joules.channel import Trace
from bench.joules.cover import Cover, Part, Window, total_J
from bench.joules.energy_shares import energy_shares, refused
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
from bench.record.energy_record import (
    CarbonRecord,
    EnergyRecord,
    IdlePowerRecord,
    IdleReuseRecord,
)
from bench.record.spent_record import WindowEnergyRecord

J_PER_KWH = 3.6e6


@dataclass(frozen=True)
class Totals:
    """Joules and watts of all hosts in the timed windows, and what follows from them.

    All are null where a host is missing, for a total is never silently smaller.
    """

    total_J: float | None = None
    uncertainty_J: float | None = None
    random_J: float | None = None
    systematic_J: float | None = None
    model_J: float | None = None
    mean_power_W: float | None = None
    per_sample_J: float | None = None
    per_token_J: float | None = None
    edp_Js: float | None = None
    ed2p_Js2: float | None = None
    samples_per_s_MJ: float | None = None
    idle_W: float | None = None
    idle_J: float | None = None
    dynamic_J: float | None = None
    dynamic_uncertainty_J: float | None = None
    carbon: CarbonRecord | None = None


def energy_block(cover: Cover, traces: Sequence[Trace], clock_s: float, run: Run, context: EnergyContext) -> EnergyRecord:
    """The record's ``energy`` block.

    Args:
        cover: The cover of the run's hosts by ``traces``.
        traces: All readings; none where no energy was asked for or found.
        clock_s: The error bound of the hosts' clocks, s.
        run: Windows, hosts, phases and work.
        context: Settings of the point.

    Returns:
        The block; without totals where a host has no readings.
    """
    if not traces:
        return _without_readings(run, context)
    wholes = [part.energies(run.windows, clock_s) for part in cover.parts]
    rests = [part.energies(run.idle_windows, clock_s) for part in cover.parts]
    whole = sum_of_sensors(wholes)
    others = other_records(cover, run, clock_s, context.others)
    return EnergyRecord(
        kind=cover.kind,
        source="+".join(sorted({curve.trace.source for part in cover.parts for curve in part.curves})),
        **vars(_totals(whole, sum_of_sensors(rests), run, context) if cover.complete else Totals()),
        idle=_idle(cover, sum_of_sensors(rests), run),
        **vars(energy_shares(cover, run)),
        by_host=[host_record(*row, run) for row in zip(cover.parts, wholes, rests, strict=True)],
        others=others,
        system_J=system_J(whole.joules, others) if cover.complete else None,
        cross_checks=cross_check_records(cover, run, clock_s),
        coverage=coverage_record(cover, run),
        left_out=left_out_records(traces),
        sampler=sampler_record(traces),
    )


def step_joules(cover: Cover, edges: Sequence[Sequence[float]]) -> list[float] | None:
    """Joules of all hosts in each step.

    Args:
        cover: The cover of the run's hosts.
        edges: Step boundaries of each segment, in seconds on the common axis.

    Returns:
        Joules of the steps of all segments, in order; None where a host has no readings.
    """
    if not cover.complete:
        return None
    steps = [sum(np.diff(part.joules_at(segment)) for part in cover.parts) for segment in edges]
    return [float(joules) for step in steps for joules in np.atleast_1d(step)]


def window_energy(cover: Cover, clock_s: float, window: Window) -> WindowEnergyRecord:
    """Energy of all hosts in one window.

    Args:
        cover: The cover of the run's hosts.
        clock_s: The error bound of the hosts' clocks, in seconds.
        window: Begin and end, in seconds on the common axis.

    Returns:
        Joules with their uncertainty, null where a host has no readings.
    """
    if not cover.complete:
        return WindowEnergyRecord(kind="none", joules=None, uncertainty_J=None, quality="no readings")
    whole = sum_of_sensors(part.energies([window], clock_s) for part in cover.parts)
    return WindowEnergyRecord(kind=cover.kind, joules=whole.joules, uncertainty_J=whole.uncertainty_J, quality=whole.quality)


def _totals(whole: Energy, rest: Energy, run: Run, context: EnergyContext) -> Totals:
    """``whole`` is the energy of all hosts in the timed windows, ``rest`` in the idle ones."""
    sample_J, sample_s = whole.joules / run.samples, run.window_s / run.samples
    idle_W, idle_u_W = _idle_watts(rest, run)
    idle_J = None if idle_W is None else idle_W * run.window_s
    return Totals(
        total_J=whole.joules,
        uncertainty_J=whole.uncertainty_J,
        random_J=whole.random_J,
        systematic_J=whole.common_J,
        model_J=whole.model_u_J if whole.model_J else None,
        mean_power_W=whole.joules / run.window_s,
        per_sample_J=sample_J,
        per_token_J=whole.joules / run.tokens,
        edp_Js=sample_J * sample_s,
        ed2p_Js2=sample_J * sample_s**2,
        # Throughput by the energy of a step; independent of how long the window is.
        samples_per_s_MJ=(1 / sample_s) / (whole.joules / run.steps / 1e6) if whole.joules else None,
        idle_W=idle_W,
        idle_J=idle_J,
        dynamic_J=None if idle_J is None else whole.joules - idle_J,
        dynamic_uncertainty_J=None if idle_J is None else _dynamic_uncertainty_J(whole, idle_u_W * run.window_s, idle_J),
        carbon=_carbon(whole.joules, sample_J, context),
    )


def _idle_watts(rest: Energy, run: Run) -> tuple[float | None, float]:
    """Watts of all hosts at idle with their standard uncertainty without the sensor's own: measured, or of another point."""
    if run.reused_idle is not None:
        return run.reused_idle.watts, run.reused_idle.uncertainty_W
    return (rest.joules / run.idle_s, rest.random_J / run.idle_s) if run.idle_s else (None, 0.0)


def _idle(cover: Cover, rest: Energy, run: Run) -> IdlePowerRecord:
    reused = run.reused_idle
    if reused is not None and cover.complete:
        origin = IdleReuseRecord(
            point=reused.point, finished=reused.finished, age_s=reused.age_s, uncertainty_W=reused.uncertainty_W
        )
        return IdlePowerRecord(before_W=reused.before_W, after_W=reused.after_W, seconds=0.0, reused=origin)
    before, after = (_watts(cover.parts, window) if cover.complete else None for window in run.idle_windows)
    random_W = rest.random_J / run.idle_s if run.idle_s and cover.complete else None
    return IdlePowerRecord(before_W=before, after_W=after, seconds=run.idle_s, random_W=random_W, why_not_reused=run.why_idle)


def _dynamic_uncertainty_J(whole: Energy, idle_random_J: float, idle_J: float) -> float:
    """The sensor's own error is in both and cancels as far as its gain goes; what is left is its share of the difference.

    So does the model's: what is added for idle is in both, and the coefficients above it are wrong by one factor.
    """
    idle_share = idle_J / whole.joules if whole.joules else 0.0
    return math.hypot(whole.random_J, idle_random_J, whole.common_J * (1 - idle_share))


def _carbon(joules: float, sample_J: float, context: EnergyContext) -> CarbonRecord | None:
    """Grams of CO2 equivalent of the window from a stated intensity; null where none is stated."""
    if context.g_per_kWh is None:
        return None
    grams_per_J = context.g_per_kWh / J_PER_KWH
    return CarbonRecord(
        g_per_kWh=context.g_per_kWh,
        source=context.grid_source,
        total_g=joules * grams_per_J,
        per_sample_g=sample_J * grams_per_J,
    )


def _watts(parts: Sequence[Part], window: Window) -> float | None:
    seconds = window[1] - window[0]
    return total_J(parts, window) / seconds if seconds > 0 else None


def _without_readings(run: Run, context: EnergyContext) -> EnergyRecord:
    return EnergyRecord(
        kind="none",
        source=None,
        **vars(Totals()),
        idle=IdlePowerRecord(before_W=None, after_W=None, seconds=0.0),
        **vars(refused("no readings")),
        by_host=[],
        others=[],
        system_J=None,
        cross_checks=[],
        coverage=no_coverage(run, context.asked),
        left_out=[],
        sampler=sampler_record([]),
    )
