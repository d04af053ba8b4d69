"""Summaries of repeats: medians with intervals where there are enough of them, never a mean of ratios.

``docs/explanation/statistics.md`` says what is used when, and why.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import harmonic_mean, mean, quantiles, stdev

import pandas as pd

from analysis.study.count_phrases import repeat_counts
from bench.common.median_interval import CONFIDENCE, SMALLEST_N, median_interval

FEWEST_FOR_NORMALITY = 8
"""Below eight values the Shapiro-Wilk test at 5 % does not even reject exponential values one time in three (simulated: 0.21 at
six, 0.32 at eight), so that it passed says nothing."""
FENCE = 1.5


@dataclass(frozen=True)
class Summary:
    """The median of ``n`` repeats, its 95 % interval (None below six of them), and the range."""

    median: float
    low: float | None
    high: float | None
    smallest: float
    largest: float
    n: int

    @property
    def why(self) -> str | None:
        """Why there is no interval; None where there is one."""
        return why_no_interval(self.n)


@dataclass(frozen=True)
class Mean:
    """The arithmetic mean with Student's interval; ``normal_p`` is that of the Shapiro-Wilk test that allowed it."""

    mean: float
    low: float
    high: float
    n: int
    normal_p: float


@dataclass(frozen=True)
class Olympic:
    """The mean of ``n`` repeats without the smallest and the largest; ``note`` says so."""

    mean: float
    n: int
    note: str


@dataclass(frozen=True)
class Outliers:
    """Tukey's fences, and which values lie outside of them. They are counted and shown, never dropped."""

    low: float
    high: float
    indices: tuple[int, ...]


def summarise(values: Sequence[float]) -> Summary:
    """The summary of repeats; its interval is ``bench.common.median_interval``'s, as in every record.

    Args:
        values: At least one, in any unit.

    Returns:
        In the same unit; the interval is null with fewer than six values.
    """
    interval = median_interval(values)
    return Summary(interval["median"], interval["ci_low"], interval["ci_high"], min(values), max(values), len(values))


def why_no_interval(n: int) -> str | None:
    """Why so few values give no 95 % interval of the median.

    All of them lie on one side of the median with probability 2 / 2^n, so their whole range holds it with 1 - 2 / 2^n
    (Hoefler and Belli, SC'15, rule 6: no interval for n <= 5).

    Args:
        n: Their number, at least 1.

    Returns:
        The reason in words; None where they give one.
    """
    if n >= SMALLEST_N:
        return None
    if n == 1:
        return "one repeat: its spread is unknown"
    return (
        f"{n} repeats: even their whole range holds the median with only {100 * (1 - 2 / 2**n):.1f} %, "
        f"{100 * CONFIDENCE:.0f} % takes {SMALLEST_N}"
    )


def average(values: Sequence[float], what: str) -> float:
    """The mean that fits the quantity: arithmetic for a ``cost`` (s, J), harmonic for a ``rate`` (1/s).

    Args:
        values: At least one.
        what: ``cost`` or ``rate``.

    Returns:
        In the unit of the values.

    Raises:
        ValueError: It is neither: ratios have no mean (Hoefler and Belli, SC'15, rules 3 and 4).
    """
    if what == "cost":
        return mean(values)
    if what == "rate":
        return harmonic_mean(values)
    raise ValueError(f"a {what} must not be averaged; average its numerator and denominator")


def normality(values: Sequence[float]) -> float | None:
    """The Shapiro-Wilk test (Biometrika 52, 1965).

    Args:
        values: In any unit.

    Returns:
        Its p; None for fewer than eight values, or where all are equal.
    """
    if len(values) < FEWEST_FOR_NORMALITY or min(values) == max(values):
        return None
    from scipy.stats import shapiro  # takes as long to import as all the rest of a report

    centre, scale = mean(values), stdev(values)
    return float(shapiro([(value - centre) / scale for value in values]).pvalue)


