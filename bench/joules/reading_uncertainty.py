"""The standard uncertainty of a window's joules, from what is known of the readings: here, and nowhere else.

Random are the edges, what happened between readings of power, and the clock: independent in each window. Edges are judged by
the readings themselves: each is left out in turn and interpolated from its neighbours, and what that misses, taken to the
spacing that there is, is what the interpolation at an edge misses. So noise, times and steps of a sensor that differ from
what it declares are in it. Systematic are the accuracy class, the calibration, and the rounding of a load that is steadier
than the sensor's steps: the same error in every window of a trace. How windows and sensors add up is in ``integration``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from bench.joules.between_readings import left_out, sampling_J2
from bench.joules.channel import Calibration, Channel, Trace, cover
from bench.joules.energy_curve import Curve
from bench.joules.renewals import Renewals
from bench.joules.rounding import rounding_u_W

KINK = 90**-0.5
"""A step of power by P within an interval of length L, anywhere, is missed by P L / sqrt(90) by a straight line, at a place
anywhere in it (the root mean square of a Brownian bridge's covariance); by P L / 4 at most."""
UNSEEN = 0.07
"""A load whose period is that of a regular renewal leaves no trace in the readings: with a swing of 0.6 of its mean power it
takes the energy between two renewals away from a straight line by a standard deviation of 0.07 P T."""
REGULAR = 2.0
"""A sensor's renewals are more regular than our readings. Renewals that vary by 30 % correlate by r = sin(0.6 pi) / (0.6 pi)
= 0.50 with a sine of their period: twice the correlation, for which ``RESONANCE`` stands."""
STEP = 30**-0.5
"""The same for a straight line between two readings of power: P L / sqrt(30), by P L / 2 at most."""


def random_u_J(curve: Curve, window: tuple[float, float], joules: float, clock_s: float) -> float:
    """The random standard uncertainty of a window, in joules.

    Args:
        curve: The readings.
        window: Begin and end, in seconds on the common axis.
        joules: The window's joules.
        clock_s: The error bound of the host's clock, in seconds.

    Returns:
        Joules, one standard deviation.
    """
    start_s, end_s = window
    first, last = np.searchsorted(curve.t_s, [start_s, end_s])
    span = slice(max(int(first) - 1, 0), int(last) + 1)
    mean_W = abs(joules) / (end_s - start_s) if end_s > start_s else 0.0
    trace = curve.trace
    missed_J2 = left_out(curve.t_s[span], curve.joules[span])
    reading_s = float(np.median(trace.t_after_ns - trace.t_before_ns)) / 1e9
    steps_J2 = _steps_J2(curve, mean_W, reading_s)
    squares = 0.0
    for edge_s in (start_s, end_s):
        local_J2, power_W, spacing_s = _around(curve, edge_s, mean_W)
        # With too few points to leave one out, an edge lies anywhere between two of them.
        squares += max((power_W * spacing_s) ** 2 / 12 if missed_J2 is None else missed_J2, local_J2, steps_J2)
        squares += (power_W * clock_s) ** 2
    if end_s > curve.tail_s:
        squares += (mean_W * (end_s - max(curve.tail_s, start_s))) ** 2 / 3
    for index, renewed in zip(cover(trace.channels), curve.renewals, strict=True):
        if trace.channels[index].kind == "power":
            # The curve is calibrated, the raw readings are not.
            squares += trace.gain**2 * _between_J2(trace, index, renewed, window)
    return math.sqrt(squares)


def _steps_J2(curve: Curve, mean_W: float, reading_s: float) -> float:
    """The least that an edge is uncertain by: the steps of counters, declared times, the duration of a reading."""
    trace = curve.trace
    square = (mean_W * reading_s) ** 2 / 12
    for index, renewed in zip(cover(trace.channels), curve.renewals, strict=True):
        channel = trace.channels[index]
        if channel.kind == "power" or not renewed.single_steps or not renewed.resolved:
            square += (UNSEEN * mean_W * renewed.period_s) ** 2
        if channel.kind == "counter":
            width_s = float(np.median(renewed.width_s)) if len(renewed.width_s) else 0.0
            step_J = trace.gain * channel.scale * renewed.step
            if renewed.single_steps and renewed.resolved:  # the time of each step is known, by when it was read
                step_J = min(step_J, mean_W * (channel.update_period_s + width_s))
            square += step_J**2 / 18 + (mean_W * width_s) ** 2 / 18
    return square


def _around(curve: Curve, edge_s: float, mean_W: float) -> tuple[float, float, float]:
    """What a step of power at an edge could hide, J^2, the largest power around it, W, and the length of its interval, s."""
    at = int(np.clip(np.searchsorted(curve.t_s, edge_s), 1, len(curve.t_s) - 1)) if len(curve.t_s) > 1 else 0
    if not at:
        return 0.0, mean_W, curve.period_s
    low, high = max(at - 2, 0), min(at + 1, len(curve.t_s) - 1)
    length_s = np.diff(curve.t_s[low : high + 1])
    watts = np.diff(curve.joules[low : high + 1]) / np.maximum(length_s, 1e-9)
    sampled = any(
        curve.trace.channels[index].kind == "power" and not renewed.resolved
        for index, renewed in zip(cover(curve.trace.channels), curve.renewals, strict=True)
    )
    here_s = float(curve.t_s[at] - curve.t_s[at - 1])
    here_s = math.hypot(here_s, curve.period_s) if sampled else here_s
    hidden_J = (STEP if sampled else KINK) * float(np.ptp(watts)) * here_s
    return hidden_J**2, max(mean_W, float(np.abs(watts).max())), here_s


def _between_J2(trace: Trace, index: int, renewed: Renewals, window: tuple[float, float]) -> float:
    """Variance of the integral of readings of power.

    A value that stays for a while is the mean of that while or the power of a moment, and a sensor does not tell which: it
    may have missed what a moment misses.
    """
    channel = trace.channels[index]
    inside = (renewed.at_s >= window[0] - 2 * renewed.period_s) & (renewed.at_s <= window[1] + renewed.period_s)
    at_s, power_W = renewed.at_s[inside], trace.raw[renewed.index[inside], index] * channel.scale
    spacing_s = float(np.median(np.diff(at_s))) if len(at_s) > 1 else renewed.period_s
    noise_J2 = len(at_s) * spacing_s**2 * channel.noise_W**2
    if renewed.resolved:
        width_s = float(np.median(renewed.width_s)) if len(renewed.width_s) else 0.0
        jumps_W2 = float(np.mean(np.diff(power_W) ** 2)) if len(power_W) > 1 else 0.0
        lasted_J2 = len(at_s) * jumps_W2 * width_s**2 / 12  # how long each value lasted
        return lasted_J2 + max(noise_J2, REGULAR * sampling_J2(at_s, power_W))
    return max(noise_J2, sampling_J2(at_s, power_W))


def systematic_u_J(curve: Curve, window: tuple[float, float], joules: float) -> float:
    """The systematic standard uncertainty of a window, of the accuracy class or of the calibration that replaces it.

    Args:
        curve: The readings.
        window: Begin and end, in seconds on the common axis.
        joules: The window's joules, calibrated where the trace is.

    Returns:
        Joules, one standard deviation; of the accuracy 0 where that is not known.
    """
    trace, seconds = curve.trace, window[1] - window[0]
    rounded = 0.0
    for index, renewed in zip(cover(trace.channels), curve.renewals, strict=True):
        channel = trace.channels[index]
        if channel.kind == "power":
            inside = (curve.read_s >= window[0]) & (curve.read_s <= window[1])
            watts = rounding_u_W(trace.raw[inside, index] * channel.scale, renewed.step * channel.scale)
            rounded += (trace.gain * watts * seconds) ** 2
    return math.hypot(accuracy_u_J(trace, joules, seconds), math.sqrt(rounded))


def accuracy_u_J(trace: Trace, joules: float, seconds: float) -> float:
    """The part of the accuracy class, or of the calibration that replaces it.

    Args:
        trace: The readings.
        joules: The window's joules, calibrated where the trace is.
        seconds: The window's length.

    Returns:
        Joules, one standard deviation; 0 where the accuracy is not known.
    """
    if trace.calibration is not None:
        return calibration_u_J(trace.calibration, joules, seconds)
    classes = [trace.channels[index].accuracy or 0.0 for index in cover(trace.channels)]
    return max(classes, default=0.0) * abs(joules)


def model_u_J(trace: Trace, joules: float) -> dict[str, float]:
    """The standard uncertainty of the model that makes joules of a trace, in joules.

    Args:
        trace: The readings.
        joules: The window's joules.

    Returns:
        By the board class whose model it is; empty where the trace is measured or states none.
    """
    shares = [trace.channels[index].model_u or 0.0 for index in cover(trace.channels)]
    largest = max(shares, default=0.0)
    return {trace.board: largest * abs(joules)} if largest and trace.calibration is None else {}


def calibration_u_J(calibration: Calibration, joules: float, seconds: float) -> float:
    """Standard uncertainty of calibrated joules from those of gain and offset and their covariance.

    Args:
        calibration: The sensor's calibration.
        joules: The window's joules, calibrated.
        seconds: The window's length.

    Returns:
        Joules, one standard deviation.
    """
    raw_J = (joules - calibration.offset_W * seconds) / calibration.gain
    square = (
        (raw_J * calibration.gain_u) ** 2
        + (seconds * calibration.offset_u_W) ** 2
        + 2 * raw_J * seconds * calibration.covariance
    )
    return math.sqrt(max(square, 0.0))


def window_needed_s(
    channels: Sequence[Channel],
    period_s: float,
    power_W: Sequence[float] | None = None,
    samples: int = 60,
    relative: float = 0.01,
) -> float:
    """The window that gives enough readings and joules that are known well enough, apart from the accuracy class.

    Edges: ``T / (sqrt(6) u)`` for the update and the sampling period T. Resolution of a counter: two edges of
    ``q / sqrt(12)`` against ``P T``, so ``q / (sqrt(6) u P)`` with the power of each channel, where it is known.

    Args:
        channels: Those of one source.
        period_s: Mean time between two readings, in seconds.
        power_W: Mean power of each channel, where it is known.
        samples: How many readings there must be at least.
        relative: The relative standard uncertainty of the joules.

    Returns:
        Seconds.
    """
    needed = [samples * max([period_s, *(channels[index].update_period_s for index in cover(channels))])]
    for index in cover(channels):
        channel = channels[index]
        needed.append(math.hypot(channel.update_period_s, period_s) / (math.sqrt(6) * relative))
        watts = power_W[index] if power_W is not None else math.nan
        if channel.kind == "counter" and watts > 0:  # nan is not
            needed.append(channel.scale * channel.lsb / (math.sqrt(6) * relative * watts))
    return max(needed)
