"""Ratios, medians and what is not shown, as phrases of a sentence."""

from __future__ import annotations

from collections.abc import Mapping

from analysis.statistics.rank_tests import Ratio
from analysis.statistics.repeat_summary import Summary
from analysis.tables.table import join, short
from bench.common.median_interval import SMALLEST_N

Comparison = tuple[Ratio, Summary, Summary]
"""A ratio, and the repeats over and under its line."""


def ratio_text(ratio: float) -> str:
    """A ratio in a sentence.

    Args:
        ratio: Positive.

    Returns:
        Two decimals, or two digits where it is small.
    """
    return f"{ratio:.2g}" if ratio < 0.095 else f"{ratio:.2f}" if ratio < 9.995 else short(ratio)


def bounds_text(ratio: Ratio) -> str:
    """The interval of a ratio in a sentence.

    Args:
        ratio: One that has an interval.

    Returns:
        ``0.48 to 0.53``.
    """
    assert ratio.low is not None
    assert ratio.high is not None
    return f"{ratio_text(ratio.low)} to {ratio_text(ratio.high)}"


def in_brackets(ratio: Ratio, kind: str = "") -> str:
    """The brackets after a ratio: interval, kind of energy, numbers of repeats.

    Args:
        ratio: With or without an interval.
        kind: Of energy; empty for a ratio of speeds.

    Returns:
        With the brackets.
    """
    interval = "no interval" if ratio.low is None else f"95 % interval {bounds_text(ratio)}"
    repeats = f"n = {ratio.n} each" if ratio.n == ratio.base_n else f"n = {ratio.n} and {ratio.base_n}"
    return f"({', '.join(part for part in (interval, kind, repeats) if part)})"


def joules_spread(joules: Summary) -> str:
    """How far the repeats lie apart, behind their median in joules.

    Args:
        joules: Repeats of a configuration, in J.

    Returns:
        In brackets, with a space before them.
    """
    if joules.low is not None and joules.high is not None:
        return f" (95 % interval {short(joules.low)} to {short(joules.high)} J, n = {joules.n})"
    if joules.n == 1:
        return " (one repeat)"
    few = f"fewer than {SMALLEST_N} give no interval of the median"
    return f" (median of n = {joules.n} repeats between {short(joules.smallest)} and {short(joules.largest)} J; {few})"


def seconds_spread(seconds: Summary) -> str:
    """How sure a median in seconds is, behind it.

    Args:
        seconds: Repeats of a configuration, in s.

    Returns:
        In brackets, with a space before them.
    """
    if seconds.low is not None and seconds.high is not None:
        return f" (95 % interval {short(seconds.low)} to {short(seconds.high)} s, n = {seconds.n})"
    return " (one repeat)" if seconds.n == 1 else f" (median of n = {seconds.n} repeats)"


def not_shown(comparisons: Mapping[str, Comparison]) -> str:
    """The differences that the repeats do not show, behind the numbers of a configuration; empty where all are shown.

    The interval of the ratio contains 1, or, where there is none, the ranges of the repeats overlap.

    Args:
        comparisons: By quantity.

    Returns:
        A part of a sentence that begins with a semicolon, or nothing.
    """
    contains_one, overlap = [], []
    for quantity, (ratio, one, other) in comparisons.items():
        if ratio.low is None or ratio.high is None:
            overlap += [quantity] if one.smallest <= other.largest and other.smallest <= one.largest else []
        elif ratio.low <= 1 <= ratio.high:
            contains_one.append(quantity)
    phrases = [
        (contains_one, "the interval of the ratio contains 1"),
        (overlap, "the ranges overlap"),
    ]
    return "".join(f"; {why}, so a difference in {join(names, 'or')} is not shown" for names, why in phrases if names)
