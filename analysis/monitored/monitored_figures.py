"""Figures of monitored programs: energy against time, power over time with regions, joules of regions."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from analysis.monitored.monitored_study import MonitoredRun, MonitoredStudy, Repeats
from analysis.monitored.monitored_tables import Z, regions_table
from analysis.plotting.figure_style import LINES, MORE_MARKERS, DrawnFigure, drawing, energy_label, legend_above, new_figure
from analysis.plotting.page_layouts import Layout
from analysis.study.power_traces import watts_in

BINS, LEAST_BIN_S = 240, 0.05
MOST_PANELS, MOST_STRETCHES = 6, 2000
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
HATCHES = ("", "////", "....", "xxxx", "\\\\\\\\", "oo", "++", "--")
KINDS = ("measured", "modelled")


class _Box(NamedTuple):
    """How a region looks, as matplotlib's patches take it."""

    facecolor: str
    hatch: str
    alpha: float = 0.7


def figures(study: MonitoredStudy, layout: Layout) -> list[DrawnFigure]:
    """All figures that the study has something for.

    Args:
        study: The runs.
        layout: The widths of column and page.

    Returns:
        Finished figures, in the order of the page.
    """
    drawn = []
    for kind in KINDS:  # measured and modelled joules never share an axis
        groups = [repeats for repeats in study.repeats if repeats.kind == kind]
        if groups:
            drawn.append(energy_time(groups, kind, layout))
            drawn += power(groups, kind, layout)
            drawn += regions(study, groups, kind, layout)
    return drawn


def energy_time(groups: Sequence[Repeats], kind: str, layout: Layout) -> DrawnFigure:
    """Joules of every good run against its seconds.

    Args:
        groups: Runs of one kind of energy, by command.
        kind: Measured or modelled.
        layout: The widths of column and page.

    Returns:
        The figure.
    """
    rows = [
        {
            "command": repeats.label,
            "run": run.record.name,
            "time_s": run.record.seconds,
            "energy_J": run.record.energy.total_J,
            "uncertainty_J": run.record.energy.uncertainty_J,
        }
        for repeats in groups
        for run in repeats.runs
    ]
    data = pd.DataFrame(rows)
    with drawing(layout):
        figure, axes = new_figure(layout, 2.4 + 0.16 * min(len(groups), 12))
        handles, names = [], []
        for look, (label, part) in zip(_looks(), data.groupby("command", sort=False), strict=False):
            bars = axes.errorbar(
                part["time_s"], part["energy_J"], Z * part["uncertainty_J"], fmt=look["marker"], color=look["color"],
                markersize=4, capsize=2, linewidth=0.8,
            )  # fmt: skip
            handles.append(bars)
            names.append(str(label))
        axes.set_xlim(0, 1.08 * data["time_s"].max())
        axes.set_ylim(0, 1.08 * (data["energy_J"] + Z * data["uncertainty_J"]).max())
        axes.set_xlabel("Time from the first rank's begin to the last one's end (s)")
        axes.set_ylabel(energy_label(kind, "Energy of all hosts (J)"))
        legend_above(figure, handles, names)
    caption = (
        f"Energy against time of every good run, {kind}: all hosts, each over its own window. Bars are 95 % of what "
        f"the sensors leave unknown (1.96 standard uncertainties). n = {len(data)} runs of {len(groups)} commands."
    )
    return DrawnFigure(f"energy_time_{kind}", "Energy against time", caption, figure, data)


def _looks() -> Any:
    return cycle([{"marker": marker, "color": colour} for marker, colour in zip(MORE_MARKERS, cycle(COLOURS), strict=False)])


def power(groups: Sequence[Repeats], kind: str, layout: Layout) -> list[DrawnFigure]:
    """Power of all hosts over the first good run of each command, with the outermost regions of rank 0 above.

    Args:
        groups: Runs of one kind of energy, by command.
        kind: Measured or modelled.
        layout: The widths of column and page.

    Returns:
        The figure; nothing where no run has readings.
    """
    panels = [(repeats.label, run, frame) for repeats in groups[:MOST_PANELS] for run, frame in _with_power(repeats)]
    if not panels:
        return []
    data = pd.concat([frame.assign(command=label) for label, _, frame in panels], ignore_index=True)
    with drawing(layout):
        figure, all_axes = new_figure(layout, min(9.0, 1.2 + 1.15 * len(panels)), nrows=len(panels), squeeze=False)
        shown: dict[str, _Box] = {}
        for axes, (label, run, frame) in zip(all_axes[:, 0], panels, strict=True):
            for line, (host, rows) in zip(cycle(LINES), frame.groupby("host", sort=False), strict=False):
                only = frame["host"].nunique() == 1
                axes.step(
                    rows["time_s"],
                    rows["power_W"],
                    where="post",
                    color="#000000",
                    linestyle="-" if only else line,
                    linewidth=0.9,
                )
                axes.lines[-1].set_label(str(host))
            axes.set_xlim(0, run.record.seconds)
            axes.set_ylim(0, 1.1 * frame["power_W"].max())
            _strip(axes, run, shown)
            axes.set_title(label, loc="left", pad=11)
        all_axes[-1, 0].set_xlabel("Time from the first rank's begin (s)")
        figure.supylabel(energy_label(kind, "Power (W)"))
        hosts = {line.get_label(): line for axes in all_axes[:, 0] for line in axes.lines} if data["host"].nunique() > 1 else {}
        lines = [Line2D([], [], color="#000000", linestyle=line.get_linestyle(), label=name) for name, line in hosts.items()]
        boxes = [Patch(edgecolor="#333333", linewidth=0.5, label=name, **look._asdict()) for name, look in shown.items()]
        handles: list[Any] = [*lines, *boxes]
        if handles:
            legend_above(figure, handles, [str(handle.get_label()) for handle in handles])
    more = f" {len(groups) - MOST_PANELS} more commands are not shown." if len(groups) > MOST_PANELS else ""
    caption = (
        f"Power of each host over the first good run of each command, {kind}. The strip above has the outermost regions of the "
        f"lowest rank.{more}"
    )
    return [DrawnFigure(f"power_{kind}", "Power over time", caption, figure, data)]


