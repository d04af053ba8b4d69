"""Loss and metric of the training against the energy and the time that it took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.lines import Line2D

from analysis.plotting.figure_registry import report_figure
from analysis.plotting.figure_style import (
    TALLEST_IN,
    DrawnFigure,
    drawing,
    legend_above,
    legend_lines,
    line_styles,
    new_figure,
    slug,
    wrapped,
)
from analysis.plotting.page_layouts import Layout
from analysis.plotting.repeat_curves import (
    FEWEST_FOR_A_LINE,
    Curve,
    curves_of,
    draw_repeats,
    loss_curves,
    record_columns,
    repeats_note,
)
from analysis.plotting.row_figures import StudyPart, numbered_figures, rows_by_page, study_parts
from analysis.study.study import Study

SMOOTHED = 5
ONE_PANEL = 6
"""Configurations whose lines one panel has room for."""
PANEL_IN, AROUND_IN = 1.45, 0.75
LEGEND_SHARE = 0.27


@dataclass(frozen=True)
class CurveQuantity:
    """A quantity against joules and seconds: a column of the data, its axis, the figure's name, title and caption."""

    column: str
    label: str
    name: str
    title: str
    caption: str


@dataclass(frozen=True)
class CurvePlot:
    """One quantity of one part, ready to be drawn.

    Attributes:
        quantity: The column of the vertical axis, and the words of the figure.
        part: The records that may be in one figure.
        axes: The label of each column that is a horizontal axis.
        curves: The repeats, by that column and by label.
        points_only: Whether there are too few points for lines.
    """

    quantity: CurveQuantity
    part: StudyPart
    axes: dict[str, str]
    curves: dict[str, dict[str, list[Curve]]]
    points_only: bool


@report_figure("loss", section="Learning", order=210)
def draw_loss(study: Study, layout: Layout) -> list[DrawnFigure]:
    """Every step's loss, smoothed.

    Args:
        study: The study, of which good records are drawn.
        layout: The widths of column and page, inches, and the style.

    Returns:
        The figures, in the order of works.
    """
    figures = []
    for part in study_parts(study, named_kind=True):
        data = loss_curves(part.records)
        smooth = data.groupby(["label", "repeat"], sort=False)["loss"].rolling(SMOOTHED, min_periods=1, center=True).mean()
        data["smooth_loss"] = smooth.droplevel(["label", "repeat"])
        caption = (
            f"{part.lead}Training loss, mean of {SMOOTHED} steps, against {_spent(part)}: warm-up included, evaluations not."
        )
        quantity = CurveQuantity(
            "smooth_loss", "Training loss", f"loss_{_against(part)}", f"Loss against {_axes(part)}", caption
        )
        figures += _figures(quantity, data, part, layout)
    return figures


@report_figure("metric", section="Learning", order=220)
def draw_metric(study: Study, layout: Layout) -> list[DrawnFigure]:
    """The validation metric at every evaluation.

    Args:
        study: The study, of which good records are drawn.
        layout: The widths of column and page, inches, and the style.

    Returns:
        The figures, in the order of works; empty where nothing was evaluated.
    """
    figures = []
    for part in study_parts(study, named_kind=True):
        data, metric = _evaluations(part), part.records[0].learning.metric_name
        if data.empty:
            continue
        sizes = sorted(set(data["n"]))
        samples = str(sizes[0]) if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
        caption = (
            f"{part.lead}Validation {metric} against {_spent(part)}; {samples} samples, evaluated outside of the timed "
            "windows. Strategies run as many steps as fit in the window, unless train.steps is set: points to the right have "
            "seen more samples."
        )
        name, title = f"{slug(metric)}_{_against(part)}", f"{metric.capitalize()} against {_axes(part)}"
        figures += _figures(CurveQuantity("value", f"Validation {metric}", name, title, caption), data, part, layout)
    return figures


def _against(part: StudyPart) -> str:
    return ("time" if part.kind == "none" else f"energy_{part.kind}") + part.ending


def _axes(part: StudyPart) -> str:
    return "seconds" if part.kind == "none" else "joules and seconds"


def _spent(part: StudyPart) -> str:
    return "the time of training" if part.kind == "none" else f"the energy ({part.kind}) and the time of training"


def _evaluations(part: StudyPart) -> pd.DataFrame:
    rows = []
    for record in part.records:
        learning = record.learning
        for evaluation in (*([learning.initial] if learning.initial else []), *learning.evaluations):
            row = {
                "step": evaluation.step,
                "time_s": evaluation.time_s,
                "energy_J": evaluation.energy_J,
                "value": evaluation.value,
                "n": evaluation.n,
            }
            rows.append({**record_columns(record), "metric": learning.metric_name, **row})
    data = pd.DataFrame(rows).drop_duplicates(ignore_index=True) if rows else pd.DataFrame()
    return data if data.empty else data.assign(energy_J=data["energy_J"].astype(float))


