"""Cumulative joules of a trace over time: where counters and readings of power become one kind of thing. Pure.

A counter's energy is the difference of its readings, corrected where it started again; power is integrated by trapezoids.
Counters are never turned into power and integrated again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.joules.channel import Channel, Trace, cover

Array = NDArray[np.float64]
ToCommon = Callable[[float], float]
"""From nanoseconds of a host's clock to seconds on the common axis."""

MOST_STEP = 2**63 - 1
RESET_FACTOR = 20
"""A step back that a wrap would explain by this many times the largest power seen otherwise is a reset."""


@dataclass(frozen=True)
class Curve:
    """Cumulative joules of a trace's cover over time; ``t_s`` on the common axis. ``problem`` names a broken counter.

    ``read_s`` are the times of all readings on that axis.
    """

    trace: Trace
    t_s: Array
    joules: Array
    problem: str | None
    read_s: Array


def curve_of(trace: Trace, to_common_s: ToCommon) -> Curve:
    """The cumulative curve of the channels that make the trace's total, calibrated where the trace says so.

    Args:
        trace: Readings of one source.
        to_common_s: From nanoseconds of its host's clock to seconds on the common axis; a straight line.

    Returns:
        Cumulative joules at the middle of each reading, with what is wrong with them, if anything.
    """
    middle = (trace.t_before_ns + trace.t_after_ns) / 2
    # The clock model is a straight line: two points of it are enough for all samples.
    t_s = _straight(middle, to_common_s)
    total, problem = np.zeros_like(t_s), None
    if (np.diff(middle) <= 0).any():
        problem = f"the times of {trace.source} go backwards"
    for index in cover(trace.channels):
        joules, wrong = _channel_curve(trace.channels[index], trace.raw[:, index], t_s)
        total = total + joules
        problem = problem or wrong
    if trace.calibration is not None:
        total = trace.calibration.gain * total + trace.calibration.offset_W * (t_s - t_s[0])
    return Curve(trace, t_s, total, problem, t_s)


def _straight(t_ns: Array, to_common_s: ToCommon) -> Array:
    first, last = float(t_ns[0]), float(t_ns[-1])
    a, b = to_common_s(first), to_common_s(last)
    return a + (t_ns - first) * ((b - a) / (last - first) if last > first else 1e-9)


def _channel_curve(channel: Channel, raw: NDArray[np.int64], t_s: Array) -> tuple[Array, str | None]:
    problem = None
    if channel.kind == "counter":
        steps, problem = unwrapped(channel, raw, t_s)
        steps_J = steps * channel.scale
        if (
            len(raw) > 2
            and channel.baseline_W == 0
            and not channel.may_stand
            and t_s[-1] - t_s[0] > 5 * channel.update_period_s
            and not steps.any()
        ):
            problem = problem or f"counter {channel.id} does not move"
    else:
        power = raw * channel.scale
        steps_J = (power[1:] + power[:-1]) / 2 * np.diff(t_s)
    return np.concatenate([[0.0], np.cumsum(steps_J)]) + channel.baseline_W * (t_s - t_s[0]), problem


def unwrapped(channel: Channel, raw: NDArray[np.int64], t_s: Array) -> tuple[NDArray[np.int64] | Array, str | None]:
    """Differences of a counter's readings, corrected where it started again.

    More than one wrap between two readings cannot be seen. A step back that only an absurd power would explain as a wrap
    is a counter that was set to zero (a driver loaded again), and no wrap.

    Args:
        channel: The counter.
        raw: Its readings, in raw units.
        t_s: Their times, in seconds.

    Returns:
        The differences in raw units, one less than readings, and what is wrong with the counter.
    """
    if len(raw) and int(raw.max()) - int(raw.min()) > MOST_STEP:
        return np.diff(raw.astype(np.float64)), f"counter {channel.id} jumps by more than 64 bits"
    steps: NDArray[np.int64] = np.diff(raw)
    back = steps < 0
    if not back.any():
        return steps, None
    if channel.modulus is None:
        return steps, f"counter {channel.id} went backwards"
    fixed = np.where(back, steps + channel.modulus, steps)
    if (fixed < 0).any():
        return fixed, f"counter {channel.id} was reset"
    seconds = np.maximum(np.diff(t_s), 1e-9)
    usual = (steps / seconds)[~back]
    if usual.any() and (fixed / seconds)[back].max() > RESET_FACTOR * usual.max():
        return fixed, f"counter {channel.id} was reset"
    return fixed, None


def joules_at(curve: Curve, times_s: Array | Sequence[float]) -> Array:
    """Cumulative joules, by linear interpolation between the readings.

    Args:
        curve: The readings of one source.
        times_s: Seconds on the common axis, [n].

    Returns:
        Joules, [n]; before the first and after the last reading those of that reading.
    """
    return np.interp(np.asarray(times_s, dtype=np.float64), curve.t_s, curve.joules)
