"""Student's t: how far a mean of few values may be off. Written out, for scipy is a dependency of the tests only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, stdev

CONFIDENCE = 0.95
NORMAL = 1.959963984540054
"""Half of the 95 % interval of a normal distribution, in standard deviations."""


def t_quantile(degrees: int, confidence: float = CONFIDENCE) -> float:
    """The t between whose negative and itself the given share of Student's distribution lies.

    Args:
        degrees: Degrees of freedom, at least 1.
        confidence: The share, between 0 and 1.

    Returns:
        The quantile, in standard errors of the mean.

    Raises:
        ValueError: One of the two is out of its range.
    """
    if degrees < 1 or not 0 < confidence < 1:
        raise ValueError(f"t of {degrees} degrees of freedom at {confidence} does not exist")
    low, high = 0.0, math.pi / 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, degrees) < confidence else (low, middle)
    return math.tan(low) * math.sqrt(degrees)


def _within(angle: float, degrees: int) -> float:
    """Share of the distribution between -t and t, with t = sqrt(degrees) tan(angle).

    It is a finite sum for whole degrees (Abramowitz and Stegun, 26.7.3 and 26.7.4).
    """
    cosine, sine = math.cos(angle), math.sin(angle)
    term, total = (cosine, 0.0) if degrees % 2 else (1.0, 0.0)
    for power in range(degrees % 2, degrees - 1, 2):
        total += term
        term *= cosine**2 * (power + 1) / (power + 2)
    return (angle + sine * total) * 2 / math.pi if degrees % 2 else sine * total


def mean_interval(values: Sequence[float], known_u: float = 0.0) -> tuple[float, float, float]:
    """Mean of values and its 95 % interval.

    Where the scatter says less than the known uncertainty, that counts, for few values can agree by chance.

    Args:
        values: At least two.
        known_u: The standard uncertainty of the mean by what is known of each value, in their unit.

    Returns:
        Mean, lower and upper bound.
    """
    n = len(values)
    scatter = t_quantile(n - 1) * stdev(values) / math.sqrt(n)
    half, mean = max(scatter, NORMAL * known_u), fmean(values)
    return mean, mean - half, mean + half
