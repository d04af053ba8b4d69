"""Predicted against measured, for everything that a plan predicts.

Memory, activations, bytes and the schedule of a pipeline; where a profile of the boards was given, also seconds and joules of a
step.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any

import pandas as pd
from matplotlib.lines import Line2D

from analysis.plotting.figure_registry import report_figure
from analysis.plotting.figure_style import DrawnFigure, colour, drawing, legend_above, marker, new_figure
from analysis.plotting.log_axes import log_axis, plain_number
from analysis.plotting.page_layouts import Layout
from analysis.plotting.repeat_curves import RecordColumns, record_columns
from analysis.plotting.row_figures import StudyPart, study_parts
from analysis.study.point_table import MIB
from analysis.study.study import Study
from analysis.study.study_record import MeasuredStudyRecord

MEGA = 1e6
PANEL_IN, AROUND_IN = 2.15, 0.6
LEAST_PAD = 1.25
FACTORS = (1.1, 1.25, 1.5, 2.0, 5.0, 10.0)


@dataclass(frozen=True)
class PredictedQuantity:
    """One quantity that plans predict: a panel of the figure.

    Attributes:
        key: Its name in the data behind the figure.
        title: The title of its panel.
        unit: Its unit.
        noun: Its name in the caption.
        share: Whether it is a part of the whole from 0 to 1, for which differences say more than ratios.
        energy: Whether it is in joules, which are only as measured as those of the records.
    """

    key: str
    title: str
    unit: str
    noun: str
    share: bool = False
    energy: bool = False


QUANTITIES = (
    PredictedQuantity("step_s", "Time of a step", "s", "the time of a step"),
    PredictedQuantity("step_J", "Energy of a step", "J", "the energy of a step", energy=True),
    PredictedQuantity("peak_memory_MiB", "Peak memory of a rank", "MiB", "the peak memory of ranks"),
    PredictedQuantity("activations_MiB", "Activations of a rank", "MiB", "the activations of ranks"),
    PredictedQuantity("traffic_MB", "Bytes of an operation", "MB", "the bytes of operations"),
    PredictedQuantity("schedule_s", "Pipeline schedule", "s", "the duration of pipeline schedules"),
    PredictedQuantity("bubble", "Pipeline bubble", "share", "the bubble of pipelines", share=True),
)


@report_figure("prediction", section="Quality", order=190)
def draw(study: Study, layout: Layout) -> list[DrawnFigure]:
    """A figure for each work, a panel for each quantity: never one line through different things.

    Args:
        study: The study, of which good records are drawn.
        layout: The widths of column and page, inches, and the style.

    Returns:
        The figures; empty where no point was predicted.
    """
    return [drawn for part in study_parts(study) for drawn in _draw(part, layout)]


def _draw(part: StudyPart, layout: Layout) -> list[DrawnFigure]:
    data = pd.DataFrame([row for record in part.records for row in _rows(record)])
    if data.empty:
        return []
    positive = (data["predicted"] > 0) & (data["measured"] > 0)
    shares = data["quantity"].map({quantity.key: quantity.share for quantity in QUANTITIES})
    shown, not_shown = data[positive | shares], data[~(positive | shares)]
    quantities = [quantity for quantity in QUANTITIES if (shown["quantity"] == quantity.key).any()]
    if not quantities:
        return []
    figure = _figure(shown, quantities, part.kind, layout)
    errors = "; ".join(_error(shown[shown["quantity"] == quantity.key], quantity) for quantity in quantities)
    modelled = part.kind == "modelled" and any(quantity.energy for quantity in quantities)
    caption = (
        f"{part.lead}Predicted against measured, every rank, operation and repeat; on the diagonal both are equal, the dashed "
        "lines are off by the factor that they name. Median absolute error (of the prediction, relative to the measured "
        f"value): {errors}."
    )
    if modelled:
        caption += " Energy was not measured: against the prediction stands what was modelled from the run's processor time."
    if len(not_shown):
        caption += f" Not drawn, since one side is zero: {len(not_shown)} rows of the table."
    return [DrawnFigure(f"prediction{part.ending}", "Predicted against measured", caption, figure, data, part.point_names())]


class PredictedRow(RecordColumns):
    """A row of the figure's table: one quantity of one record, of a rank, an operation or the whole (``of``)."""

    quantity: str
    of: str
    predicted: float
    measured: float


