"""Figures with a row for each configuration: which records may share one, how many rows fit, how a row shows its repeats.

Names of configurations lie flat beside their row, however long and however many they are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from analysis.plotting.figure_style import TALLEST_IN, DrawnFigure, new_figure, slug, text_in, wrapped
from analysis.plotting.page_layouts import Layout
from analysis.statistics.repeat_summary import Summary
from analysis.study.comparability import records_by_work
from analysis.study.configuration_labels import names_in
from analysis.study.count_phrases import repeat_counts
from analysis.study.point_table import points_frame
from analysis.study.study import Study, label_of
from analysis.study.study_record import MeasuredStudyRecord
from bench.common.median_interval import SMALLEST_N

AROUND_IN = 1.0
"""Axis, its label and a legend of two lines."""
GAP_IN = 0.07
"""Between the rows of two strategies."""


@dataclass(frozen=True)
class StudyPart:
    """Good records that may be in one figure: one kind of energy, one model on one task.

    Attributes:
        kind: The kind of energy.
        model: The model.
        task: The task.
        records: The records, in the order of figures.
        ending: The end of the names of its figures, empty where the study has no other part.
        lead: The beginning of its captions: the model and the task where the study has several.
    """

    kind: str
    model: str
    task: str
    records: tuple[MeasuredStudyRecord, ...]
    ending: str
    lead: str

    @cached_property
    def points(self) -> pd.DataFrame:
        """One row for each record (``analysis/study/point_table.py``)."""
        return points_frame(self.records)

    @cached_property
    def strategies(self) -> dict[str, str]:
        """The strategy of each label, in the order of figures."""
        return {label_of(record.point): record.point.strategy for record in self.records}

    def point_names(self, labels: Collection[str] | None = None) -> tuple[str, ...]:
        """Names of the records of these configurations, of all without ``labels``.

        Args:
            labels: Labels of configurations; null: all.

        Returns:
            The names, in the order of the records.
        """
        points = [record.point for record in self.records]
        return tuple(point.name for point in points if labels is None or label_of(point) in labels)

    @cached_property
    def names(self) -> dict[str, str]:
        """A name for each label, without the factors that all of them share."""
        return names_in(list(self.strategies))


def study_parts(study: Study, named_kind: bool = False) -> list[StudyPart]:
    """The parts of a study in their order.

    Args:
        study: The study; only good records are taken.
        named_kind: Whether the figure's name has the kind of energy in it already.

    Returns:
        A part for each kind of energy, model and task.
    """
    records_of = records_by_work(study.ordered)
    kinds, works = {kind for kind, *_ in records_of}, {tuple(work) for _, *work in records_of}
    parts_found = []
    for (kind, model, task), records in records_of.items():
        ending_parts = [*([kind] if len(kinds) > 1 and not named_kind else []), *((model, task) if len(works) > 1 else ())]
        ending = "".join(f"_{slug(word)}" for word in ending_parts)
        caption_start = f"{model} on {task}. " if len(works) > 1 else ""
        parts_found.append(StudyPart(kind, model, task, tuple(records), ending, caption_start))
    return parts_found


def rows_by_page(
    heights_in: Sequence[float], groups: Sequence[str], room_in: float = TALLEST_IN - AROUND_IN
) -> list[list[int]]:
    """Rows for figures no higher than a page: groups stay together where they fit, and every row is somewhere.

    Args:
        heights_in: The height of each row, inches.
        groups: The group of each row, such as its strategy.
        room_in: The height that a figure has for rows, inches.

    Returns:
        Indices of rows, a list for each figure.
    """
    pages_of_rows: list[list[int]] = [[]]
    room_left = room_in
    for start, stop in _runs(groups):
        if sum(heights_in[start:stop]) > room_left and pages_of_rows[-1]:
            pages_of_rows.append([])
            room_left = room_in
        for index in range(start, stop):
            if heights_in[index] > room_left and pages_of_rows[-1]:
                pages_of_rows.append([])
                room_left = room_in
            pages_of_rows[-1].append(index)
            room_left -= heights_in[index]
    return pages_of_rows


def _runs(groups: Sequence[str]) -> Iterator[tuple[int, int]]:
    start = 0
    for index in range(1, len(groups) + 1):
        if index == len(groups) or groups[index] != groups[start]:
            yield start, index
            start = index


@dataclass(frozen=True)
class RowFigure:
    """A figure with rows: the middle of each row on the vertical axis, which is in inches and goes down."""

    figure: Any
    axes: Any
    middles: list[float]


def row_figure(layout: Layout, names: Sequence[str], groups: Sequence[str], heights_in: Sequence[float]) -> RowFigure:
    """A figure with these rows, the first on top; on a page's width where names leave a column no room. Inside ``drawing``.

    Args:
        layout: The place on paper.
        names: The name of each row.
        groups: The group of each row; between groups there is a gap.
        heights_in: The height of each row, inches.

    Returns:
        The figure, its axes and the middle of each row, inches from the top of the axes.
    """
    page = max(map(text_in, names)) > 0.4 * layout.column_in
    width_in = layout.page_in if page else layout.column_in
    shown = [wrapped(name, 0.45 * width_in) for name in names]
    middles, offset = [], GAP_IN
    for index, height in enumerate(heights_in):
        offset += GAP_IN if index and groups[index] != groups[index - 1] else 0.0
        middles.append(offset + height / 2)
        offset += height
    figure, axes = new_figure(layout, min(TALLEST_IN, max(1.9, AROUND_IN + offset + GAP_IN)), page=page)
    axes.set_yticks(middles, shown)
    axes.set_ylim(offset + GAP_IN, 0)
    axes.tick_params(axis="y", length=0, left=False)
    axes.grid(axis="y", visible=False)
    return RowFigure(figure, axes, middles)


def lines_of(name: str, layout: Layout) -> int:
    """How many lines the name of a row takes. Inside ``drawing``.

    Args:
        name: The name of the row.
        layout: The layout, with the widths of its column and page.

    Returns:
        The number of lines, at least 1.
    """
    page = text_in(name) > 0.4 * layout.column_in
    return 1 + wrapped(name, 0.45 * (layout.page_in if page else layout.column_in)).count("\n")


def show_repeats(axes: Any, middle: float, spread: Summary, values: Sequence[float]) -> None:
    """The interval of a row's median, or below six repeats a dot for each; nothing for one, which is the bar itself.

    Args:
        axes: The axes of the figure.
        middle: The middle of the row.
        spread: The summary of the repeats.
        values: The repeats.
    """
    if spread.low is not None and spread.high is not None:
        axes.plot(
            [spread.low, spread.high], [middle, middle], color="#000000", linewidth=1.0, marker="|", markersize=5, zorder=4
        )
    elif spread.n > 1:
        dot = {"markersize": 3, "markerfacecolor": "#000000", "markeredgecolor": "#ffffff", "markeredgewidth": 0.4}
        axes.plot(values, [middle] * len(values), "o", **dot, zorder=4)


def bar_note(counts: Sequence[int]) -> str:
    """The repeats of bars of medians, for a caption.

    Args:
        counts: The number of repeats of each bar.

    Returns:
        A phrase without a capital letter and a full stop.
    """
    least, most = min(counts), max(counts)
    n = repeat_counts(counts)
    if most == 1:
        return f"{n}: one repeat, whose spread is unknown"
    if least < SMALLEST_N:
        return f"medians of {n} repeats, fewer than the six that an interval needs, so dots show every repeat"
    return f"medians of {n} repeats with 95 % intervals by rank (exact binomial)"


def numbered_figures(figures: list[DrawnFigure]) -> list[DrawnFigure]:
    """Figures of one thing that did not fit on one page: named and titled in their order.

    Args:
        figures: The figures in their order.

    Returns:
        The figures with their numbers; a single one as it is.
    """
    if len(figures) < 2:
        return figures
    return [
        DrawnFigure(
            f"{drawn.name}_{number}",
            f"{drawn.title} ({number} of {len(figures)})",
            f"{drawn.caption} Part {number} of {len(figures)}.",
            drawn.figure,
            drawn.data,
            drawn.points,
        )
        for number, drawn in enumerate(figures, 1)
    ]
