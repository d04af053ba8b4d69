"""Joules between two times, from readings that never fall on them. Pure functions of traces.

A counter's energy is the difference of its readings, corrected where it started again; power is integrated by
trapezoids. Both become one cumulative curve, read off at the edges by linear interpolation: what happens at the edges
matters more than the rule inside. Counters are never turned into power and integrated again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.joules.channel import Calibration, Channel, Trace, cover

Array = NDArray[np.float64]
ToCommon = Callable[[float], float]

GAP_PERIODS = 3
COUNTER_GAP_S = 1.0
RESET_FACTOR = 20
"""A step back that a wrap would explain by this many times the largest power seen otherwise is a reset."""
RESONANCE = 3.6
"""With a jitter of 40 %, readings of a sine that has their period correlate by r = 0.35 (sin(x)/x of 0.8 pi, rounded up):
the sum then has (1 + r) / (1 - r) = 2.1 of the variance of independent readings, of which the deviation from the neighbours
shows (3/2 - 2 r + r^2 / 2) / (3/2) = 0.57."""


@dataclass(frozen=True)
class Curve:
    """Cumulative joules of a trace's cover over time; ``t_s`` on the common axis. ``problem`` names a broken counter."""

    trace: Trace
    t_s: Array
    joules: Array
    problem: str | None


@dataclass(frozen=True)
class Energy:
    """Joules of a window with their standard uncertainty, and what was wrong (``good`` if nothing).

    ``random_J`` has the edges (update and sampling period, duration of a reading), the resolution, the noise between
    readings of power, and the clock: independent in each window. ``systematic_J`` has the accuracy class and the
    calibration: the same error in every window of a trace. For a modelled source neither says anything about the model.
    """

    joules: float
    random_J: float
    systematic_J: float
    quality: str
    samples: int
    max_gap_s: float

    @property
    def uncertainty_J(self) -> float:
        return math.hypot(self.random_J, self.systematic_J)


def together(parts: Sequence[Energy]) -> Energy:
    """Windows of one trace as one: random errors add in quadrature, systematic ones as they are."""
    bad = [part.quality for part in parts if part.quality != "good"]
    return Energy(
        joules=math.fsum(part.joules for part in parts),
        random_J=math.hypot(*(part.random_J for part in parts)),
        systematic_J=math.fsum(part.systematic_J for part in parts),
        quality=bad[0] if bad else "good",
        samples=sum(part.samples for part in parts),
        max_gap_s=max((part.max_gap_s for part in parts), default=0.0),
    )


def added(parts: Iterable[Energy]) -> Energy:
    """Different sensors over the same windows as one: all their errors are independent."""
    found = list(parts)
    bad = [part.quality for part in found if part.quality != "good"]
    return Energy(
        joules=math.fsum(part.joules for part in found),
        random_J=math.hypot(*(part.random_J for part in found)),
        systematic_J=math.hypot(*(part.systematic_J for part in found)),
        quality=bad[0] if bad else "good",
        samples=min((part.samples for part in found), default=0),
        max_gap_s=max((part.max_gap_s for part in found), default=0.0),
    )


def curve(trace: Trace, to_common_s: ToCommon) -> Curve:
    """The cumulative curve of the channels that make the trace's total, calibrated where the trace says so."""
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
    return Curve(trace, t_s, total, problem)


def _straight(t_ns: Array, to_common_s: ToCommon) -> Array:
    first, last = float(t_ns[0]), float(t_ns[-1])
    a, b = to_common_s(first), to_common_s(last)
    return a + (t_ns - first) * ((b - a) / (last - first) if last > first else 1e-9)


def _channel_curve(channel: Channel, raw: NDArray[np.int64], t_s: Array) -> tuple[Array, str | None]:
    problem = None
    if channel.kind == "counter":
        steps, problem = unwrapped(channel, raw, t_s)
        steps_J = steps * channel.scale
        if len(raw) > 2 and channel.baseline_W == 0 and t_s[-1] - t_s[0] > 5 * channel.update_period_s and not steps.any():
            problem = problem or f"counter {channel.id} does not move"
    else:
        power = raw * channel.scale
        steps_J = (power[1:] + power[:-1]) / 2 * np.diff(t_s)
    return np.concatenate([[0.0], np.cumsum(steps_J)]) + channel.baseline_W * (t_s - t_s[0]), problem


def unwrapped(channel: Channel, raw: NDArray[np.int64], t_s: Array) -> tuple[NDArray[np.int64], str | None]:
    """Differences of a counter's readings in raw units, corrected where it started again, and what is wrong with it.

    More than one wrap between two readings cannot be seen. A step back that only an absurd power would explain as a wrap
    is a counter that was set to zero (a driver loaded again), and no wrap.
    """
    steps = np.diff(raw)
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


def at(found: Curve, times_s: Array | Sequence[float]) -> Array:
    """Cumulative joules at ``times_s``."""
    return np.interp(np.asarray(times_s, dtype=np.float64), found.t_s, found.joules)


def energy(found: Curve, start_s: float, end_s: float, clock_s: float = 0.0) -> Energy:
    """Joules from ``start_s`` to ``end_s``; ``clock_s`` is the error bound of the host's clock.

    Quality is ``uncovered`` when the readings do not reach over both edges, ``gap`` when power readings are missing for
    more than three periods (a counter misses nothing: for it, more than a second), or names a broken counter. The
    joules are then still given, and must not be used.
    """
    inside = (found.t_s >= start_s) & (found.t_s <= end_s)
    first, last = np.searchsorted(found.t_s, [start_s, end_s])
    span = slice(max(int(first) - 1, 0), int(last) + 1)
    around = found.t_s[span]
    gap_s = float(np.diff(around).max()) if len(around) > 1 else math.inf
    begin_J, end_J = at(found, [start_s, end_s])
    joules = float(end_J - begin_J)
    return Energy(
        joules=joules,
        random_J=_random(found, span, start_s, end_s, joules, clock_s),
        systematic_J=_systematic(found.trace, joules, end_s - start_s),
        quality=_quality(found, start_s, end_s, gap_s),
        samples=int(inside.sum()),
        max_gap_s=gap_s if math.isfinite(gap_s) else end_s - start_s,
    )


