"""Where one line begins to beat another: between measured levels, never beyond them.

Between two levels both lines are taken to be power laws (straight on log-log axes): what time and energy are to the rate of a
link while one term outweighs the others.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from analysis.statistics.repeat_summary import Summary


@dataclass(frozen=True)
class Crossing:
    """Two lines meet at (``x``, ``y``), between the measured levels ``low_x`` and ``high_x``.

    ``one_below``: the first line is the smaller one before it. Where the lines are equal at a level they meet there and both
    levels are that one; where they are equal at several in a row, the levels are the first and the last of these, and ``x`` is
    the last: from there on the other is smaller.
    """

    x: float
    y: float
    low_x: float
    high_x: float
    one_below: bool


def crossings(x: Sequence[float], one: Sequence[float], other: Sequence[float], log_x: bool = True) -> list[Crossing]:
    """The crossings of two lines. Lines that only touch do not cross.

    Args:
        x: Rising levels.
        one: The first line's value at each level.
        other: The second line's.
        log_x: Interpolate the logarithm of ``x``; False for a sweep that begins at zero.

    Returns:
        In the order of rising ``x``; empty where the lines do not cross.

    Raises:
        ValueError: A logarithm has no value, ``x`` does not rise, or the lengths differ.
    """
    _check(x, one, other, log_x)
    met: list[Crossing] = []
    apart = [index for index in range(len(x)) if one[index] != other[index]]
    for before, after in itertools.pairwise(apart):
        if (one[before] < other[before]) == (one[after] < other[after]):
            continue
        if after - before > 1:
            last = after - 1
            met.append(Crossing(x[last], one[last], x[before + 1], x[last], one[before] < other[before]))
        else:
            met.append(_between(x, one, other, before, log_x))
    return met


def certain_range(
    x: Sequence[float], one: Sequence[Summary], other: Sequence[Summary], crossing: Crossing, log_x: bool = True
) -> tuple[float, float] | None:
    """Where the crossing of the medians can lie by their 95 % intervals.

    Args:
        x: Rising levels.
        one: The repeats of the first line at each level.
        other: The repeats of the second line.
        crossing: Of the medians (``crossings``).
        log_x: As there.

    Returns:
        The lowest and the highest ``x``; None where the intervals do not say that the lines cross. They say so where they lie
        apart, one way round at the level below and the other way round at the level above.
    """
    apart = [i for i in range(len(x)) if one[i].median != other[i].median]
    begin = max(i for i in apart if x[i] <= crossing.low_x)
    end = min(i for i in apart if x[i] >= crossing.high_x)
    part = range(begin, end + 1)
    first, second = ([_ends(line[i]) for i in part] for line in (one, other))
    if None in first or None in second:
        return None
    ends = []
    for low, high in ((0, 1), (1, 0)):
        a, b = [bounds[low] for bounds in first if bounds], [bounds[high] for bounds in second if bounds]
        if (a[0] < b[0]) != crossing.one_below or (a[-1] < b[-1]) == crossing.one_below:
            return None
        ends.append(crossings([x[i] for i in part], a, b, log_x)[0].x)
    return min(ends), max(ends)


def how_sure(
    x: Sequence[float],
    one: Sequence[Summary],
    other: Sequence[Summary],
    crossing: Crossing,
    text: Callable[[float], str],
    log_x: bool = True,
) -> str:
    """How sure a crossing of medians is by the repeats, in words.

    Args:
        x: Rising levels.
        one: The repeats of the first line at each level.
        other: The repeats of the second line.
        crossing: Of the medians (``crossings``).
        text: Writes a value of ``x``.
        log_x: As in ``crossings``.

    Returns:
        The range of ``x`` where all levels have intervals, else whether all repeats agree; made to follow the crossing in a
        caption.
    """
    both = [*one, *other]
    if all(summary.low is not None for summary in both):
        reach = certain_range(x, one, other, crossing, log_x)
        if reach is None:
            return "95 % intervals overlap beside it, so that the lines cross is not shown"
        return f"between {text(reach[0])} and {text(reach[1])} by 95 % intervals"
    if any(summary.n == 1 for summary in both):
        return "one repeat, which cannot say how sure this is"
    whole, rest = ([replace(s, low=s.smallest, high=s.largest) for s in line] for line in (one, other))
    if certain_range(x, whole, rest, crossing, log_x) is None:
        return "repeats overlap beside it, so that the lines cross is not shown"
    return "all repeats agree that the lines cross"


def _ends(repeats: Summary) -> tuple[float, float] | None:
    return None if repeats.low is None or repeats.high is None else (repeats.low, repeats.high)


def _between(x: Sequence[float], one: Sequence[float], other: Sequence[float], level: int, log_x: bool) -> Crossing:
    """Straight lines in the logarithms: the share of the way at which their difference is zero."""
    gap, next_gap = (math.log(one[i] / other[i]) for i in (level, level + 1))
    share = gap / (gap - next_gap)
    low, high = x[level], x[level + 1]
    where = low * (high / low) ** share if log_x else low + (high - low) * share
    return Crossing(where, one[level] * (one[level + 1] / one[level]) ** share, low, high, one[level] < other[level])


def _check(x: Sequence[float], one: Sequence[float], other: Sequence[float], log_x: bool) -> None:
    if not len(x) == len(one) == len(other):
        raise ValueError(f"{len(x)} levels, but {len(one)} and {len(other)} values")
    if any(b <= a for a, b in itertools.pairwise(x)):
        raise ValueError(f"levels must rise, found {list(x)}")
    logged = [*one, *other, *(x if log_x else ())]
    if any(value <= 0 for value in logged):
        raise ValueError(f"no logarithm of {min(logged)}: levels and values must be positive")
