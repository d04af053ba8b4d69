"""When each stage of a pipeline computed what: the schedule as predicted above the schedule as measured."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from analysis.plotting.figure_registry import report_figure
from analysis.plotting.figure_style import TALLEST_IN, DrawnFigure, drawing, legend_above, new_figure
from analysis.plotting.page_layouts import Layout
from analysis.study.study import Study, label_of
from analysis.study.study_record import MeasuredStudyRecord
from bench.record.plan_record import PlanRecord
from bench.record.schedule_record import PlayedScheduleRecord, ScheduleRecord

KINDS = {"F": "forward", "B": "backward", "I": "input gradient", "W": "weight gradient"}
COLOURS = {"F": "#0072B2", "B": "#E69F00", "I": "#E69F00", "W": "#F0E442"}
HATCHES = {"F": "", "B": "////", "I": "////", "W": "...."}
PALEST = 0.65  # how much white there is in the last virtual stage
FITS = 1.15  # a number is shown in a bar that is this many times as wide
ROW_IN, LEAST_ROW_IN, AROUND_IN = 0.25, 0.16, 1.3
A_PAGE_FROM = 12
"""A schedule with more actions in one row than this is as wide as the page, so that numbers have room in their bars."""
MOST_ROWS = int((TALLEST_IN - AROUND_IN) / LEAST_ROW_IN)
Colour = tuple[float, float, float]


@report_figure("schedule", section="Time and energy", order=170)
def draw(study: Study, layout: Layout) -> list[DrawnFigure]:
    """One figure for each configuration that has stages, of its first good repeat.

    Args:
        study: The study, of which good records are drawn.
        layout: The widths of column and page, inches, and the style.

    Returns:
        The figures; empty where no strategy has stages.
    """
    first: dict[str, tuple[MeasuredStudyRecord, ScheduleRecord]] = {}
    for record in study.ordered:
        if record.time.schedule is not None:
            first.setdefault(record.point.hash, (record, record.time.schedule))
    return [_drawn(record, schedule, layout) for record, schedule in first.values()]


def _drawn(record: MeasuredStudyRecord, schedule: ScheduleRecord, layout: Layout) -> DrawnFigure:
    point, played = record.point, {"predicted": schedule.predicted, "measured": schedule.measured}
    rows = [(panel, *interval) for panel, steps in played.items() for interval in steps.intervals]
    data = pd.DataFrame(rows, columns=["panel", "rank_or_stage", "action", "start_s", "end_s"])
    caption = (
        "What each stage computed when, with the number of the micro-batch where it fits. Measured: step "
        f"{schedule.step}, the timed step of median duration (repeat {point.repeat}), from its first computation to its "
        "last; sums of gradients and the optimizer are not shown. Predicted: the same order with the measured mean times of "
        "each stage (its slowest rank) and free messages. Bubble: the share of the time in which stages, or ranks, do not "
        "compute."
    )
    schedule_panels = [_panel(data, panel, steps, record.plan) for panel, steps in played.items()]
    if sum(len(schedule_panel.names) for schedule_panel in schedule_panels) > MOST_ROWS:
        schedule_panels[1] = _first_of_each_stage(schedule_panels[1], record.plan)
        caption += " Measured is shown of the first rank of each stage; the table behind the figure has all."
    title = f"Schedule {schedule.name} of {label_of(point)}"
    name = f"schedule_{schedule.name}_{point.hash}"
    return DrawnFigure(name, title, caption, _figure(schedule_panels, layout), data, (point.name,))


@dataclass(frozen=True)
class SchedulePanel:
    """One panel: its bars, and the names of its rows by rank or stage."""

    title: str
    bars: pd.DataFrame
    names: dict[int, str]


def _panel(data: pd.DataFrame, panel: str, steps: PlayedScheduleRecord, plan: PlanRecord) -> SchedulePanel:
    bars = data[data["panel"] == panel]
    rows = range(int(bars["rank_or_stage"].max()) + 1)
    stages = int(data[data["panel"] == "predicted"]["rank_or_stage"].max()) + 1
    if panel == "predicted":
        names = {stage: f"stage {stage}" for stage in rows}
    elif len(rows) == stages:
        names = {rank: f"rank {rank}" for rank in rows}
    else:  # several ranks share a stage
        names = {rank: f"rank {rank}, stage {stage}" for rank, stage in _stages(plan).items()}
    title = f"{panel.capitalize()}: bubble {100 * steps.bubble:.1f} % of {steps.duration_s:.3g} s"
    return SchedulePanel(title, bars, names)


def _stages(plan: PlanRecord) -> dict[int, int]:
    """The stage of each rank."""
    return {
        placement.rank: placement.stage[0]
        for placement in plan.placement
        if placement.rank is not None and placement.stage is not None
    }


def _first_of_each_stage(schedule_panel: SchedulePanel, plan: PlanRecord) -> SchedulePanel:
    first: dict[int, int] = {}
    for rank, stage in _stages(plan).items():
        first.setdefault(stage, rank)
    return replace(schedule_panel, names={rank: schedule_panel.names[rank] for rank in first.values()})


def _figure(schedule_panels: list[SchedulePanel], layout: Layout) -> Figure:
    counts = [len(schedule_panel.names) for schedule_panel in schedule_panels]
    everything = pd.concat([schedule_panel.bars for schedule_panel in schedule_panels])
    virtual = 1 + max(map(_chunk, everything["action"]))
    page = everything.groupby(["panel", "rank_or_stage"]).size().max() > A_PAGE_FROM
    row_in = max(LEAST_ROW_IN, min(ROW_IN, (TALLEST_IN - AROUND_IN) / sum(counts)))
    numbered = []
    with drawing(layout):
        height_in = min(TALLEST_IN, AROUND_IN + row_in * sum(counts))
        figure, panels = new_figure(layout, height_in, page=page, nrows=2, sharex=True, height_ratios=counts)
        for axes, schedule_panel in zip(panels, schedule_panels, strict=True):
            places = {row: place for place, row in enumerate(schedule_panel.names)}
            for bar in schedule_panel.bars[schedule_panel.bars["rank_or_stage"].isin(places)].itertuples():
                numbered.append(_bar(axes, bar, places[bar.rank_or_stage], virtual))
            axes.set_yticks(range(len(places)), list(schedule_panel.names.values()))
            axes.set_ylim(len(places) - 0.45, -0.55)
            axes.grid(axis="y", visible=False)
            axes.set_title(schedule_panel.title, loc="left", pad=3)
        panels[0].set_xlim(0, 1.005 * everything["end_s"].max())
        panels[1].set_xlabel("Time since the first computation of the step (s)")
        handles = _legend(everything, virtual)
        legend_above(figure, handles, [str(handle.get_label()) for handle in handles])
        figure.draw_without_rendering()
        for patch, text in numbered:
            text.set_visible(FITS * text.get_window_extent().width < patch.get_window_extent().width)
    return figure


def _bar(axes: Any, bar: Any, place: int, virtual: int) -> tuple[Any, Any]:
    """One computation and its micro-batch number."""
    look = _look(bar.action[0], _chunk(bar.action), virtual)
    (patch,) = axes.barh(place, bar.end_s - bar.start_s, left=bar.start_s, height=0.84, **look)
    red, green, blue = look["facecolor"]
    text = axes.text(
        (bar.start_s + bar.end_s) / 2,
        place,
        bar.action[1:].split(".")[0],
        ha="center",
        va="center_baseline",
        color="white" if 0.3 * red + 0.59 * green + 0.11 * blue < 0.4 else "black",
        bbox={"facecolor": look["facecolor"], "edgecolor": "none", "pad": 0} if look["hatch"] else None,
    )
    return patch, text


def _legend(data: pd.DataFrame, virtual: int) -> list[Patch]:
    letters = set(data["action"].str[0])
    handles = [Patch(label=KINDS[letter], **_look(letter, 0, virtual)) for letter in KINDS if letter in letters]
    if virtual > 1:
        tones = [_paler(to_rgb("#555555"), chunk, virtual) for chunk in range(virtual)]
        handles += [Patch(label=f"virtual stage {chunk}", facecolor=tone) for chunk, tone in enumerate(tones)]
    return handles


def _look(letter: str, chunk: int, virtual: int) -> dict[str, Any]:
    face = _paler(to_rgb(COLOURS[letter]), chunk, virtual)
    dark = tuple(0.55 * part for part in face)
    return {"facecolor": face, "edgecolor": dark, "hatch": HATCHES[letter], "linewidth": 0.4}


def _paler(colour: Colour, chunk: int, virtual: int) -> Colour:
    white = PALEST * chunk / max(1, virtual - 1)
    red, green, blue = (part + white * (1 - part) for part in colour)
    return red, green, blue


def _chunk(action: str) -> int:
    """The virtual stage: ``F0.1`` is on the second, 1."""
    return int(action.partition(".")[2] or 0)