def _figures(quantity: CurveQuantity, data: pd.DataFrame, part: StudyPart, layout: Layout) -> list[DrawnFigure]:
    """Against joules and against seconds, in one panel each, or many configurations in panels of their strategy."""
    axes = {"energy_J": f"Training energy (J), {part.kind}", "time_s": "Training time (s)"}
    axes = {column: label for column, label in axes.items() if data[column].notna().any()}
    points_only = bool(data.groupby(["label", "repeat"]).size().max() < FEWEST_FOR_A_LINE)
    plot = CurvePlot(quantity, part, axes, {x: curves_of(data, x, quantity.column) for x in axes}, points_only)
    repeats = data.groupby("label", sort=False)["repeat"].nunique()
    caption = quantity.caption + repeats_note(repeats.tolist(), points_only)
    panels = _panels(part)
    if len(panels) == 1:
        return [DrawnFigure(quantity.name, quantity.title, caption, _one_panel(plot, layout), data, part.point_names())]
    compared = ", with the single process for comparison" if "single" in part.strategies.values() else ""
    caption += f" Panels by strategy{compared}."
    figures = []
    heights = [_panel_in(panel, part, layout) for panel in panels]
    for page in rows_by_page(heights, [str(number) for number in range(len(panels))], room_in=TALLEST_IN - AROUND_IN):
        page_panels = [panels[index] for index in page]
        figure = _grid(plot, page_panels, [heights[index] for index in page], layout)
        shown = {label for panel in page_panels for label in panel}
        rows = data[data["label"].isin(shown)]
        figures.append(DrawnFigure(quantity.name, quantity.title, caption, figure, rows, part.point_names(shown)))
    return numbered_figures(figures)


def _panels(part: StudyPart) -> list[list[str]]:
    """Labels in one panel, or where they are too many, a panel or more for each strategy, the single process in each."""
    if len(part.strategies) <= ONE_PANEL:
        return [list(part.strategies)]
    single = [label for label, strategy in part.strategies.items() if strategy == "single"][:1]
    room = ONE_PANEL - len(single)
    panels = []
    for strategy in dict.fromkeys(part.strategies.values()):
        labels = [label for label, name in part.strategies.items() if name == strategy and label not in single]
        panels += [[*single, *labels[first : first + room]] for first in range(0, len(labels), room)]
    return panels


def _one_panel(plot: CurvePlot, layout: Layout) -> Any:
    names = plot.part.names
    with drawing(layout):
        wide = layout.column_in > 5
        across = (1, len(plot.axes)) if wide else (len(plot.axes), 1)
        above = 0.17 * legend_lines(list(names.values()), layout.column_in)
        height = above + (2.3 if wide else 0.2 + 1.8 * len(plot.axes))
        figure, grid = new_figure(layout, height, nrows=across[0], ncols=across[1], sharey=True, squeeze=False)
        for panel, column in zip(grid.flat, plot.axes, strict=True):
            handles = _lines(panel, plot, list(names), column)
            _name_x(panel, plot, list(names), column)
        for panel in grid[:, 0]:
            panel.set_ylabel(plot.quantity.label)
        legend_above(figure, handles, [str(handle.get_label()) for handle in handles])
    return figure


def _grid(plot: CurvePlot, panels: Sequence[list[str]], heights: Sequence[float], layout: Layout) -> Any:
    """A row for each panel, its legend to the right of it."""
    with drawing(layout):
        shape = {"nrows": len(panels), "ncols": len(plot.axes), "height_ratios": heights, "squeeze": False}
        figure, grid = new_figure(layout, AROUND_IN + sum(heights), page=True, sharex="col", sharey=True, **shape)
        for row, labels in zip(grid, panels, strict=True):
            for panel, column in zip(row, plot.axes, strict=True):
                handles = _lines(panel, plot, labels, column)
            row[0].set_ylabel(plot.quantity.label)
            names = [wrapped(plot.part.names[label], LEGEND_SHARE * layout.page_in) for label in labels]
            row[-1].legend(handles, names, loc="center left", bbox_to_anchor=(1.02, 0.5))
        for panel, column in zip(grid[-1], plot.axes, strict=True):
            _name_x(panel, plot, [label for labels in panels for label in labels], column)
    return figure


def _name_x(panel: Any, plot: CurvePlot, labels: Sequence[str], column: str) -> None:
    """From zero to the end of the longest of these configurations."""
    ends = [curve[0].max() for label in labels for curve in plot.curves[column].get(label, [])]
    panel.set_xlabel(plot.axes[column])
    panel.set_xlim(0, 1.05 * max(ends))


def _panel_in(labels: Sequence[str], part: StudyPart, layout: Layout) -> float:
    """The height of a panel: at least that of its legend."""
    with drawing(layout):
        lines = sum(1 + wrapped(part.names[label], LEGEND_SHARE * layout.page_in).count("\n") for label in labels)
    return max(PANEL_IN, 0.16 * lines + 0.25)


def _lines(panel: Any, plot: CurvePlot, labels: Sequence[str], column: str) -> list[Line2D]:
    """Every repeat of these configurations; the handles of a legend."""
    part, curves = plot.part, plot.curves[column]
    styles = line_styles([part.strategies[label] for label in labels])
    handles = [
        draw_repeats(panel, curves.get(label, []), style, part.names[label], plot.points_only)
        for label, style in zip(labels, styles, strict=True)
    ]
    panel.margins(0.06)
    return handles
