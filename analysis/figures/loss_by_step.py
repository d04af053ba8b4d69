"""Loss by step: the proof that all strategies learn the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd
from matplotlib.lines import Line2D

from analysis.plotting.figure_registry import report_figure
from analysis.plotting.figure_style import TALLEST_IN, DrawnFigure, colour, drawing, legend_above, marker, new_figure
from analysis.plotting.page_layouts import Layout
from analysis.plotting.repeat_curves import loss_curves
from analysis.plotting.row_figures import StudyPart, numbered_figures, study_parts
from analysis.study.configuration_labels import plain
from analysis.study.study import Study, label_of

PANELS, PANEL_IN, AROUND_IN = 5, 1.6, 0.75
SAME_LESSON = ("batch", "seq", "optimizer", "lr", "dtype", "seed", "weights", "checkpoint")
"""Factors that change what is learned; all others only change how it is computed."""


@report_figure("loss_step", section="Learning", order=230)
def draw(study: Study, layout: Layout) -> list[DrawnFigure]:
    """Loss by step: strategies that are the same computation lie on one line.

    Args:
        study: The study, of which good records are drawn.
        layout: The widths of column and page, inches, and the style.

    Returns:
        The figures, in the order of works.
    """
    return [drawn for part in study_parts(study) for drawn in _steps(part, layout)]


def _steps(part: StudyPart, layout: Layout) -> list[DrawnFigure]:
    """A panel for each set of factors that changes what is learned: the lines of one panel should coincide."""
    data = loss_curves(part.records).drop(columns="energy_J")
    lessons = _lessons(part)
    data = data[[r == first for r, first in zip(data["repeat"], data["label"].map(_first_repeats(part)), strict=True)]]
    data = data.assign(lesson=data["label"].map(lessons))
    names = list(dict.fromkeys(data["lesson"]))
    spreads = [_largest_difference(data[data["lesson"] == name], name) for name in names]
    compared = [text for text in spreads if text]
    caption = (
        f"{part.lead}Training loss by step, first repeat of every configuration; each line's markers are on other steps, so "
        f"that lines which coincide stay visible.{_compared(compared)}"
    )
    figures = []
    for first in range(0, len(names), PANELS):
        page_lessons = names[first : first + PANELS]
        figure = _step_panels(data, part, page_lessons, layout)
        rows = data[data["lesson"].isin(page_lessons)]
        points = part.point_names(set(rows["label"]))
        figures.append(DrawnFigure(f"loss_step{part.ending}", "Loss by step", caption, figure, rows, points))
    return numbered_figures(figures)


def _compared(texts: Sequence[str]) -> str:
    if not texts:
        return ""
    return f" The largest difference at the same step, which is rounding where all compute the same: {'; '.join(texts)}."


def _lessons(part: StudyPart) -> dict[str, str]:
    """Of each label, what it learns, in the factors that differ."""
    points = {label_of(record.point): record.point for record in part.records}
    factors = {label: {name: plain(getattr(point, name)) for name in SAME_LESSON} for label, point in points.items()}
    varied = [name for name in SAME_LESSON if len({values[name] for values in factors.values()}) > 1]
    return {label: " ".join(f"{name}={values[name]}" for name in varied) for label, values in factors.items()}


def _first_repeats(part: StudyPart) -> dict[str, int]:
    first: dict[str, int] = {}
    for record in part.records:
        label, repeat = label_of(record.point), record.point.repeat
        first[label] = min(repeat, first.get(label, repeat))
    return first


def _largest_difference(data: pd.DataFrame, lesson: str) -> str:
    table = data.pivot_table(index="step", columns="label", values="loss", aggfunc="first").dropna()
    if table.shape[1] < 2 or table.empty:
        return ""
    spread = float((table.max(axis=1) - table.min(axis=1)).max())
    return f"{spread:.1e}" + (f" with {lesson}" if lesson else "")


def _step_panels(data: pd.DataFrame, part: StudyPart, lessons: Sequence[str], layout: Layout) -> Any:
    with drawing(layout):
        height = 2.6 if len(lessons) == 1 else min(TALLEST_IN, AROUND_IN + PANEL_IN * len(lessons))
        figure, grid = new_figure(layout, height, nrows=len(lessons), sharex=True, squeeze=False)
        for panel, lesson in zip(grid[:, 0], lessons, strict=True):
            lesson_rows = data[data["lesson"] == lesson]
            labels = list(dict.fromkeys(lesson_rows["label"]))
            for (label, rows), offset in zip(_each(lesson_rows), range(len(labels)), strict=True):
                _step_line(panel, part.strategies[label], rows, offset, len(labels))
            panel.set_title(lesson, loc="left", pad=3)
            panel.set_ylabel("Training loss")
        grid[-1, 0].set_xlabel("Optimizer step")
        strategies = [s for s in dict.fromkeys(part.strategies.values()) if s in set(data["strategy"])]
        look: dict[str, Any] = {"linewidth": 0.8, "markersize": 4.5}
        handles = [Line2D([], [], color=colour(s), marker=marker(s), label=s, **look) for s in strategies]
        legend_above(figure, handles, [str(handle.get_label()) for handle in handles])
    return figure


def _each(data: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    for label, rows in data.groupby("label", sort=False):
        yield str(label), rows


def _step_line(panel: Any, strategy: str, rows: pd.DataFrame, offset: int, lines: int) -> None:
    every = max(min(lines, len(rows)), len(rows) // 8, 1)
    marks = (offset * every // max(lines, 1) % len(rows), every)
    look = {"color": colour(strategy), "marker": marker(strategy), "markersize": 4.5, "markevery": marks}
    panel.plot(rows["step"], rows["loss"], **look, linewidth=0.8)
