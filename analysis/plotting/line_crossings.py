"""Where lines of a panel cross, which of two is the better one on either side, and how sure that is."""

from __future__ import annotations

import itertools
import string
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from analysis.plotting.sweep_lines import at_levels
from analysis.plotting.sweep_panels import Panel
from analysis.statistics.crossing_points import Crossing, crossings, how_sure
from analysis.statistics.repeat_summary import Summary
from analysis.study.configuration_labels import plain
from analysis.study.sweeps import Series, Sweep, factors, short_labels

RATES = ("samples_per_s",)
"""Columns in which more is better."""
MOST_MARKS = 8
"""Crossings of a panel that all have letters."""


@dataclass(frozen=True)
class AxisScale:
    """The scale on which the swept factor is shown.

    Attributes:
        size: Values divided by it are in ``unit``.
        unit: The unit of the axis.
        label: The label of the axis.
        logged: Whether the axis is logarithmic, as it is unless it begins at zero.
    """

    size: float
    unit: str
    label: str
    logged: bool

    def text(self, value: float) -> str:
        """A level with its unit: ``100 Mbit/s``.

        Args:
            value: The level in the unit of the data (bit/s, s).

        Returns:
            The level in the unit of the axis: three significant digits, whole numbers from 1000 on.
        """
        number = value / self.size
        return f"{number:.0f} {self.unit}" if number >= 1000 else f"{number:.3g} {self.unit}"


@dataclass(frozen=True)
class LineCrossing:
    """Two lines that cross in a panel.

    Attributes:
        panel: The panel.
        place: Where they cross.
        below: The label of the better line below the crossing.
        above: The label of the better line above it.
        sure: How sure it is, in words.
        best: Whether no other line is better there than both.
        letter: Its letter in the figure and in the caption; empty where it is in the table only.
    """

    panel: Panel
    place: Crossing
    below: str
    above: str
    sure: str
    best: bool
    letter: str = ""


def line_crossings(series: Sequence[Series], swept: Sweep, panel: Panel, scale: AxisScale) -> list[LineCrossing]:
    """The crossings of lines that differ in strategy and its options, not in circumstances.

    Args:
        series: The lines of the panel.
        swept: Their sweep.
        panel: The column in which they cross.
        scale: The scale of the swept factor.

    Returns:
        Those between two measured levels, by rising level.
    """
    return sorted(_crossings(series, swept, panel, scale), key=lambda crossing: crossing.place.x)


def _crossings(series: Sequence[Series], swept: Sweep, panel: Panel, scale: AxisScale) -> Iterator[LineCrossing]:
    lines = [at_levels(line, swept.x, panel.column) for line in series]
    labels = short_labels(series)
    for i, j in itertools.combinations(range(len(series)), 2):
        if not _comparable(series[i], series[j], swept):
            continue
        x = sorted(set(lines[i]) & set(lines[j]))
        first, second = ([line[level] for level in x] for line in (lines[i], lines[j]))
        for place in crossings(x, [summary.median for summary in first], [summary.median for summary in second], scale.logged):
            first_is_better = place.one_below == (panel.column not in RATES)
            below, above = (labels[i], labels[j]) if first_is_better else (labels[j], labels[i])
            sure = how_sure(x, first, second, place, scale.text, scale.logged)
            yield LineCrossing(panel, place, below, above, sure, _best(place, lines, panel))


def _comparable(first: Series, second: Series, swept: Sweep) -> bool:
    circumstances = [name for name in factors(first.points) if not name.startswith(("option.", "mesh.")) and name != "strategy"]
    fixed = [name for name in circumstances if name not in (swept.x, *swept.follow)]
    a, b = first.points.iloc[0], second.points.iloc[0]
    return all(plain(a[name]) == plain(b[name]) for name in fixed)


def _best(place: Crossing, lines: Sequence[Mapping[float, Summary]], panel: Panel) -> bool:
    """Whether no line is better at the levels around the crossing than both that cross there."""
    sign = -1 if panel.column in RATES else 1
    around = [line for line in lines if place.low_x in line and place.high_x in line]
    return all(max(sign * line[level].median for level in (place.low_x, place.high_x)) >= sign * place.y for line in around)


def lettered(line_crossings: Sequence[LineCrossing]) -> list[LineCrossing]:
    """Crossings with letters; where those of a panel are too many, only those at which the best line changes have one.

    Args:
        line_crossings: The crossings of a figure, in the order of its panels.

    Returns:
        The same crossings in the same order, with letters from A on.
    """
    counts = {crossing.panel: sum(other.panel == crossing.panel for other in line_crossings) for crossing in line_crossings}
    letters = iter(string.ascii_uppercase)
    return [
        replace(crossing, letter=next(letters)) if crossing.best or counts[crossing.panel] <= MOST_MARKS else crossing
        for crossing in line_crossings
    ]