def _rows(record: MeasuredStudyRecord) -> Iterator[PredictedRow]:
    point, memory, traffic = record.point, record.memory, record.traffic
    record_names = record_columns(record)

    def row(quantity: str, part: str, predicted: float, measured: float, scale: float = 1.0) -> PredictedRow:
        return {**record_names, "quantity": quantity, "of": part, "predicted": predicted / scale, "measured": measured / scale}

    predicted = record.plan.predicted
    if predicted is not None:
        about_profile = f"by {predicted.profile.file}, {predicted.split} shares"
        yield row("step_s", about_profile, predicted.step_s, record.time.step_s.median)
        sample_J = record.energy.per_sample_J
        if predicted.step_J is not None and sample_J is not None:
            yield row("step_J", about_profile, predicted.step_J, sample_J * point.batch)
    for rank, sizes in enumerate(zip(memory.predicted_bytes, memory.peak_bytes, strict=True)):
        yield row("peak_memory_MiB", f"rank {rank}", *sizes, MIB)
    planned = {entry.rank: entry.activations_bytes for entry in record.plan.memory}
    for rank, held in enumerate(memory.activations_bytes or ()):
        if rank in planned and held is not None:
            yield row("activations_MiB", f"rank {rank}", planned[rank], held, MIB)
    for key, theory in traffic.theory_bytes.items():
        yield row("traffic_MB", key, theory, traffic.payload_bytes.get(key, 0), MEGA)
    schedule = record.time.schedule
    if schedule is not None:
        played, measured = schedule.predicted, schedule.measured
        yield row("schedule_s", schedule.name, played.duration_s, measured.duration_s)
        yield row("bubble", schedule.name, played.bubble, measured.bubble)


def _error(rows: pd.DataFrame, quantity: PredictedQuantity) -> str:
    """The median of absolute errors, which unlike their mean says nothing about ratios on average."""
    pairs = zip(rows["predicted"], rows["measured"], strict=True)
    if quantity.share:
        points = median(100 * abs(predicted - measured) for predicted, measured in pairs)
        return f"{points:.2g} percentage points for {quantity.noun} (n = {len(rows)})"
    percent = median(100 * abs(predicted - measured) / measured for predicted, measured in pairs)
    return f"{percent:.2g} % for {quantity.noun} (n = {len(rows)})"


def _figure(data: pd.DataFrame, quantities: list[PredictedQuantity], kind: str, layout: Layout) -> Any:
    with drawing(layout):
        columns = min(len(quantities), 3 if layout.page_in > 5 else 2)
        rows = -(-len(quantities) // columns)
        figure, grid = new_figure(
            layout, AROUND_IN + PANEL_IN * rows, page=len(quantities) > 1, nrows=rows, ncols=columns, squeeze=False
        )
        for axes, quantity in zip(grid.flat, quantities, strict=False):
            measured_title = "Modelled from the run" if quantity.energy and kind == "modelled" else "Measured"
            _panel(axes, data[data["quantity"] == quantity.key], quantity, measured_title)
        for axes in grid.flat[len(quantities) :]:
            axes.set_visible(False)
        handles = [
            Line2D([], [], color=colour(s), marker=marker(s), linestyle="none", markerfacecolor="none", markersize=5, label=s)
            for s in dict.fromkeys(data["strategy"])
        ]
        legend_above(figure, handles, [str(handle.get_label()) for handle in handles])
    return figure


def _panel(axes: Any, rows: pd.DataFrame, quantity: PredictedQuantity, measured_title: str) -> None:
    for strategy, points in rows.groupby("strategy", sort=False):
        look = {"color": colour(str(strategy)), "marker": marker(str(strategy)), "markerfacecolor": "none"}
        axes.plot(
            points["measured"], points["predicted"], **look, linestyle="none", markersize=4.5, markeredgewidth=0.8, zorder=3
        )
    axes.set(xlabel=f"{measured_title} ({quantity.unit})", ylabel=f"Predicted ({quantity.unit})")
    axes.set_title(quantity.title, loc="left", pad=15)
    axes.set_box_aspect(1)
    everything = pd.concat([rows["measured"], rows["predicted"]])
    if quantity.share:
        axes.set(xlim=(0, 1), ylim=(0, 1), xticks=[0, 0.25, 0.5, 0.75, 1], yticks=[0, 0.25, 0.5, 0.75, 1])
        axes.plot([0, 1], [0, 1], color="#555555", linewidth=0.8, zorder=1)
        return
    worst = max((rows["predicted"] / rows["measured"]).max(), (rows["measured"] / rows["predicted"]).max())
    factor = next((step for step in FACTORS if step >= worst), FACTORS[-1])
    pad = max(factor, LEAST_PAD, (everything.max() / everything.min()) ** 0.08)
    low, high = everything.min() / pad, everything.max() * pad
    for name in ("x", "y"):
        log_axis(axes, name, low, high, most=4)
    axes.plot([low, high], [low, high], color="#555555", linewidth=0.8, zorder=1)
    for ratio in (factor, 1 / factor):
        axes.plot([low, high], [low * ratio, high * ratio], color="#888888", linewidth=0.7, linestyle="--", zorder=1)
    axes.set(xlim=(low, high), ylim=(low, high))
    _name_factor(axes, factor, high)


def _name_factor(axes: Any, factor: float, high: float) -> None:
    """Where the dashed lines leave the panel: above its top and right of its edge."""
    look: dict[str, Any] = {"textcoords": "offset points", "color": "#555555", "annotation_clip": False}
    top, side = axes.get_xaxis_transform(), axes.get_yaxis_transform()
    number, end = plain_number(factor), high / factor
    axes.annotate(f"×{number}", (end, 1), xycoords=top, xytext=(0, 2), ha="right", va="bottom", **look)
    axes.annotate(f"÷{number}", (1, end), xycoords=side, xytext=(3, 0), ha="left", va="center", **look)
