"""From the readings of all hosts to what the doctor says of them: plain values, in SI units. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bench.doctor.host_readings import HostReadings
from bench.joules.channel import EVERYTHING, Channel, Trace, cover
from bench.joules.cover import Cover, Part, find_cover
from bench.joules.energy_curve import unwrapped
from bench.joules.integration import energy
from bench.joules.reading_uncertainty import window_needed_s
from bench.timeline.clock_model import ClockModel

IN_TOTAL = "in the total"


def describe(looks: Sequence[HostReadings], config: Mapping[str, Any], clock: ClockModel | None) -> dict[str, Any]:
    """Hosts with their sources and channels, the parts of the total, and what is missing.

    ``config`` is the point's ``energy``; ``clock`` is None where there is one host.
    """
    labels = [look.label for look in looks]
    traces = [trace for look in looks for trace in look.traces if len(trace.t_before_ns) > 1]

    def to_common(rank: int, ns: float) -> float:
        return (ns if clock is None else clock.to_common(rank, ns)) / 1e9

    found = find_cover(traces, labels, to_common)
    clock_s = 0.0 if clock is None else clock.bound_s
    return {
        "hosts": [_host(look, found) for look in looks],
        "parts": [_part(part, clock_s) for part in found.parts],
        "missing": list(found.missing),
        "others": _others(found, config),
        "clock": None if clock is None else clock.summary().to_dict(),
    }


def _host(look: HostReadings, found: Cover) -> dict[str, Any]:
    return {
        "label": look.label,
        "board": look.board,
        "machine": f"{look.boot_id} {look.processor}",
        "problem": look.problem,
        "left_out": [dict(left) for left in look.left_out],
        "not_measured": sorted({what for trace in look.traces for what in trace.not_measured if _total_part(trace, found)}),
        "sampler_cpu": look.sampler_cpu,
        "sources": [_source(trace, found) for trace in look.traces if len(trace.t_before_ns) > 1],
    }


def _source(trace: Trace, found: Cover) -> dict[str, Any]:
    """One source of a host: how it was read, and its channels."""
    powers = [_watts(trace, index) for index in range(len(trace.channels))]
    lasted_s = float(trace.t_before_ns[-1] - trace.t_before_ns[0]) / 1e9
    usable = [math.nan if watts is None else watts for watts in powers]
    return {
        "source": trace.source,
        "meter": trace.meter,
        "kind": trace.kind,
        "covers": list(trace.covers),
        "check_of": trace.check_of,
        "period_s": trace.period_s,
        "reached_Hz": (len(trace.t_before_ns) - 1) / lasted_s if lasted_s > 0 else None,
        "read_s": float(np.median(trace.t_after_ns - trace.t_before_ns)) / 1e9,
        "errors": trace.errors,
        "window_s": window_needed_s(trace.channels, trace.period_s, usable),
        "calibrated": None if trace.calibration is None else trace.calibration.against,
        "channels": [
            _channel(channel, watts, why_not(trace, index, found))
            for index, (channel, watts) in enumerate(zip(trace.channels, powers, strict=True))
        ],
    }


def _channel(channel: Channel, watts: float | None, counted: str) -> dict[str, Any]:
    return {
        "id": channel.id,
        "kind": channel.kind,
        "unit": "J" if channel.kind == "counter" else "W",
        "scale": channel.scale,
        "update_s": channel.update_period_s,
        "step": channel.scale * channel.lsb,
        "accuracy": channel.accuracy,
        "level": channel.level,
        "scope": channel.scope,
        "contains": list(channel.contains),
        "watts": watts,
        "counted": counted,
    }


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


def why_not(trace: Trace, index: int, found: Cover) -> str:
    """``in the total``, or why a channel is not in it."""
    channel = trace.channels[index]
    if _total_part(trace, found) is not None:
        if index in cover(trace.channels):
            return IN_TOTAL
        return f"inside {_container(trace, channel)}"
    if trace.meter is not None:
        if trace.meter in found.others:
            return "not of a host" if index in cover(trace.channels) else f"inside {_container(trace, channel)}"
        return "no host of this run is behind it"
    if trace.check_of is not None:
        return f"cross-check: the sensor of {trace.check_of}"
    whole = next((part for part in found.parts if trace.label in part.hosts), None)
    return f"inside meter {whole.curves[0].trace.meter}" if whole else "not used"


def _container(trace: Trace, channel: Channel) -> str:
    names = [other.id for other in trace.channels if other is not channel]
    holding = [other.id for other in trace.channels if channel.id in other.contains or EVERYTHING in other.contains]
    return next((name for name in holding if name in names), "another channel")


def _total_part(trace: Trace, found: Cover) -> Part | None:
    return next((part for part in found.parts if any(curve.trace is trace for curve in part.curves)), None)


def _part(part: Part, clock_s: float) -> dict[str, Any]:
    """A part of the total: its hosts, the channels that make it, and whether a run's check of its readings would pass."""
    begin = max(float(curve.t_s[0]) for curve in part.curves)
    end = min(float(curve.t_s[-1]) for curve in part.curves)
    read = [energy(curve, begin, end, clock_s) for curve in part.curves] if end > begin else []
    bad = [found.quality for found in read if found.quality != "good"]
    return {
        "hosts": list(part.hosts),
        "kind": part.kind,
        "levels": part.levels(),
        "channels": [
            f"{curve.trace.meter or curve.trace.source}/{curve.trace.channels[index].id}"
            for curve in part.curves
            for index in cover(curve.trace.channels)
        ],
        "sources": [curve.trace.source for curve in part.curves],
        "calibrated": [curve.trace.source for curve in part.curves if curve.trace.calibration is not None],
        "watts": math.fsum(one.joules for one in read) / (end - begin) if end > begin else None,
        "quality": bad[0] if bad else "good" if read else "no time in which all of its sources were read",
    }


def _others(found: Cover, config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Parts that are no hosts, and how a run would count them."""
    rows = []
    for name, stated in config["others"].items():
        meter = stated["meter"]
        if meter is not None:
            how = f"measured by meter {meter}" if meter in found.others else f"inside meter {meter}"
        elif stated["power_W"] is not None:
            how = f"estimated, {stated['power_W']:g} W ({stated['source']})"
        else:
            how = "not measured"
        rows.append({"name": name, "how": how, "known": how != "not measured"})
    return rows
