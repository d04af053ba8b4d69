"""Slower and frugal, or fast and done: energy per sample against throughput in the power modes of the boards.

Each line is a trade-off curve: one strategy through its modes in the order of the power that they drew.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from analysis.plotting.captions import in_setting, repeats_note
from analysis.plotting.figure_registry import report_figure
from analysis.plotting.figure_style import DrawnFigure, drawing, energy_label, legend_above, line_styles, new_figure, slug
from analysis.plotting.name_placement import NamePlacer
from analysis.plotting.page_layouts import IEEE, Layout
from analysis.plotting.sweep_lines import interval_reach, lines_by_figure
from analysis.statistics.repeat_summary import Summary, pareto_front, summarise
from analysis.study.comparability import Work, works
from analysis.study.study import Study
from analysis.study.sweeps import LEAST_FOR_LINE, Series, short_labels, sweep

X = "power_mode"
MOST_NAMES = 20
"""Modes that one figure has room to name."""


@dataclass(frozen=True)
class ModeSummary:
    """A line of the figure in one power mode: the summaries of its repeats, and their rows."""

    line: str
    name: str
    rate: Summary
    cost: Summary
    power_W: Summary
    rows: pd.DataFrame

    @property
    def place(self) -> tuple[float, float]:
        """Samples per second and joules per sample: where it is in the figure."""
        return self.rate.median, self.cost.median


@report_figure("power_mode", section="Trade-off", order=80)
def draw(study: Study, layout: Layout) -> list[DrawnFigure]:
    """One figure for each work whose power mode is varied.

    Args:
        study: The study, of which good records are drawn.
        layout: The widths of column and page, inches, and the style.

    Returns:
        The figures; empty without energy, or where the power mode does not vary.
    """
    figures = []
    for work in works(study.points, with_energy=True):
        swept = sweep(work.points, X)
        most = max((line.points[X].nunique() for line in swept.series), default=1)
        for setting, series in lines_by_figure(swept, max(1, MOST_NAMES // most)):
            figures.append(_figure(work, series, setting, layout))
    return figures


def _figure(work: Work, series: tuple[Series, ...], setting: str, layout: Layout) -> DrawnFigure:
    labels = short_labels(series)
    curves = [_modes(line, label) for line, label in zip(series, labels, strict=True)]
    modes = [mode for curve in curves for mode in curve]
    front = [modes[i] for i in pareto_front([mode.place for mode in modes])]
    with drawing(layout):
        figure, axes = new_figure(layout, 3.1, page=len(modes) > 9 and layout.column_in <= IEEE.column_in)
        styles = line_styles([line.strategy for line in series])
        handles = [_curve(axes, curve, style) for curve, style in zip(curves, styles, strict=True)]
        ring = {"marker": "o", "markersize": 12, "markerfacecolor": "none", "color": "#000000", "linestyle": "none"}
        handles += axes.plot(*zip(*(mode.place for mode in front), strict=True), **ring, markeredgewidth=0.6)
        axes.set_xlabel("Throughput (samples/s)")
        axes.set_ylabel(energy_label(work.kind))
        axes.margins(0.18)
        axes.autoscale_view()
        axes.set_autoscale_on(False)
        legend_above(figure, handles, [*labels, "beaten by none"])
        figure.draw_without_rendering()
        names = NamePlacer(axes)
        unnamed = [mode for mode in modes if not names.beside(mode.name, mode.place)]
        _equal_power(axes, names)
    data = _table(modes, front)
    caption = " ".join(_caption(work, setting, curves, front, unnamed))
    return DrawnFigure(
        slug(f"{X} {work.kind} {work.name} {setting}"), "Power modes", caption, figure, data, tuple(data["point"])
    )


def _modes(line: Series, label: str) -> list[ModeSummary]:
    """In the order of the power that they drew."""
    modes = []
    for mode, rows in line.points.groupby(X, sort=False):
        rate, cost, power = (summarise(rows[column].tolist()) for column in ("samples_per_s", "per_sample_J", "power_W"))
        modes.append(ModeSummary(label, mode_name(str(mode)), rate, cost, power, rows))
    return sorted(modes, key=lambda mode: mode.power_W.median)


def mode_name(mode: str) -> str:
    """The power mode as a label has it: of modes by board class (``{"orin": "15W", "nx": "10W"}``) the modes, ``15W/10W``.

    Args:
        mode: The name of a mode, or a JSON object of names by board class.

    Returns:
        The name or names.
    """
    return "/".join(json.loads(mode).values()) if mode.startswith("{") else mode


def _curve(axes: Axes, curve: Sequence[ModeSummary], style: dict[str, Any]) -> Line2D:
    repeats = {**style, "linestyle": "none", "markersize": 2.5, "markeredgewidth": 0, "zorder": 3}
    for mode in curve:
        axes.plot(mode.rows["samples_per_s"], mode.rows["per_sample_J"], **repeats)
        (x, y), across, up = mode.place, interval_reach(mode.rate), interval_reach(mode.cost)
        if across and up:
            axes.errorbar([x], [y], xerr=across, yerr=up, color=style["color"], linewidth=0.8, capsize=2)
    look = {**style, "markerfacecolor": "none", "markersize": 6.5, "markeredgewidth": 1}
    if len(curve) < LEAST_FOR_LINE:
        look["linestyle"] = "none"
    return axes.plot(*zip(*(mode.place for mode in curve), strict=True), **look, zorder=2)[0]


def _equal_power(axes: Axes, names: NamePlacer) -> None:
    """Faint lines on which energy per sample times samples per second is the same power, each with its watts."""
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    for power in MaxNLocator(5, steps=[1, 2, 5, 10]).tick_values(max(left, 0) * max(low, 0), right * high):
        rates = np.linspace(max(left, 1e-9), right, 200)
        inside = rates[(power / rates >= low) & (power / rates <= high)]
        if len(inside) > 20:
            axes.plot(inside, power / inside, color="#bbbbbb", linewidth=0.5, zorder=0.5)
            names.along(f"{power:g} W", inside, power / inside)


def _caption(
    work: Work,
    setting: str,
    curves: Sequence[Sequence[ModeSummary]],
    front: Sequence[ModeSummary],
    unnamed: Sequence[ModeSummary],
) -> list[str]:
    modes = [mode for curve in curves for mode in curve]
    lines = [
        f"Energy per sample against throughput in the power modes of the boards: {work.name}{in_setting(setting)}; energy is "
        f"{work.kind}. Each line goes through its modes by rising power; grey lines: equal power of all hosts.",
        *(_verdict(curve) for curve in curves),
        f"No mode of any line beats {', '.join(f'{mode.line} {mode.name}' for mode in front)} in both.",
        repeats_note([mode.rate.n for mode in modes]),
    ]
    if any(len(curve) < LEAST_FOR_LINE for curve in curves):
        lines.append("Two modes are not joined.")
    if without := int(work.points[X].isna().sum()):
        lines.append(f"Left out: {without} of {len(work.points)} points, which left the boards in the mode they were in.")
    if unnamed:
        lines.append(f"No room to name {', '.join(f'{mode.line} {mode.name}' for mode in unnamed)}; the table has them.")
    return lines


def _verdict(curve: Sequence[ModeSummary]) -> str:
    """The energy and the speed of the most frugal mode against the fastest: ratios, and the numbers behind them."""
    frugal, fast = min(curve, key=lambda mode: mode.cost.median), max(curve, key=lambda mode: mode.rate.median)
    if frugal is fast:
        return f"{fast.line}: {fast.name} is the fastest ({_rate(fast)}) and the most frugal ({_cost(fast)})."
    energy, speed = frugal.cost.median / fast.cost.median, frugal.rate.median / fast.rate.median
    return (
        f"{fast.line}: {frugal.name} is the most frugal ({_cost(frugal)} at {_rate(frugal)}), {fast.name} the fastest "
        f"({_cost(fast)} at {_rate(fast)}); the frugal one needs {energy:.2f} x the energy and trains {speed:.2f} x as fast."
    )


def _rate(mode: ModeSummary) -> str:
    return f"{mode.rate.median:.3g} samples/s"


def _cost(mode: ModeSummary) -> str:
    return f"{mode.cost.median:.3g} J per sample"


def _table(modes: Sequence[ModeSummary], front: Sequence[ModeSummary]) -> pd.DataFrame:
    columns = ["point", "strategy", "repeat", X, "samples_per_s", "per_sample_J", "power_W", "kind"]
    tables = [mode.rows[columns].assign(line=mode.line, on_pareto_front=mode in front) for mode in modes]
    return pd.concat(tables, ignore_index=True)
