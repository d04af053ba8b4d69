"""Summaries of repeats: medians with intervals where there are enough of them, never a mean of ratios."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import harmonic_mean, mean

import pandas as pd

from bench.record.statistics import SMALLEST_N, median_interval


@dataclass(frozen=True)
class Summary:
    """The median of ``n`` repeats, its 95 % interval (None below six of them), and the range."""

    median: float
    low: float | None
    high: float | None
    smallest: float
    largest: float
    n: int


def summarise(values: Sequence[float]) -> Summary:
    found = median_interval(values)
    return Summary(found["median"], found["ci_low"], found["ci_high"], min(values), max(values), len(values))


def average(values: Sequence[float], what: str) -> float:
    """The mean that fits the quantity: arithmetic for a ``cost`` (s, J), harmonic for a ``rate`` (1/s).

    Ratios have no mean (Hoefler and Belli, SC'15, rules 3 and 4): ValueError.
    """
    if what == "cost":
        return mean(values)
    if what == "rate":
        return harmonic_mean(values)
    raise ValueError(f"a {what} must not be averaged; average its numerator and denominator")


def interval_note(counts: Sequence[int]) -> str:
    """What a caption says about the spread of repeats."""
    least, most = min(counts), max(counts)
    n = f"n = {least}" if least == most else f"n = {least} to {most}"
    if least < SMALLEST_N:
        return (
            f"{n} repeats: too few for a 95 % interval of the median (six are needed), so every repeat is drawn; "
            "the open marker is their median"
        )
    return f"medians of {n} repeats with 95 % intervals by rank (exact binomial); filled markers are the repeats"


def by_configuration(frame: pd.DataFrame, column: str) -> dict[str, Summary]:
    """Summary of ``column`` for each label, in the frame's order; repeats without a value do not count."""
    found = {}
    for label, group in frame.groupby("label", sort=False):
        values = group[column].dropna().tolist()
        if values:
            found[str(label)] = summarise(values)
    return found


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Indices of the points that no other beats in both: larger first value (rate), smaller second (energy).

    In order of falling rate. Of equal points all are kept.
    """
    front = []
    for index, (rate, cost) in enumerate(points):
        beaten = any(r >= rate and c <= cost and (r > rate or c < cost) for r, c in points)
        if not beaten:
            front.append(index)
    return sorted(front, key=lambda index: -points[index][0])
