"""The median and its interval: the summary that records and reports use."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median
from typing import TypedDict

CONFIDENCE = 0.95
SMALLEST_N = 6


class MedianInterval(TypedDict):
    """A median with the bounds of its interval, in the unit of the values, as records have it; None: too few values."""

    median: float
    ci_low: float | None
    ci_high: float | None
    n: int
    confidence: float


def median_ranks(n: int, confidence: float = CONFIDENCE) -> tuple[int, int] | None:
    """Ranks of the order statistics that enclose the median.

    Exact and without an assumption about the distribution: the number of values below the median is binomial(n, 1/2) (Le
    Boudec, Performance Evaluation of Computer and Communication Systems, theorem 2.1).

    Args:
        n: Number of values.
        confidence: The least probability that the interval holds the median, between 0 and 1.

    Returns:
        Lower and upper rank, from 0; None where even the whole range does not reach the confidence: below six values for 95
        %.
    """
    tail, best = 0.0, None
    for lower in range(n // 2):
        tail += math.comb(n, lower) / 2**n
        if 1 - 2 * tail >= confidence:
            best = (lower, n - 1 - lower)
    return best


def median_interval(values: Sequence[float], confidence: float = CONFIDENCE) -> MedianInterval:
    """The median of values and its interval.

    Args:
        values: At least one, in any order.
        confidence: The least probability that the interval holds the median, between 0 and 1.

    Returns:
        The median, the bounds by rank, the number of values and the confidence.
    """
    ordered = sorted(values)
    ranks = median_ranks(len(ordered), confidence)
    low, high = (None, None) if ranks is None else (ordered[ranks[0]], ordered[ranks[1]])
    return {"median": median(ordered), "ci_low": low, "ci_high": high, "n": len(ordered), "confidence": confidence}


def half_width(values: Sequence[float]) -> float | None:
    """Half the width of the median's 95 % interval by rank, as a share of the median.

    Rates and joules of a finished point are positive, and so is their median.

    Args:
        values: In any unit and order; may be empty.

    Returns:
        The share; None below six values.
    """
    interval = median_interval(values) if values else None
    if interval is None or interval["ci_low"] is None or interval["ci_high"] is None:
        return None
    return (interval["ci_high"] - interval["ci_low"]) / 2 / abs(interval["median"])