def _with_power(repeats: Repeats) -> list[tuple[MonitoredRun, pd.DataFrame]]:
    """The first run that has readings, with the watts of each host."""
    for run in repeats.runs:
        binned = watts_in(run.folder / "power.parquet", max(LEAST_BIN_S, run.record.seconds / BINS))
        if binned is not None:
            edges, watts, _ = binned
            frames = [pd.DataFrame({"host": host, "time_s": edges[:-1], "power_W": values}) for host, values in watts.items()]
            return [(run, pd.concat(frames, ignore_index=True))]
    return []


def _strip(axes: Any, run: MonitoredRun, shown: dict[str, _Box]) -> None:
    """Above the axes a box for each stretch of an outermost region; neighbours of one name are one box."""
    path = run.folder / "regions.parquet"
    if not path.exists():
        return
    calls = pq.read_table(path).to_pandas()
    outer = calls[(calls["rank"] == calls["rank"].min()) & ~calls["region"].str.contains("/") & calls["main_thread"]]
    ends = outer["t1_s"].fillna(run.record.seconds).to_numpy()
    boxes: list[tuple[str, float, float]] = []
    for name, start, end in zip(outer["region"], outer["t0_s"], ends, strict=True):
        if boxes and boxes[-1][0] == name and start - boxes[-1][2] < run.record.seconds / 1000:
            boxes[-1] = (name, boxes[-1][1], end)
        else:
            boxes.append((name, start, end))
    for name, start, end in boxes[:MOST_STRETCHES]:
        number = len(shown)
        look = shown.setdefault(name, _Box(COLOURS[number % len(COLOURS)], HATCHES[number % len(HATCHES)]))
        frame = {"transform": axes.get_xaxis_transform(), "edgecolor": "#333333", "linewidth": 0.4, "clip_on": False}
        axes.add_patch(Rectangle((start, 1.02), end - start, 0.08, **frame, **look._asdict()))


def regions(study: MonitoredStudy, groups: Sequence[Repeats], kind: str, layout: Layout) -> list[DrawnFigure]:
    """Joules of every region with their standard errors.

    Args:
        study: The runs.
        groups: Those of one kind of energy, by command.
        kind: Measured or modelled.
        layout: The widths of column and page.

    Returns:
        The figure; nothing where no region has joules.
    """
    whole = regions_table(study).data
    labels = [repeats.label for repeats in groups]
    data = whole[whole["command"].isin(labels) & whole["energy_J"].notna()].reset_index(drop=True)
    if data.empty:
        return []
    panels = [label for label in labels if (data["command"] == label).any()][:MOST_PANELS]
    counts = [int((data["command"] == label).sum()) for label in panels]
    with drawing(layout):
        height = min(9.0, 0.9 + sum(0.35 + 0.2 * count for count in counts))
        figure, all_axes = new_figure(
            layout, height, nrows=len(panels), squeeze=False, gridspec_kw={"height_ratios": [count + 1 for count in counts]}
        )
        for axes, label in zip(all_axes[:, 0], panels, strict=True):
            rows = data[data["command"] == label]
            places = np.arange(len(rows))
            middle, low, high = (rows[key].to_numpy(dtype=float) for key in ("energy_J", "energy_J_low", "energy_J_high"))
            bounds = [np.maximum(middle - low, 0), np.maximum(high - middle, 0)]
            axes.barh(places, middle, xerr=bounds, color="#56B4E9", edgecolor="#333333", linewidth=0.5, capsize=2, height=0.7)
            axes.set_yticks(places, rows["region"])
            axes.invert_yaxis()
            axes.set_title(label, loc="left")
            axes.set_xlim(min(0.0, float(low.min())), 1.08 * float(high.max()))
        all_axes[-1, 0].set_xlabel(energy_label(kind, "Energy of all ranks (J)"))
    caption = (
        f"Joules of the regions that the programs named, {kind}, all ranks and hosts; a region contains those inside of it. "
        "Bars: 95 %, by rank between runs from six runs on, else 1.96 standard errors of the attribution."
    )
    return [DrawnFigure(f"regions_{kind}", "Energy of regions", caption, figure, data)]