def _random(found: Curve, span: slice, start_s: float, end_s: float, joules: float, clock_s: float) -> float:
    """Each edge lies anywhere in an interval of the update period, of the sampling period and of the reading itself:
    a standard deviation of P T / sqrt(12) for each, with the power around that edge where it is above the mean."""
    trace, around = found.trace, found.t_s[span]
    spacing_s = float(np.median(np.diff(around))) if len(around) > 1 else 0.0
    reading_s = float(np.median(trace.t_after_ns - trace.t_before_ns)) / 1e9
    channels = [trace.channels[index] for index in cover(trace.channels)]
    update_s = max((channel.update_period_s for channel in channels), default=0.0)
    mean_W = abs(joules) / (end_s - start_s) if end_s > start_s else 0.0
    gain = 1.0 if trace.calibration is None else trace.calibration.gain  # the curve has it, the raw readings do not
    squares = 0.0
    for edge in (start_s, end_s):
        power_W = max(mean_W, _slope(found, edge, max(update_s, spacing_s)))
        squares += power_W**2 * ((update_s**2 + spacing_s**2 + reading_s**2) / 12 + clock_s**2)
    for index in cover(trace.channels):
        channel = trace.channels[index]
        if channel.kind == "counter":
            squares += (gain * channel.scale * channel.lsb) ** 2 / 6
        else:
            squares += gain**2 * _sampling(channel, trace.raw[span, index] * channel.scale, spacing_s)
    return math.sqrt(squares)


def _slope(found: Curve, edge_s: float, width_s: float) -> float:
    """The largest mean power over ``width_s`` around an edge: the load may step just there."""
    if width_s <= 0:
        return 0.0
    joules = at(found, edge_s + width_s * np.array([-2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0]))
    return float(np.abs(joules[2:] - joules[:-2]).max()) / width_s


def _sampling(channel: Channel, power_W: NDArray[np.floating], spacing_s: float) -> float:
    """Variance of an integral of power readings, J^2: what happened between them is only known as far as neighbours agree.

    A reading's deviation from the mean of its neighbours has 3/2 of the variance of one reading where they are
    independent, and vanishes where the load is smooth on the scale of the readings. RESONANCE allows for a load that has
    the period of the readings.
    """
    if len(power_W) < 3:
        return (channel.noise_W**2 + (channel.scale * channel.lsb) ** 2 / 12) * spacing_s**2
    bend = power_W[1:-1] - (power_W[:-2] + power_W[2:]) / 2
    variance = max(float(np.mean(bend**2)) / 1.5, channel.noise_W**2, (channel.scale * channel.lsb) ** 2 / 12)
    few = (len(power_W) - 1) / (len(power_W) - 3) if len(power_W) > 3 else 3.0  # Student's: the variance is an estimate too
    return RESONANCE * few * variance * spacing_s**2 * len(power_W)


def _systematic(trace: Trace, joules: float, seconds: float) -> float:
    """Of the accuracy class, or of the calibration that replaces it."""
    if trace.calibration is not None:
        return calibration_u_J(trace.calibration, joules, seconds)
    classes = [trace.channels[index].accuracy or 0.0 for index in cover(trace.channels)]
    return max(classes, default=0.0) * abs(joules)


def calibration_u_J(found: Calibration, joules: float, seconds: float) -> float:
    """Standard uncertainty of calibrated joules from those of gain and offset and their covariance."""
    raw_J = (joules - found.offset_W * seconds) / found.gain
    square = (raw_J * found.gain_u) ** 2 + (seconds * found.offset_u_W) ** 2 + 2 * raw_J * seconds * found.covariance
    return math.sqrt(max(square, 0.0))


def _quality(found: Curve, start_s: float, end_s: float, gap_s: float) -> str:
    if found.problem is not None:
        return found.problem
    if start_s < found.t_s[0] or end_s > found.t_s[-1]:
        return "uncovered"
    trace = found.trace
    powers = any(trace.channels[index].kind == "power" for index in cover(trace.channels))
    # Reading takes its time too: six rails of an INA3221 80 ms.
    usual_s = max(trace.period_s, float(np.median(np.diff(found.t_s))))
    longest = GAP_PERIODS * usual_s if powers else max(GAP_PERIODS * usual_s, COUNTER_GAP_S)
    return "gap" if gap_s > longest else "good"


def window_needed_s(
    channels: Sequence[Channel],
    period_s: float,
    power_W: Sequence[float] | None = None,
    samples: int = 60,
    relative: float = 0.01,
) -> float:
    """The window that gives ``samples`` readings and joules known to ``relative``, apart from accuracy class.

    Edges: ``T / (sqrt(6) u)`` for the update and the sampling period T. Resolution of a counter: two edges of
    ``q / sqrt(12)`` against ``P T``, so ``q / (sqrt(6) u P)`` with the power of each channel, where it is known.
    """
    needed = [samples * period_s]
    for index in cover(channels):
        channel = channels[index]
        needed.append(math.hypot(channel.update_period_s, period_s) / (math.sqrt(6) * relative))
        watts = power_W[index] if power_W is not None else math.nan
        if channel.kind == "counter" and watts > 0:  # nan is not
            needed.append(channel.scale * channel.lsb / (math.sqrt(6) * relative * watts))
    return max(needed)
