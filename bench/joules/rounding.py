"""The error that a sensor's steps leave in the mean of a power: independent in noise, and the same again in a steady load."""

from __future__ import annotations

import math

import numpy as np

from bench.joules.renewals import Array

RIPPLE = 0.267
"""sqrt(2 / (pi x)) bounds the Bessel function J0(x), with x = 2 pi sqrt(2) s / q."""


def rounding_u_W(power_W: Array, step_W: float) -> float:
    """The standard uncertainty of the mean of rounded readings.

    A steady load is rounded to one value by up to half a step, every time: q / sqrt(12), whatever the number of readings. A
    load with levels has such an error for each, independent of one another. What moves a level over the steps from reading
    to reading, with a standard deviation s, takes the error down: noise by exp(-2 pi^2 s^2 / q^2), the first harmonic of
    the rounding error (Widrow and Kollar, Quantization Noise, 2008, chapter 4), a ripple only by J0(2 pi sqrt(2) s / q),
    which is at most 0.27 sqrt(q / s). Which of them it is, is not known: the weaker counts. The s before rounding is that of
    the readings less q^2 / 12.

    Args:
        power_W: Readings, W.
        step_W: The sensor's step, W.

    Returns:
        Watts.
    """
    if len(power_W) < 3 or step_W <= 0:
        return step_W / math.sqrt(12) if len(power_W) else 0.0
    bend_W = power_W[1:-1] - (power_W[:-2] + power_W[2:]) / 2
    # The smaller half of the bends: steps of the load are not noise.
    small = np.sort(np.abs(bend_W))[: max(1, len(bend_W) // 2)]
    variance = min(float(np.mean(small**2)) / 0.19, float(np.mean(bend_W**2))) / 1.5
    noise = max(0.0, variance / step_W**2 - 1 / 12)
    _, counts = np.unique(power_W, return_counts=True)
    levels = math.sqrt(float(((counts / len(power_W)) ** 2).sum()))
    moved = min(1.0, RIPPLE * noise**-0.25) if noise > 0 else 1.0
    return step_W / math.sqrt(12) * moved * levels
