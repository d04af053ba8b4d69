"""Power of all boards over time, for one repeat of each configuration, with what the ranks did meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from analysis.plotting.figure_registry import report_figure
from analysis.plotting.figure_style import DrawnFigure, colour, drawing, energy_label, legend_above, new_figure
from analysis.plotting.page_layouts import Layout
from analysis.plotting.repeat_curves import record_columns
from analysis.plotting.row_figures import StudyPart, numbered_figures, study_parts
from analysis.study.power_traces import ALL, MARKS, power_of
from analysis.study.study import Study, label_of

BIN_S = 0.25
PANELS = 5
PANEL_IN, AROUND_IN = 1.0, 1.05
MOST_HOSTS = 6
"""More boards than this are told apart by nothing: then only their sum is drawn."""
TONES = ("#f2f2f2", "#9a9a9a", "#d5d5d5", "#707070", "#ebebeb", "#b5b5b5")
HATCHES = ("", "////", "....", "", "\\\\\\\\", "xxxx")
STRIP: dict[str, dict[str, Any]] = {
    "replication": {"facecolor": "#CC79A7", "hatch": "xxxx"},
    "idle": {"facecolor": "#ffffff"},
    "warm-up": {"facecolor": "#F0E442", "hatch": "////"},
    "timed": {"facecolor": "#333333"},
    "evaluation": {"facecolor": "#56B4E9", "hatch": "...."},
}


@report_figure("power", section="Time and energy", order=160)
def draw(study: Study, layout: Layout) -> list[DrawnFigure]:
    """The first good repeat that has a trace; nothing where no point has one.

    Args:
        study: The study, of which good records are drawn.
        layout: The widths of column and page, inches, and the style.

    Returns:
        The figures; empty where no point has a trace.
    """
    return [drawn for part in study_parts(study, named_kind=True) for drawn in _draw(part, layout)]


def _draw(part: StudyPart, layout: Layout) -> list[DrawnFigure]:
    frames, chosen = [], {}
    for record in part.records:
        label = label_of(record.point)
        power = None if label in chosen else power_of(record, BIN_S)
        if power is not None:
            record_names = record_columns(record)
            frames.append(power.assign(**record_names)[[*record_names, *power.columns]])
            chosen[label] = record.point.name
    if not frames:
        return []
    data, labels = pd.concat(frames, ignore_index=True), list(chosen)
    groups = _figures_of(labels, part)
    missing = [part.names[label] for label in part.strategies if label not in chosen]
    drawn = []
    for group in groups:
        rows = data[data["label"].isin(group)]
        points = tuple(chosen[label] for label in group)
        caption = _caption(part, rows, len(groups), len(labels)) + (f" No trace: {', '.join(missing)}." if missing else "")
        figure = _figure(part, group, rows, layout)
        drawn.append(DrawnFigure(f"power_{part.kind}{part.ending}", "Power over time", caption, figure, rows, points))
    return numbered_figures(drawn)


def _figures_of(labels: Sequence[str], part: StudyPart) -> list[list[str]]:
    """All in one figure where a page has room; otherwise by strategy, a handful in each."""
    if len(labels) <= PANELS:
        return [list(labels)]
    groups: list[list[str]] = []
    for label in labels:
        full = bool(groups) and len(groups[-1]) >= PANELS
        if not groups or full or part.strategies[groups[-1][-1]] != part.strategies[label]:
            groups.append([])
        groups[-1].append(label)
    if len(groups) > 1 and len(groups[0]) == 1 and len(groups[1]) < PANELS:  # the single process stands with the next strategy
        groups[:2] = [groups[0] + groups[1]]
    return groups


def _caption(part: StudyPart, rows: pd.DataFrame, figures: int, configurations: int) -> str:
    repeats = sorted(set(rows["repeat"]))
    repeat_name = f"repeat {repeats[0]}" if len(repeats) == 1 else "first good repeat"
    hosts = _most_hosts(rows)
    stacked = "the hosts stacked upon each other, " if 1 < hosts <= MOST_HOSTS else ""
    text = (
        f"{part.lead}Power of all hosts over one point of each configuration ({repeat_name}), {part.kind}: {stacked}means of "
        f"{BIN_S} s, on the clock of the first host. The strip above says what the ranks did: idle before and after (measured "
        "as the idle power), warm-up, timed windows, evaluations; in between they start and settle."
    )
    if hosts > MOST_HOSTS:
        text += f" {hosts} hosts: only their sum is drawn; the table behind the figure has each."
    return text + (f" The {configurations} configurations are in {figures} figures." if figures > 1 else "")


def _most_hosts(rows: pd.DataFrame) -> int:
    return int(rows[rows["host"] != ALL].groupby("label")["host"].nunique().max())


def _figure(part: StudyPart, labels: Sequence[str], data: pd.DataFrame, layout: Layout) -> Any:
    hosts = list(dict.fromkeys(data[data["host"] != ALL]["host"]))
    stacked = _most_hosts(data) > 1 and len(hosts) <= MOST_HOSTS
    looks: dict[str, dict[str, Any]] = {}
    if stacked:
        looks = {host: {"facecolor": TONES[i], "hatch": HATCHES[i]} for i, host in enumerate(hosts)}
    with drawing(layout):
        height = min(9.0, max(2.2, AROUND_IN + PANEL_IN * len(labels)))
        figure, panels = new_figure(layout, height, nrows=len(labels), sharex=True, sharey=True, squeeze=False)
        for axes, label in zip(panels[:, 0], labels, strict=True):
            _panel(axes, data[data["label"] == label], looks, colour(part.strategies[label]))
            axes.set_title(part.names[label], loc="left", pad=10)
        panels[0, 0].set_ylim(0, 1.06 * data["power_W"].max())
        panels[0, 0].set_xlim(0, data["time_s"].max() + BIN_S)
        panels[-1, 0].set_xlabel("Time since the first reading (s)")
        figure.supylabel(energy_label(part.kind, "Power of all hosts (W)"))
        whole = [Line2D([], [], color="#000000", linewidth=1.0, label="all hosts")] if stacked else []
        boxes = {**looks, **{name: STRIP[name] for name in MARKS if (data["phase"] == name).any()}}
        patches = [Patch(edgecolor="#333333", linewidth=0.5, label=name, **look) for name, look in boxes.items()]
        handles: list[Any] = [*whole, *patches]
        legend_above(figure, handles, [str(handle.get_label()) for handle in handles])
    return figure


def _panel(axes: Any, rows: pd.DataFrame, looks: dict[str, dict[str, Any]], line: str) -> None:
    total = rows[rows["host"] == ALL]
    seconds = np.append(total["time_s"].to_numpy(), total["time_s"].iloc[-1] + BIN_S)
    floor = np.zeros(len(seconds))
    for host, look in looks.items():
        host_power = rows[rows["host"] == host]["power_W"].to_numpy()
        if len(host_power):
            top = floor + np.append(host_power, host_power[-1])
            axes.fill_between(seconds, floor, top, step="post", edgecolor="#555555", linewidth=0.3, **look)
            floor = top
    watts = total["power_W"].to_numpy()
    axes.step(seconds, np.append(watts, watts[-1]), where="post", color=line, linewidth=1.1, zorder=3)
    _strip(axes, total)


def _strip(axes: Any, total: pd.DataFrame) -> None:
    """Above the axes, a box for each stretch of one phase."""
    runs = (total["phase"] != total["phase"].shift()).cumsum()
    for _, run in total.groupby(runs):
        phase = run["phase"].iloc[0]
        if phase:
            start, end = run["time_s"].iloc[0], run["time_s"].iloc[-1] + BIN_S
            box = {"transform": axes.get_xaxis_transform(), "edgecolor": "#333333", "linewidth": 0.5, "clip_on": False}
            axes.add_patch(Rectangle((start, 1.02), end - start, 0.09, **box, **STRIP[phase]))
