"""Joules between two times, from readings that never fall on them. Pure functions of traces.

A counter's energy is the difference of its readings, corrected where it started again; power is integrated by
trapezoids. Both become one cumulative curve, read off at the edges by linear interpolation: what happens at the edges
matters more than the rule inside. Counters are never turned into power and integrated again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.energy.channel import Channel, HostTrace, cover

Array = NDArray[np.float64]
ToCommon = Callable[[float], float]

GAP_PERIODS = 3
COUNTER_GAP_S = 1.0


@dataclass(frozen=True)
class Curve:
    """Cumulative joules of a trace's cover over time; ``t_s`` on the common axis. ``problem`` names a broken counter."""

    t_s: Array
    joules: Array
    problem: str | None


@dataclass(frozen=True)
class Energy:
    """Joules of a window, with the standard uncertainty of reading them, and what was wrong (``good`` if nothing).

    The uncertainty has the edges (update and sampling period), the resolution, the clock and, where it is known, the
    accuracy class. For a modelled source it says nothing about the model.
    """

    joules: float
    uncertainty_J: float
    quality: str
    samples: int
    max_gap_s: float


def curve(trace: HostTrace, to_common_s: ToCommon) -> Curve:
    """The cumulative curve of the channels that make the total."""
    middle = (trace.t_before_ns + trace.t_after_ns) / 2
    # The clock model is a straight line: two points of it are enough for all samples.
    t_s = _straight(middle, to_common_s)
    total, problem = np.zeros_like(t_s), None
    for index in cover(trace.channels):
        joules, wrong = _channel_curve(trace.channels[index], trace.raw[:, index], t_s)
        total = total + joules
        problem = problem or wrong
    return Curve(t_s, total, problem)


def _straight(t_ns: Array, to_common_s: ToCommon) -> Array:
    first, last = float(t_ns[0]), float(t_ns[-1])
    a, b = to_common_s(first), to_common_s(last)
    return a + (t_ns - first) * ((b - a) / (last - first) if last > first else 1e-9)


def _channel_curve(channel: Channel, raw: NDArray[np.int64], t_s: Array) -> tuple[Array, str | None]:
    problem = None
    if channel.kind == "counter":
        steps = np.diff(raw)
        if (steps < 0).any():
            if channel.modulus is None:
                problem = f"counter {channel.id} went backwards"
            else:
                steps = np.where(steps < 0, steps + channel.modulus, steps)
                if (steps < 0).any():
                    problem = f"counter {channel.id} was reset"
        steps_J = steps * channel.scale
    else:
        power = raw * channel.scale
        steps_J = (power[1:] + power[:-1]) / 2 * np.diff(t_s)
    return np.concatenate([[0.0], np.cumsum(steps_J)]) + channel.baseline_W * (t_s - t_s[0]), problem


def at(found: Curve, times_s: Array | Sequence[float]) -> Array:
    """Cumulative joules at ``times_s``."""
    return np.interp(np.asarray(times_s, dtype=np.float64), found.t_s, found.joules)


def energy(trace: HostTrace, found: Curve, start_s: float, end_s: float, clock_s: float = 0.0) -> Energy:
    """Joules from ``start_s`` to ``end_s``; ``clock_s`` is the error bound of the host's clock.

    Quality is ``uncovered`` when the readings do not reach over both edges, ``gap`` when power readings are missing for
    more than three periods (a counter misses nothing: for it, more than a second), or names a broken counter. The
    joules are then still given, and must not be used.
    """
    inside = (found.t_s >= start_s) & (found.t_s <= end_s)
    first, last = np.searchsorted(found.t_s, [start_s, end_s])
    around = found.t_s[max(first - 1, 0) : last + 1]
    gap_s = float(np.diff(around).max()) if len(around) > 1 else math.inf
    begin_J, end_J = at(found, [start_s, end_s])
    joules = float(end_J - begin_J)
    return Energy(
        joules=joules,
        uncertainty_J=_uncertainty(trace, joules, end_s - start_s, _spacing(around), clock_s),
        quality=_quality(trace, found, start_s, end_s, gap_s),
        samples=int(inside.sum()),
        max_gap_s=gap_s if math.isfinite(gap_s) else end_s - start_s,
    )


def _spacing(around: Array) -> float:
    return float(np.median(np.diff(around))) if len(around) > 1 else 0.0


def _uncertainty(trace: HostTrace, joules: float, seconds: float, spacing_s: float, clock_s: float) -> float:
    """Each edge lies somewhere in an interval of the update period and of the sampling period: P T / sqrt(12), twice."""
    power_W = abs(joules) / seconds if seconds > 0 else 0.0
    squares = 0.0
    for index in cover(trace.channels):
        channel = trace.channels[index]
        edges = power_W**2 * (channel.update_period_s**2 + spacing_s**2) / 6
        step = (channel.scale * channel.lsb) ** 2 / 6 if channel.kind == "counter" else 0.0
        squares += edges + step + (channel.accuracy or 0.0) ** 2 * joules**2
    return math.sqrt(squares + 2 * (power_W * clock_s) ** 2)


def _quality(trace: HostTrace, found: Curve, start_s: float, end_s: float, gap_s: float) -> str:
    if found.problem is not None:
        return found.problem
    if start_s < found.t_s[0] or end_s > found.t_s[-1]:
        return "uncovered"
    powers = any(trace.channels[index].kind == "power" for index in cover(trace.channels))
    longest = GAP_PERIODS * trace.period_s if powers else max(GAP_PERIODS * trace.period_s, COUNTER_GAP_S)
    return "gap" if gap_s > longest else "good"


def window_needed_s(channels: Sequence[Channel], period_s: float, samples: int = 60, relative: float = 0.01) -> float:
    """The window that gives ``samples`` readings and edges known to ``relative`` of the energy: T_u / (sqrt(6) u)."""
    edges = [math.hypot(channels[i].update_period_s, period_s) / (math.sqrt(6) * relative) for i in cover(channels)]
    return max([samples * period_s, *edges])