def mean_interval(values: Sequence[float]) -> Mean | str:
    """The arithmetic mean of a cost with Student's 95 % interval, or in words why it is refused.

    Normality is looked at first and not taken for granted (Hoefler and Belli, SC'15, rule 6): with skewed repeats the
    interval holds the mean less often than it says.

    Args:
        values: Repeats of a cost (s, J).

    Returns:
        The mean in the same unit, or the line that says why there is none.
    """
    n = len(values)
    if n < FEWEST_FOR_NORMALITY:
        return (
            f"no mean: {n} repeats are too few to see whether they are normal, it takes {FEWEST_FOR_NORMALITY}; use the median"
        )
    p = normality(values)
    if p is None:
        return f"no mean: all {n} repeats are equal, so there is no spread to judge; use the median"
    if p < 1 - CONFIDENCE:
        return f"no mean: the {n} repeats are not normal (Shapiro-Wilk, p = {p:.2g}); use the median"
    from scipy.stats import t

    centre, half = mean(values), float(t.ppf((1 + CONFIDENCE) / 2, n - 1)) * stdev(values) / math.sqrt(n)
    return Mean(centre, centre - half, centre + half, n, p)


def olympic_mean(values: Sequence[float], what: str) -> Olympic | str:
    """The mean of a ``cost`` or a ``rate`` without its smallest and its largest value, as MLPerf Training scores runs.

    Only for comparison with scores of that kind: it drops two repeats, and has no interval.

    Args:
        values: The repeats.
        what: ``cost`` or ``rate``, as in ``average``.

    Returns:
        The mean, or in words why there is none.

    Raises:
        ValueError: ``what`` is neither.
    """
    n = len(values)
    if n < 3:
        return f"no Olympic mean: it drops the fastest and the slowest, and there are only {n} repeats; three are needed"
    kept = sorted(values)[1:-1]
    note = f"Olympic mean of {n} repeats: the smallest and the largest are left out, {len(kept)} kept; no interval"
    return Olympic(average(kept, what), n, note)


def outliers(values: Sequence[float]) -> Outliers:
    """Values more than 1.5 interquartile ranges outside of the quartiles (Tukey, Exploratory Data Analysis, 1977).

    Quartiles are interpolated between order statistics. With fewer than four values none can be outside.

    Args:
        values: At least one, in any unit.

    Returns:
        The fences in the same unit, and the indices of the values outside.
    """
    if len(values) < 2:
        return Outliers(min(values), max(values), ())
    first, _, third = quantiles(values, n=4, method="inclusive")
    low, high = first - FENCE * (third - first), third + FENCE * (third - first)
    return Outliers(low, high, tuple(i for i, value in enumerate(values) if not low <= value <= high))


def interval_note(counts: Sequence[int]) -> str:
    """The spread of repeats, as captions tell it.

    Args:
        counts: The number of repeats of each configuration, at least one.

    Returns:
        A part of a sentence.
    """
    least, most = min(counts), max(counts)
    n = repeat_counts(counts)
    if most == 1:
        return "one repeat of each (n = 1): its spread is unknown, and there is no interval"
    if least < SMALLEST_N:
        return (
            f"{n} repeats: too few for a 95 % interval of the median (six are needed), so every repeat is drawn; "
            "the open marker is their median"
        )
    return f"medians of {n} repeats with 95 % intervals by rank (exact binomial); filled markers are the repeats"


def by_configuration(frame: pd.DataFrame, column: str) -> dict[str, Summary]:
    """The summary of a column for each configuration.

    Args:
        frame: Rows of points, with ``label``.
        column: A column of numbers; repeats without a value do not count.

    Returns:
        By label, in the frame's order; labels without any value are left out.
    """
    summaries = {}
    for label, group in frame.groupby("label", sort=False):
        values = group[column].dropna().tolist()
        if values:
            summaries[str(label)] = summarise(values)
    return summaries


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """The points that no other beats in both: larger first value (rate), smaller second (energy).

    Args:
        points: Each (rate, cost).

    Returns:
        Their indices, in the order of falling rate. Of equal points all are kept.
    """
    front = []
    for index, (rate, cost) in enumerate(points):
        beaten = any(r >= rate and c <= cost and (r > rate or c < cost) for r, c in points)
        if not beaten:
            front.append(index)
    return sorted(front, key=lambda index: -points[index][0])
