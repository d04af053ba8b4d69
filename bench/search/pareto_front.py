"""Which points are on the time-energy front, which may be, and which of them get a further repeat. Pure.

A repeat is worth its joules where it may change the front. So each point has an interval for each objective: by rank from six
repeats on (``bench/common/median_interval.py``), and below that Student's t with the spread of all repeats of the search
pooled, before there are any with a spread that is assumed (ASSUMED_SPREAD, which counts like ASSUMED_DEGREES repeats more). A
point that another one beats in every objective even where their intervals are nearest is clearly dominated.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from bench.common.median_interval import median_interval
from bench.common.student_t import t_quantile

ASSUMED_SPREAD = 0.03
"""Standard deviation between repeats as a share: what is assumed of a machine before two repeats say more."""
ASSUMED_DEGREES = 4

Objectives = tuple[float, ...]
"""Of one repeat, all to be small and positive."""


@dataclass(frozen=True)
class Interval:
    """Where the median of a point's objective is, with 95 % confidence."""

    low: float
    high: float


def dominates(first: Sequence[float], second: Sequence[float]) -> bool:
    """Whether a point is at least as good in every objective and better in one.

    Args:
        first: Objectives of the one, all to be small.
        second: Those of the other.

    Returns:
        Whether ``first`` dominates ``second``.
    """
    return all(a <= b for a, b in zip(first, second, strict=True)) and tuple(first) != tuple(second)


def front(points: Mapping[str, Sequence[float]]) -> list[str]:
    """The points that no other one dominates.

    Args:
        points: Objectives by name, all to be small.

    Returns:
        Their names, by their first objective.
    """
    best = [name for name, one in points.items() if not any(dominates(other, one) for other in points.values())]
    return sorted(best, key=lambda name: tuple(points[name]))


def medians(repeats: Sequence[Objectives]) -> Objectives:
    """The medians of each objective.

    Args:
        repeats: At least one.

    Returns:
        One number for each objective.
    """
    return tuple(median(values) for values in zip(*repeats, strict=True))


def spread(points: Mapping[str, Sequence[Objectives]], objective: int) -> tuple[float, int]:
    """The spread between repeats of one objective, pooled over all points, on a logarithmic scale.

    Args:
        points: Repeats by name.
        objective: Its number.

    Returns:
        Standard deviation as a share, and its degrees of freedom; both with the assumed spread in them.
    """
    squares, degrees = ASSUMED_DEGREES * ASSUMED_SPREAD**2, ASSUMED_DEGREES
    for repeats in points.values():
        logs = [math.log(one[objective]) for one in repeats]
        squares += sum((value - fmean(logs)) ** 2 for value in logs)
        degrees += len(logs) - 1
    return math.sqrt(squares / degrees), degrees


def intervals(points: Mapping[str, Sequence[Objectives]]) -> dict[str, tuple[Interval, ...]]:
    """Where each objective of each point is.

    Args:
        points: Repeats by name, at least one each.

    Returns:
        An interval for each objective, by name.
    """
    count = len(next(iter(points.values()))[0]) if points else 0
    pooled = [spread(points, objective) for objective in range(count)]
    return {
        name: tuple(_interval([one[number] for one in repeats], *pooled[number]) for number in range(count))
        for name, repeats in points.items()
    }


def _interval(values: Sequence[float], deviation: float, degrees: int) -> Interval:
    by_rank = median_interval(values)
    if by_rank["ci_low"] is not None and by_rank["ci_high"] is not None:
        return Interval(by_rank["ci_low"], by_rank["ci_high"])
    half = t_quantile(degrees) * deviation / math.sqrt(len(values))
    return Interval(by_rank["median"] * math.exp(-half), by_rank["median"] * math.exp(half))


def near_front(points: Mapping[str, Sequence[Objectives]]) -> dict[str, str]:
    """The points that may be on the front, with what speaks against the others being ahead of them.

    Args:
        points: Repeats by name, at least one each.

    Returns:
        By name, why the point may be on the front: nothing dominates it, or the point that does is within the intervals.
    """
    where = intervals(points)
    middle = {name: medians(repeats) for name, repeats in points.items()}
    near = {}
    for name, interval in where.items():
        others = [(other, where[other]) for other in points if other != name]
        if any(all(a.high < b.low for a, b in zip(ahead, interval, strict=True)) for _, ahead in others):
            continue
        over = next((other for other, _ in others if dominates(middle[other], middle[name])), None)
        near[name] = "no point dominates it" if over is None else f"{over} dominates it, but within the intervals of both"
    return near
