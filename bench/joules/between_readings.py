"""What readings do not show of the time between them, told by leaving some of them out. Pure.

An interpolation's error at twice the spacing can be seen; how it shrinks with the spacing too (from four times to twice). Both
together tell it at the spacing that there is: noise and loads that are faster than the readings do not shrink, smooth loads do.
"""

from __future__ import annotations

import math

import numpy as np

from bench.joules.renewals import Array

FEWEST, FEW_AT_FOUR = 5, 12
DOUBT = 16.0
"""The rate at which errors shrink is itself known from few readings: of it is believed 1 / (1 + 16 / sqrt(readings))."""
NOISE_SHARE = 1.11
"""Independent errors s^2: the reading that is left out misses by 3/2 s^2, a place anywhere by 5/3 s^2 (with its own)."""
SMOOTH_SHARE = 8 / 15
"""A smooth load or one step: the middle of an interval misses most, a place anywhere 8/15 of that square."""
RESONANCE = 2.0
"""With a jitter of 40 %, readings of a sine that has their period correlate by r = sin(0.8 pi) / (0.8 pi) = 0.23: their sum
has (1 + r) / (1 - r) = 1.6 of the variance of independent readings, and what is left out shows (1 - r) / (1 + r) of it."""


def left_out(t_s: Array, joules: Array) -> float | None:
    """The mean square that a straight line between two points misses, at a place anywhere.

    Args:
        t_s: Times of the points, s.
        joules: Cumulative joules.

    Returns:
        J^2; None where there are too few points to leave one out.
    """
    if len(t_s) < FEWEST:
        return None
    two = _missed(t_s, joules, 1)
    two_J2 = float(np.mean(two**2)) * (len(two) + 1) / len(two)
    if len(t_s) < FEW_AT_FOUR or two_J2 == 0:
        return NOISE_SHARE * two_J2
    shrinks = float(np.clip(np.mean(_missed(t_s, joules, 2) ** 2) / two_J2 / _doubt(len(t_s)), 1.0, 16.0))
    share = NOISE_SHARE + (SMOOTH_SHARE - NOISE_SHARE) * min(1.0, np.log2(shrinks) / 3)
    return float(share * two_J2 / shrinks)


def _doubt(readings: int) -> float:
    return 1 + DOUBT / math.sqrt(readings)


def _missed(t_s: Array, values: Array, apart: int) -> Array:
    """Each point's value less the straight line between those ``apart`` before and after it."""
    before_s, at_s, after_s = t_s[: -2 * apart], t_s[apart:-apart], t_s[2 * apart :]
    weight = (at_s - before_s) / np.maximum(after_s - before_s, 1e-12)
    missed: Array = values[apart:-apart] - (1 - weight) * values[: -2 * apart] - weight * values[2 * apart :]
    return missed


def sampling_J2(t_s: Array, power_W: Array) -> float:
    """Variance of the integral of readings of power by trapezoids: what happened between them.

    Args:
        t_s: Times of the readings, s.
        power_W: The readings, W.

    Returns:
        J^2.
    """
    count = len(t_s)
    if count < FEWEST:
        spacing_s = float(np.median(np.diff(t_s))) if count > 1 else 0.0
        return float(count * spacing_s**2 * np.var(power_W)) * 4.0 if count else 0.0
    two_J2 = _blocks_J2(t_s, power_W, 1)
    four_J2 = _blocks_J2(t_s, power_W, 2) if count >= 2 * FEW_AT_FOUR else 0.0
    shrinks = float(np.clip(four_J2 / two_J2 / _doubt(count) if two_J2 > 0 else 2.0, 2.0, 32.0))
    few = (count + 2) / (count - 2)
    return RESONANCE * few * two_J2 / (shrinks - 1)


def _blocks_J2(t_s: Array, power_W: Array, apart: int) -> float:
    """The square by which trapezoids over ``2 apart`` readings miss those over ``apart``, added up over the readings."""
    missed_J = _missed(t_s, power_W, apart) * (t_s[2 * apart :] - t_s[: -2 * apart]) / 2
    sums = list[float]()
    for first in range(2 * apart):
        chosen = missed_J[first :: 2 * apart]
        pairs = chosen[: len(chosen) // 2 * 2].reshape(-1, 2).sum(axis=1)
        if len(pairs):
            sums.append(float((pairs**2).sum()) * len(chosen) / (2 * len(pairs)))
    return float(np.mean(sums)) if sums else 0.0
