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
from bench.joules.renewals import Renewals, renewals_of

Array = NDArray[np.float64]
ToCommon = Callable[[float], float]
"""From nanoseconds of a host's clock to seconds on the common axis."""

MOST_STEP = 2**63 - 1
RESET_FACTOR = 20
"""A step back that a wrap would explain by this many times the largest power seen otherwise is a reset."""


@dataclass(frozen=True)
class Curve:
    """Cumulative joules of a trace's cover over time; ``t_s`` on the common axis. ``problem`` names a broken counter.

    The points are renewals: when a value was made as far as that can be told, not when it was read (``renewals.py``).
    ``width_s`` is the time in which each may have been made, ``tail_s`` the time after which joules go on as before, for no
    renewal came. ``read_s`` and ``read_joules`` are those of all readings, as they were read. ``renewals`` are those of the
    channels of the total.
    """

    trace: Trace
    t_s: Array
    joules: Array
    problem: str | None
    width_s: Array
    tail_s: float
    read_s: Array
    read_joules: Array
    renewals: tuple[Renewals, ...]

    @property
    def period_s(self) -> float:
        """The longest time between renewals of the channels, declared or seen."""
        return max((one.period_s for one in self.renewals), default=0.0)


def curve_of(trace: Trace, to_common_s: ToCommon) -> Curve:
    """The cumulative curve of the channels that make the trace's total, calibrated where the trace says so.

    Args:
        trace: Readings of one source.
        to_common_s: From nanoseconds of its host's clock to seconds on the common axis; a straight line.

    Returns:
        Cumulative joules at the renewals, with what is wrong with them, if anything.
    """
    middle = (trace.t_before_ns + trace.t_after_ns) / 2
    # The clock model is a straight line: two points of it are enough for all samples.
    read_s = _straight(middle, to_common_s)
    problem = f"the times of {trace.source} go backwards" if (np.diff(middle) <= 0).any() else None
    parts, renewals, read = list[tuple[Array, Array]](), list[Renewals](), np.zeros_like(read_s)
    for index in cover(trace.channels):
        channel, raw = trace.channels[index], trace.raw[:, index]
        joules, wrong = _channel_curve(channel, raw, read_s)
        renewed = renewals_of(channel, raw, read_s)
        parts.append(_points(channel, raw, read_s, joules, renewed))
        renewals.append(renewed)
        read, problem = read + joules, problem or wrong
    t_s = parts[0][0] if len(parts) == 1 else np.unique(np.concatenate([at_s for at_s, _ in parts]))
    total = parts[0][1] if len(parts) == 1 else np.sum([np.interp(t_s, *part) for part in parts], axis=0)
    width_s = renewals[0].width_s if len(parts) == 1 else np.full_like(t_s, max(float(one.width_s.max()) for one in renewals))
    if trace.calibration is not None:
        gain, offset_W = trace.calibration.gain, trace.calibration.offset_W
        total, read = gain * total + offset_W * (t_s - t_s[0]), gain * read + offset_W * (read_s - read_s[0])
    t_s, total, width_s, tail_s = _continued(t_s, total, width_s, read_s)
    return Curve(trace, t_s, total, problem, width_s, tail_s, read_s, read, tuple(renewals))


def _points(channel: Channel, raw: NDArray[np.int64], read_s: Array, joules: Array, renewed: Renewals) -> tuple[Array, Array]:
    """A counter's value is that of its renewal; a power is the mean of a period before, so of half a period earlier."""
    if channel.kind == "counter":
        baseline_J = channel.baseline_W * (renewed.at_s - read_s[renewed.index])
        return renewed.at_s, joules[renewed.index] + baseline_J
    power = raw[renewed.index] * channel.scale
    if renewed.resolved:  # each is the mean since the renewal before
        at_s, steps_J = renewed.at_s, power[1:] * np.diff(renewed.at_s)
    else:
        at_s = renewed.at_s - renewed.period_s / 2
        steps_J = (power[1:] / 2 + power[:-1] / 2) * np.diff(at_s)
    return at_s, np.concatenate([[0.0], np.cumsum(steps_J)]) + channel.baseline_W * (at_s - at_s[0])


def _continued(t_s: Array, joules: Array, width_s: Array, read_s: Array) -> tuple[Array, Array, Array, float]:
    """The curve up to the last reading, where no renewal came as late: with the power of the last stretch."""
    last_s = float(t_s[-1])
    if len(t_s) < 2 or t_s[-1] <= t_s[-2] or read_s[-1] <= last_s:
        return t_s, joules, width_s, last_s
    watts = (joules[-1] - joules[-2]) / (t_s[-1] - t_s[-2])
    more_J = joules[-1] + watts * (read_s[-1] - last_s)
    return np.append(t_s, read_s[-1]), np.append(joules, more_J), np.append(width_s, 0.0), last_s


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
        steps_J = (power[1:] / 2 + power[:-1] / 2) * np.diff(t_s)
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
