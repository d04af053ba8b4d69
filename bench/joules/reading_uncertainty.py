"""The standard uncertainty of a window's joules, from what is known of the readings: here, and nowhere else.

Random are the edges (update and sampling period, duration of a reading), the resolution, the noise between readings of
power, and the clock: independent in each window. Systematic are the accuracy class and the calibration: the same error in
every window of a trace. How windows and sensors add up is in ``integration``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bench.joules.channel import Calibration, Channel, Trace, cover
from bench.joules.energy_curve import Curve, joules_at

RESONANCE = 3.6
"""With a jitter of 40 %, readings of a sine that has their period correlate by r = 0.35 (sin(x)/x of 0.8 pi, rounded up):
the sum then has (1 + r) / (1 - r) = 2.1 of the variance of independent readings, of which the deviation from the neighbours
shows (3/2 - 2 r + r^2 / 2) / (3/2) = 0.57."""


def random_u_J(curve: Curve, span: slice, window: tuple[float, float], joules: float, clock_s: float) -> float:
    """The random standard uncertainty of a window, in joules.

    Each edge lies anywhere in an interval of the update period, of the sampling period and of the reading itself: a
    standard deviation of P T / sqrt(12) for each, with the power around that edge where it is above the mean.

    Args:
        curve: The readings.
        span: Those inside the window, with one before and one after.
        window: Begin and end, in seconds on the common axis.
        joules: The window's joules.
        clock_s: The error bound of the host's clock, in seconds.

    Returns:
        Joules, one standard deviation.
    """
    start_s, end_s = window
    trace, around = curve.trace, curve.t_s[span]
    spacing_s = float(np.median(np.diff(around))) if len(around) > 1 else 0.0
    reading_s = float(np.median(trace.t_after_ns - trace.t_before_ns)) / 1e9
    channels = [trace.channels[index] for index in cover(trace.channels)]
    update_s = max((channel.update_period_s for channel in channels), default=0.0)
    mean_W = abs(joules) / (end_s - start_s) if end_s > start_s else 0.0
    gain = 1.0 if trace.calibration is None else trace.calibration.gain  # the curve has it, the raw readings do not
    squares = 0.0
    for edge in (start_s, end_s):
        power_W = max(mean_W, _largest_W(curve, edge, max(update_s, spacing_s)))
        squares += power_W**2 * ((update_s**2 + spacing_s**2 + reading_s**2) / 12 + clock_s**2)
    for index in cover(trace.channels):
        channel = trace.channels[index]
        if channel.kind == "counter":
            squares += (gain * channel.scale * channel.lsb) ** 2 / 6
        else:
            squares += gain**2 * _sampling(channel, trace.raw[span, index] * channel.scale, spacing_s)
    return math.sqrt(squares)


def _largest_W(curve: Curve, edge_s: float, width_s: float) -> float:
    """The largest mean power over ``width_s`` around an edge: the load may step just there."""
    if width_s <= 0:
        return 0.0
    joules = joules_at(curve, edge_s + width_s * np.array([-2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0]))
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


def systematic_u_J(trace: Trace, joules: float, seconds: float) -> float:
    """The systematic standard uncertainty of a window, of the accuracy class or of the calibration that replaces it.

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
    needed = [samples * period_s]
    for index in cover(channels):
        channel = channels[index]
        needed.append(math.hypot(channel.update_period_s, period_s) / (math.sqrt(6) * relative))
        watts = power_W[index] if power_W is not None else math.nan
        if channel.kind == "counter" and watts > 0:  # nan is not
            needed.append(channel.scale * channel.lsb / (math.sqrt(6) * relative * watts))
    return max(needed)
