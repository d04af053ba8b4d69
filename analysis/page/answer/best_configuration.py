"""The configuration with the best median, and whether the repeats show that it is better than every other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from analysis.statistics.model_doubt import ModelShares, model_shares, ratio_u, restates_time, widened
from analysis.statistics.rank_tests import Ratio, ratio_of
from analysis.statistics.repeat_summary import Summary, summarise
from analysis.study.comparability import Work
from analysis.study.study_record import MeasuredStudyRecord

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
    models: Mapping[str, ModelShares | None] = field(default_factory=dict)
    """Of configurations with modelled joules: by whose model, and how much of them is idle."""

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
            Above 1 where it needs more; of modelled joules the interval has the uncertainty of the models.
        """
        return self.ratio_of_joules(label, self.base)

    def ratio_of_joules(self, label: str, base: str) -> Ratio:
        """By what factor one configuration needs more energy per sample than another.

        Args:
            label: Of one that has energy.
            base: Of another.

        Returns:
            Above 1 where it needs more; of modelled joules the interval has the uncertainty of the models.
        """
        ratio = ratio_of(self.joules[label], self.joules[base])
        return widened(ratio, ratio_u(self.models.get(label), self.models.get(base)))

    @property
    def restated(self) -> list[str]:
        """Configurations whose modelled joules follow from those of the base by times and numbers of boards alone."""
        base = self.models.get(self.base)
        return [label for label in self.joules if label != self.base and restates_time(self.models.get(label), base)]


def numbers_of(work: Work, records: Sequence[MeasuredStudyRecord] = (), names: Mapping[str, str] | None = None) -> WorkNumbers:
    """The numbers of a work.

    Args:
        work: Its points.
        records: Those of the points; of modelled joules they say by whose model.
        names: What configurations are to be called, by label (default: their labels).

    Returns:
        With the single process as base, or the first configuration where there is none.
    """
    points = work.points if names is None else work.points.assign(label=work.points["label"].map(names))
    labels = list(dict.fromkeys(points["label"]))
    alone = set(points[points["strategy"] == "single"]["label"])
    base = next((label for label in labels if label in alone), labels[0])
    by_label: dict[str, list[MeasuredStudyRecord]] = {}
    for record in records:
        by_label.setdefault(record.label if names is None else names[record.label], []).append(record)
    models = {label: model_shares(repeats) for label, repeats in by_label.items()}
    return WorkNumbers(work.kind, base, _repeats(points, "samples_per_s"), _repeats(points, "per_sample_J"), models)


def _repeats(points: pd.DataFrame, column: str) -> dict[str, list[float]]:
    known = points[points[column].notna()]
    return {str(label): rows[column].tolist() for label, rows in known.groupby("label", sort=False)}


def best_of(repeats: Repeats, more: bool, ratio_between: Callable[[str, str], Ratio] | None = None) -> BestConfiguration:
    """The configuration with the best median.

    That it is better than every other is said where each of these comparisons says so by itself: all must hold together, so
    none needs a correction for the others.

    Args:
        repeats: By label, all positive.
        more: Whether the largest is best (a rate), else the smallest (a cost).
        ratio_between: The ratio of two labels; None: that of their repeats.

    Returns:
        With the rivals that it was not shown to beat.
    """
    medians = {label: summarise(values).median for label, values in repeats.items()}
    best = (max if more else min)(medians, key=lambda label: medians[label])
    rivals, too_few = [], False
    between = ratio_between or (lambda one, base: ratio_of(repeats[one], repeats[base]))
    for label in repeats:
        ratio = between(best, label) if more else between(label, best)
        if label != best and (ratio.low is None or ratio.low <= 1):
            rivals.append(label)
            too_few = too_few or ratio.low is None
    return BestConfiguration(best, tuple(rivals), too_few)
