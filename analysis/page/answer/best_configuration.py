"""The configuration with the best median, and whether the repeats show that it is better than every other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from analysis.statistics.rank_tests import Ratio, ratio_of
from analysis.statistics.repeat_summary import Summary, summarise
from analysis.study.comparability import Work

Repeats = Mapping[str, Sequence[float]]
"""The values of the repeats of each configuration, by its label."""


@dataclass(frozen=True)
class BestConfiguration:
    """The configuration with the best median.

    ``rivals`` are those from which the repeats do not tell it; ``too_few``: because there are too few repeats.
    """

    label: str
    rivals: tuple[str, ...]
    too_few: bool


@dataclass(frozen=True)
class WorkNumbers:
    """The numbers of one work. ``base`` is the label of the single process, of the first configuration where there is none."""

    kind: str
    base: str
    speed: Repeats
    """Samples per second."""
    joules: Repeats
    """Joules per sample, of the configurations where they are known."""

    @property
    def has_energy(self) -> bool:
        """Whether energies can be compared with that of the base."""
        return self.kind != "none" and self.base in self.joules

    def speed_of(self, label: str) -> Summary:
        """The repeats of a configuration, in samples per second.

        Args:
            label: Of the configuration.

        Returns:
            In samples per second.
        """
        return summarise(self.speed[label])

    def joules_of(self, label: str) -> Summary:
        """The repeats of a configuration, in joules per sample.

        Args:
            label: Of one that has energy.

        Returns:
            In joules per sample.
        """
        return summarise(self.joules[label])

    def speed_ratio(self, label: str) -> Ratio:
        """By what factor a configuration is faster than the base.

        Args:
            label: Of the configuration.

        Returns:
            Above 1 where it is faster.
        """
        return ratio_of(self.speed[label], self.speed[self.base])

    def joules_ratio(self, label: str) -> Ratio:
        """By what factor a configuration needs more energy per sample than the base.

        Args:
            label: Of one that has energy, as the base must have.

        Returns:
            Above 1 where it needs more.
        """
        return ratio_of(self.joules[label], self.joules[self.base])


def numbers_of(work: Work, names: Mapping[str, str] | None = None) -> WorkNumbers:
    """The numbers of a work.

    Args:
        work: Its points.
        names: What configurations are to be called, by label (default: their labels).

    Returns:
        With the single process as base, or the first configuration where there is none.
    """
    points = work.points if names is None else work.points.assign(label=work.points["label"].map(names))
    labels = list(dict.fromkeys(points["label"]))
    alone = set(points[points["strategy"] == "single"]["label"])
    base = next((label for label in labels if label in alone), labels[0])
    return WorkNumbers(work.kind, base, _repeats(points, "samples_per_s"), _repeats(points, "per_sample_J"))


def _repeats(points: pd.DataFrame, column: str) -> dict[str, list[float]]:
    known = points[points[column].notna()]
    return {str(label): rows[column].tolist() for label, rows in known.groupby("label", sort=False)}


def best_of(repeats: Repeats, more: bool) -> BestConfiguration:
    """The configuration with the best median.

    That it is better than every other is said where each of these comparisons says so by itself: all must hold together, so
    none needs a correction for the others.

    Args:
        repeats: By label, all positive.
        more: Whether the largest is best (a rate), else the smallest (a cost).

    Returns:
        With the rivals that it was not shown to beat.
    """
    medians = {label: summarise(values).median for label, values in repeats.items()}
    best = (max if more else min)(medians, key=lambda label: medians[label])
    rivals, too_few = [], False
    for label, values in repeats.items():
        ratio = ratio_of(repeats[best], values) if more else ratio_of(values, repeats[best])
        if label != best and (ratio.low is None or ratio.low <= 1):
            rivals.append(label)
            too_few = too_few or ratio.low is None
    return BestConfiguration(best, tuple(rivals), too_few)
