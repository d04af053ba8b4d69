"""When a sensor renewed its value, seen from readings that come more or less often than that. Pure.

A reading that repeats the one before is no new one. The period is the larger of what the sensor declares and of what the
times between changes show; a change that was seen between two readings happened at any time between them.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from bench.joules.channel import Channel

Array = NDArray[np.float64]

LEAST_CHANGES = 5
RESOLVED, SEEN = 1.5, 1.75
"""Renewals that are declared, or changes that are seen, so many times more seldom than readings; else every reading may be a
new one."""
MOST_UNEVEN, MOST_RELATED = 0.3, 0.7
KEPT_GOING = 2.5
"""A power that stays the same for so many periods was renewed with the same value; shorter times are a period that varies."""
LEAST_VALUES = 3


@dataclass(frozen=True)
class Renewals:
    """The readings of one channel that are new: their indices, when their value was made, and how well that is known.

    ``at_s`` is the middle of the time in which the value may have been renewed, ``width_s`` the length of that time.
    ``period_s`` is the time between renewals, 0 where neither declared nor seen; ``resolved`` tells whether readings come
    often enough to see each of them. ``step`` is the smallest step, in raw units, and ``single_steps`` tells
    whether most changes are of one step: then they say when the step was reached, and little of when it was renewed.
    """

    index: NDArray[np.intp]
    at_s: Array
    width_s: Array
    period_s: float
    resolved: bool
    step: float
    single_steps: bool


def renewals_of(channel: Channel, raw: NDArray[np.int64], read_s: Array) -> Renewals:
    """The renewals of one channel.

    Args:
        channel: What it declares.
        raw: Its readings, in raw units.
        read_s: Their times, s.

    Returns:
        The readings that are new; all of them where renewals come as often as readings.
    """
    step = _step(channel, raw)
    period_s, single = seen_period_s(channel, raw, read_s, step)
    spacing_s = np.diff(read_s)
    usual_s = float(np.median(spacing_s)) if len(spacing_s) else 0.0
    seen = period_s > SEEN * usual_s > 0
    declared_s = channel.update_period_s
    longest_s = max(declared_s, period_s if seen else 0.0)
    # A power that changes far more often than it is said to be renewed has noise of its own on an old mean.
    noisy = channel.kind == "power" and not seen and _changes_s(raw, read_s) < declared_s / 2
    resolved = seen or (declared_s > RESOLVED * usual_s > 0 and not noisy)
    index = np.arange(len(raw))
    if resolved:
        changed = np.concatenate([[True], np.diff(raw) != 0])
        index = np.flatnonzero(changed)
        if channel.kind == "power":
            index = _kept_going(index, read_s, longest_s)
    gap_s = np.concatenate([[0.0], spacing_s])[index]
    width_s = gap_s if resolved else np.full_like(gap_s, declared_s) if noisy else np.minimum(gap_s, declared_s)
    return Renewals(index, read_s[index] - width_s / 2, width_s, longest_s, resolved, step, single)


def _changes_s(raw: NDArray[np.int64], read_s: Array) -> float:
    """The usual time between two changes, s; infinite with too few of them."""
    at_s = read_s[1:][np.diff(raw) != 0]
    return float(np.median(np.diff(at_s))) if len(at_s) >= LEAST_CHANGES else np.inf


def seen_period_s(channel: Channel, raw: NDArray[np.int64], read_s: Array, step: float) -> tuple[float, bool]:
    """The renewal period that the times between changes show.

    Args:
        channel: A counter changes with each renewal; a power may stay the same.
        raw: Its readings, in raw units.
        read_s: Their times, s.
        step: The smallest step, in raw units.

    Returns:
        Seconds, 0 where there are too few changes to tell; and whether most changes are of a single step: those of a power
        then tell nothing of renewals.
    """
    change = np.diff(raw.astype(np.float64))
    changed = change != 0
    at_s = read_s[1:][changed]
    if len(at_s) < LEAST_CHANGES:
        # A counter that stands most of the time counts in large steps or seldom.
        few = channel.kind == "counter" and 0 < len(at_s) < len(change) / 2
        return float(read_s[-1] - read_s[0]) / (len(at_s) + 1) if few else 0.0, True
    single = float(np.median(np.abs(change[changed]))) <= 1.5 * step
    if channel.kind == "power" and single:
        return 0.0, True
    if channel.kind == "power" and not _of_the_sensor(at_s, raw[1:][changed].astype(np.float64)):
        return 0.0, True
    return float(np.median(np.diff(at_s))), single


def _of_the_sensor(at_s: Array, values: Array) -> bool:
    """Whether changes of a power are renewals, and not a load that goes up and down.

    A load's levels last as long as they do, so how long a value stays depends on it; renewals come whatever the value is, and
    none much sooner than the others.
    """
    stays_s, value = np.diff(at_s), values[:-1]
    if np.quantile(stays_s, 0.05) < MOST_UNEVEN * np.median(stays_s):
        return False
    if np.ptp(value) == 0 or np.ptp(stays_s) == 0:
        return True
    return bool(abs(np.corrcoef(stays_s, value)[0, 1]) < MOST_RELATED)


def _kept_going(index: NDArray[np.intp], read_s: Array, period_s: float) -> NDArray[np.intp]:
    """A steady power was renewed all the same: readings a period after the last new one are new too."""
    kept = list[int]()
    edges = [*index.tolist(), len(read_s)]
    for begin, end in pairwise(edges):
        kept.append(begin)
        end_s = read_s[min(end, len(read_s) - 1)]
        next_s = read_s[begin] + period_s
        while end_s - next_s > (KEPT_GOING - 1) * period_s:
            later = int(np.searchsorted(read_s, next_s))
            kept.append(later)
            next_s = read_s[later] + period_s
    return np.array(kept, dtype=np.intp)


def _step(channel: Channel, raw: NDArray[np.int64]) -> float:
    """The larger of the declared step and of the one that all values have in common."""
    values = np.unique(raw)
    if len(values) < LEAST_VALUES or int(values[-1]) - int(values[0]) > 2**62:
        return channel.lsb
    return max(channel.lsb, float(np.gcd.reduce(np.diff(values))))
