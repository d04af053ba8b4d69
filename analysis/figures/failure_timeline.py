"""A failure as it went: throughput and power around the death of a rank, with what the others did until they trained again."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any, NamedTuple, TypedDict

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from analysis.plotting.figure_registry import report_figure
from analysis.plotting.figure_style import (
    RECOVERY_COLOURS,
    RECOVERY_HATCHES,
    TALLEST_IN,
    DrawnFigure,
    colour,
    drawing,
    energy_label,
    legend_above,
    new_figure,
)
from analysis.plotting.page_layouts import Layout
from analysis.plotting.row_figures import StudyPart, numbered_figures, study_parts
from analysis.study.power_traces import watts_of
from analysis.study.study import Study, label_of
from analysis.study.study_record import MeasuredStudyRecord
from bench.common.phases import RECOVERY
from bench.record.fault_record import FaultRecord

BIN_S = 0.25
PANELS = 5
PANEL_IN, AROUND_IN = 1.25, 1.1
COPY: dict[str, Any] = {"facecolor": "#FFFFFF", "hatch": "||||", "edgecolor": "#555555", "linewidth": 0.4}
BEFORE: dict[str, Any] = {"color": "#000000", "linestyle": "--", "linewidth": 0.9}
SEEN_AFTER = 1.2
"""How much of the time after the recovery is shown, as a share of the time before the failure."""


class FailedRun(NamedTuple):
    """The record of a point in which a rank was killed, and its block about that."""

    record: MeasuredStudyRecord
    fault: FaultRecord


@report_figure("failure_timeline", section="Failures", order=140)
def draw(study: Study, layout: Layout) -> list[DrawnFigure]:
    """The first good repeat of each configuration in which a rank was killed.

    Args:
        study: The study, of which good records are drawn.
        layout: The widths of column and page, inches, and the style.

    Returns:
        The figures; empty where no rank was killed.
    """
    return [drawn for part in study_parts(study, named_kind=True) for drawn in _draw(part, layout)]


def _draw(part: StudyPart, layout: Layout) -> list[DrawnFigure]:
    chosen: dict[str, FailedRun] = {}
    for record in part.records:
        if record.fault is not None:
            chosen.setdefault(label_of(record.point), FailedRun(record, record.fault))
    labels, drawn = list(chosen), []
    for begin in range(0, len(labels), PANELS):
        runs = {label: chosen[label] for label in labels[begin : begin + PANELS]}
        frames = {label: timeline(run) for label, run in runs.items()}
        data = pd.concat([frame.assign(label=label) for label, frame in frames.items()], ignore_index=True)
        data = data[["label", *(column for column in data if column != "label")]]
        figure = _figure(part, runs, frames, layout)
        points = tuple(run.record.point.name for run in runs.values())
        name = f"failure_timeline_{part.kind}{part.ending}"
        drawn.append(DrawnFigure(name, "A failure and the way back", _caption(part, data, runs), figure, data, points))
    return numbered_figures(drawn)


class PowerRow(TypedDict):
    """A row of the timeline: mean watts from ``start_s`` to ``end_s``, seconds from the start of the run."""

    what: str
    start_s: float
    end_s: float
    power_W: float


def timeline(run: FailedRun) -> pd.DataFrame:
    """The events around the failure, in seconds from it.

    Steps with their throughput and loss, copies, the parts of the recovery, and mean watts in bins of ``BIN_S`` of the hosts
    that were there.

    Args:
        run: A record with a failure.

    Returns:
        Columns ``what``, ``start_s``, ``end_s`` (seconds from the failure, negative before it), ``step``, ``ranks``,
        ``samples_per_s``, ``loss`` and ``power_W``, null where a row is about something else.
    """
    fault, batch = run.fault, run.record.point.batch
    at_s, rows = fault.at_s, []
    for step in fault.steps:
        seconds = step.end_s - step.start_s
        step_columns = {"step": step.step, "ranks": step.ranks, "samples_per_s": batch / seconds, "loss": step.loss}
        rows.append({"what": f"step ({step.part})", "start_s": step.start_s, "end_s": step.end_s, **step_columns})
    rows += [{"what": "copy", "start_s": begin, "end_s": end} for begin, end in copies_of(fault)]
    rows += [{"what": part.name, "start_s": part.start_s, "end_s": part.end_s} for part in fault.phases]
    data = pd.DataFrame([*rows, *_watts(run)]).reindex(
        columns=["what", "start_s", "end_s", "step", "ranks", "samples_per_s", "loss", "power_W"]
    )
    data[["start_s", "end_s"]] -= at_s
    return data


def copies_of(fault: FaultRecord) -> list[tuple[float, float]]:
    """When the state was copied: before the first of every so many steps.

    Args:
        fault: The failure with the steps around it.

    Returns:
        Start and end of each copy, seconds from the start of the run.
    """
    steps = [step for step in fault.steps if step.part == "copies"]
    before = steps[:: fault.copies.every_steps]
    return [(step.start_s - seconds, step.start_s) for step, seconds in zip(before, fault.copies.seconds, strict=True)]


def _watts(run: FailedRun) -> list[PowerRow]:
    """Of all hosts until the failure, of those that are left from then on."""
    fault = run.fault
    rows: list[PowerRow] = []
    for hosts, begin, end in (
        (None, fault.copies.start_s, fault.at_s),
        (fault.after.hosts, fault.at_s, fault.after.end_s),
    ):
        binned = watts_of(run.record, BIN_S, hosts)
        if binned is None:
            continue
        edges, watts, _ = binned
        whole = np.sum(list(watts.values()), axis=0)
        for (start, stop), value in zip(itertools.pairwise(edges), whole, strict=True):
            if begin <= start and stop <= end:
                rows.append({"what": "power", "start_s": start, "end_s": stop, "power_W": value})
    return rows


def _figure(part: StudyPart, runs: Mapping[str, FailedRun], frames: Mapping[str, pd.DataFrame], layout: Layout) -> Any:
    powered = any((frame["what"] == "power").any() for frame in frames.values())
    height = min(TALLEST_IN, AROUND_IN + PANEL_IN * len(frames))
    with drawing(layout):
        shape: dict[str, Any] = {"nrows": len(frames), "ncols": 1 + powered, "sharex": "row", "squeeze": False}
        figure, panels = new_figure(layout, height, page=True, **shape)
        for row, (label, frame) in zip(panels, frames.items(), strict=True):
            record, fault = runs[label].record, runs[label].fault
            strategy = record.point.strategy
            _throughput(row[0], frame, colour(strategy), record.time.samples_per_s)
            row[0].set_title(part.names[label], loc="left")
            if powered:
                _power(row[1], frame, colour(strategy))
            before = fault.at_s - fault.copies.start_s
            until = fault.recovered_s - fault.at_s + SEEN_AFTER * before
            for axes in row:
                axes.set_xlim(-1.02 * before, min(until, fault.after.end_s - fault.at_s))
                _marks(axes, frame)
        for axes in panels[-1]:
            axes.set_xlabel("Time since the failure (s)")
        # One label for a column: between the two panels in its middle, where it has an even number.
        middle, label_height = len(frames) // 2, 0.5 if len(frames) % 2 else 1.15
        for axes, text in zip(panels[middle], ("Throughput (samples/s)", energy_label(part.kind, "Power (W)")), strict=False):
            axes.set_ylabel(text, y=label_height)
        handles: list[Any] = [
            Line2D([], [], **BEFORE, label="before, without copies"),
            Patch(**COPY, label="copy of the state"),
        ]
        drawn_events = {event for frame in frames.values() for event in frame["what"]}
        handles += [Patch(**_look(name), label=name) for name in RECOVERY if name in drawn_events]
        legend_above(figure, handles, [str(handle.get_label()) for handle in handles])
    return figure


def _throughput(axes: Axes, frame: pd.DataFrame, line: str, before: float) -> None:
    """Each step as a level from its start to its end; nothing in between, where no step was made."""
    steps = frame[frame["what"].str.startswith("step")]
    for begin, end, rate in zip(steps["start_s"], steps["end_s"], steps["samples_per_s"].astype(float), strict=True):
        axes.fill_between([begin, end], 0, [rate, rate], color=line, alpha=0.25, linewidth=0)
        axes.plot([begin, end], [rate, rate], color=line, linewidth=1.2)
    axes.axhline(before, **BEFORE)
    axes.set_ylim(0, 1.15 * max(before, steps["samples_per_s"].astype(float).max()))


def _power(axes: Axes, frame: pd.DataFrame, line: str) -> None:
    power = frame[frame["what"] == "power"]
    for _, stretch in power.groupby((power["start_s"] >= 0).astype(int)):
        edges = np.append(stretch["start_s"], stretch["end_s"].iloc[-1:])
        axes.step(edges, np.append(stretch["power_W"], stretch["power_W"].iloc[-1:]), where="post", color=line, linewidth=1.1)
    if len(power):
        axes.set_ylim(0, 1.15 * power["power_W"].astype(float).max())


def _marks(axes: Axes, frame: pd.DataFrame) -> None:
    """Boxes along the foot of the axes for copies and for the parts of the recovery; a line at the failure."""
    for event, begin, end in zip(frame["what"], frame["start_s"], frame["end_s"], strict=True):
        if event == "copy" or event in RECOVERY:
            look = COPY if event == "copy" else _look(event)
            axes.axvspan(begin, end, ymin=0, ymax=0.12, zorder=4, **look)
    axes.axvline(0, color="#D55E00", linewidth=1.1, zorder=5)
    axes.grid(axis="x", visible=False)


def _look(part: str) -> dict[str, Any]:
    return {"facecolor": RECOVERY_COLOURS[part], "hatch": RECOVERY_HATCHES[part], "edgecolor": "#333333", "linewidth": 0.4}


def _caption(part: StudyPart, data: pd.DataFrame, runs: Mapping[str, FailedRun]) -> str:
    repeats = sorted({run.record.point.repeat for run in runs.values()})
    repeat_name = f"repeat {repeats[0]}" if len(repeats) == 1 else "first good repeat"
    deaths = []
    for label, run in runs.items():
        fault = run.fault
        deaths.append(
            f"{part.names[label]}: rank {fault.rank} on {fault.host}, {fault.lost_steps} steps lost, "
            f"{fault.recovery.seconds:.2g} s"
        )
    powered = f" Power: means of {BIN_S} s, of all boards before and of those that are left after, {part.kind}."
    return (
        f"{part.lead}One rank is killed at 0 s ({repeat_name} of each configuration; {'; '.join(deaths)} until the others "
        "trained on). Each step is a level from its start to its end. Boxes at the foot: copies of the state before, the parts "
        f"of the recovery after.{powered if (data['what'] == 'power').any() else ''}"
    )
