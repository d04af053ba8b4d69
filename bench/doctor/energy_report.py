"""From the readings of all hosts to the doctor's energy report, in SI units. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from bench.doctor.clock_agreement import ClockAgreement
from bench.doctor.host_energy_report import (
    ChannelReport,
    EnergyReport,
    HostEnergyReport,
    LeftOutSource,
    OtherPartReport,
    PartReport,
    SourceReport,
)
from bench.doctor.host_readings import HostReadings
from bench.energy.sampling.energy_settings import EnergySettings
from bench.joules.channel import EVERYTHING, Channel, Trace, cover
from bench.joules.cover import Cover, Part, find_cover
from bench.joules.energy_curve import unwrapped
from bench.joules.integration import energy
from bench.joules.reading_uncertainty import window_needed_s
from bench.timeline.clock_model import ClockModel

IN_TOTAL = "in the total"


def describe(looks: Sequence[HostReadings], settings: EnergySettings, clock: ClockModel | None) -> EnergyReport:
    """Hosts with their sources and channels, the parts of the total, and what is missing.

    Args:
        looks: The readings of all hosts, in the order of the ranks.
        settings: The point's energy settings.
        clock: The clocks of the hosts against rank 0's; None where there is one host.

    Returns:
        The report.
    """
    labels = [look.label for look in looks]
    traces = [trace for look in looks for trace in look.traces if len(trace.t_before_ns) > 1]

    def to_common(rank: int, ns: float) -> float:
        return (ns if clock is None else clock.to_common(rank, ns)) / 1e9

    total = find_cover(traces, labels, to_common)
    clock_s = 0.0 if clock is None else clock.bound_s
    return EnergyReport(
        hosts=tuple(_host(look, total) for look in looks),
        parts=tuple(_part(part, clock_s) for part in total.parts),
        missing=tuple(total.missing),
        others=_others(total, settings),
        clock=None if clock is None else ClockAgreement.of(clock),
    )


def _host(look: HostReadings, total: Cover) -> HostEnergyReport:
    return HostEnergyReport(
        label=look.label,
        board=look.board,
        machine=f"{look.boot_id} {look.processor}",
        problem=look.problem,
        left_out=tuple(LeftOutSource(**left) for left in look.left_out),
        not_measured=tuple(sorted({part for trace in look.traces for part in trace.not_measured if _total_part(trace, total)})),
        sampler_cpu=look.sampler_cpu,
        sources=tuple(_source(trace, total) for trace in look.traces if len(trace.t_before_ns) > 1),
    )


def _source(trace: Trace, total: Cover) -> SourceReport:
    """One source of a host: how it was read, and its channels."""
    powers = [_watts(trace, index) for index in range(len(trace.channels))]
    lasted_s = float(trace.t_before_ns[-1] - trace.t_before_ns[0]) / 1e9
    usable = [math.nan if watts is None else watts for watts in powers]
    return SourceReport(
        source=trace.source,
        meter=trace.meter,
        kind=trace.kind,
        covers=trace.covers,
        check_of=trace.check_of,
        period_s=trace.period_s,
        reached_Hz=(len(trace.t_before_ns) - 1) / lasted_s if lasted_s > 0 else None,
        read_s=float(np.median(trace.t_after_ns - trace.t_before_ns)) / 1e9,
        errors=trace.errors,
        window_s=window_needed_s(trace.channels, trace.period_s, usable),
        calibrated=None if trace.calibration is None else trace.calibration.against,
        channels=tuple(
            _channel(channel, watts, why_not(trace, index, total))
            for index, (channel, watts) in enumerate(zip(trace.channels, powers, strict=True))
        ),
    )


def _channel(channel: Channel, watts: float | None, counted: str) -> ChannelReport:
    return ChannelReport(
        id=channel.id,
        kind=channel.kind,
        unit="J" if channel.kind == "counter" else "W",
        scale=channel.scale,
        update_s=channel.update_period_s,
        step=channel.scale * channel.lsb,
        accuracy=channel.accuracy,
        level=channel.level,
        scope=channel.scope,
        contains=tuple(channel.contains),
        watts=watts,
        counted=counted,
    )


def _watts(trace: Trace, index: int) -> float | None:
    """Mean power of a channel over the readings, as the sensor has it; None where that cannot be said."""
    channel, raw = trace.channels[index], trace.raw[:, index]
    t_s = (trace.t_before_ns + trace.t_after_ns) / 2e9
    if channel.kind == "power":
        return float(np.mean(raw)) * channel.scale
    steps, problem = unwrapped(channel, raw, t_s)
    if problem is not None or t_s[-1] <= t_s[0]:
        return None
    return float(steps.sum()) * channel.scale / float(t_s[-1] - t_s[0]) + channel.baseline_W


def why_not(trace: Trace, index: int, total: Cover) -> str:
    """Whether a channel counts.

    Args:
        trace: The readings of its source.
        index: The channel's place in the source.
        total: The cover of all hosts.

    Returns:
        ``in the total``, or why the channel is not in it.
    """
    channel = trace.channels[index]
    if _total_part(trace, total) is not None:
        if index in cover(trace.channels):
            return IN_TOTAL
        return f"inside {_container(trace, channel)}"
    if trace.meter is not None:
        if trace.meter in total.others:
            return "not of a host" if index in cover(trace.channels) else f"inside {_container(trace, channel)}"
        return "no host of this run is behind it"
    if trace.check_of is not None:
        return f"cross-check: the sensor of {trace.check_of}"
    whole = next((part for part in total.parts if trace.label in part.hosts), None)
    return f"inside meter {whole.curves[0].trace.meter}" if whole else "not used"


def _container(trace: Trace, channel: Channel) -> str:
    names = [other.id for other in trace.channels if other is not channel]
    holding = [other.id for other in trace.channels if channel.id in other.contains or EVERYTHING in other.contains]
    return next((name for name in holding if name in names), "another channel")


def _total_part(trace: Trace, total: Cover) -> Part | None:
    return next((part for part in total.parts if any(curve.trace is trace for curve in part.curves)), None)


def _part(part: Part, clock_s: float) -> PartReport:
    """A part of the total: its hosts, the channels that make it, and whether a run's check of its readings would pass."""
    begin = max(float(curve.read_s[0]) for curve in part.curves)
    end = min(float(curve.read_s[-1]) for curve in part.curves)
    readings = [energy(curve, begin, end, clock_s) for curve in part.curves] if end > begin else []
    bad = [reading.quality for reading in readings if reading.quality != "good"]
    return PartReport(
        hosts=tuple(part.hosts),
        kind=part.kind,
        levels=tuple(part.levels()),
        channels=tuple(
            f"{curve.trace.meter or curve.trace.source}/{curve.trace.channels[index].id}"
            for curve in part.curves
            for index in cover(curve.trace.channels)
        ),
        sources=tuple(curve.trace.source for curve in part.curves),
        calibrated=tuple(curve.trace.source for curve in part.curves if curve.trace.calibration is not None),
        watts=math.fsum(reading.joules for reading in readings) / (end - begin) if end > begin else None,
        quality=bad[0] if bad else "good" if readings else "no time in which all of its sources were read",
    )


def _others(total: Cover, settings: EnergySettings) -> tuple[OtherPartReport, ...]:
    """Parts that are no hosts, and how a run would count them."""
    reports = []
    for name, part in settings.others.items():
        if part.meter is not None:
            counting = f"measured by meter {part.meter}" if part.meter in total.others else f"inside meter {part.meter}"
        elif part.power_W is not None:
            counting = f"estimated, {part.power_W:g} W ({part.source})"
        else:
            counting = "not measured"
        reports.append(OtherPartReport(name, counting, known=counting != "not measured"))
    return tuple(reports)
