"""Lines over a number that is varied: which of them share a figure, how repeats, medians and intervals are drawn, its axis."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pandas as pd
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from analysis.plotting.figure_style import line_styles, new_figure
from analysis.plotting.log_axes import log_axis, plain_number
from analysis.plotting.page_layouts import IEEE, Layout
from analysis.statistics.repeat_summary import Summary, summarise
from analysis.study.configuration_labels import plain
from analysis.study.sweeps import LEAST_FOR_LINE, Series, Sweep, factors, short_labels

MOST_LINES = 8
WIDE_RANGE = 30


def leading_factor(points: pd.DataFrame, x: str, order: Sequence[str]) -> str | None:
    """The factor that ``x`` follows, as a batch follows the ranks in weak scaling: it and the strategy say what ``x`` is.

    Args:
        points: The points of one work.
        x: A factor.
        order: Factors, of which those before ``x`` may lead it.

    Returns:
        The first that does, None where none does.
    """
    for lead in order[: order.index(x)]:
        if lead in points:
            text = points[["strategy", lead, x]].astype(str)
            by_strategy, by_lead = (text.groupby(keys)[x].nunique().max() for keys in ("strategy", ["strategy", lead]))
            if by_strategy > 1 and by_lead == 1:
                return lead
    return None


def lines_by_figure(swept: Sweep, most: int = MOST_LINES) -> Iterator[tuple[str, tuple[Series, ...]]]:
    """The lines that share a figure.

    Too many lines are split by the factor in which lines of most strategies differ, so that strategies stay together.

    Args:
        swept: The sweep.
        most: The most lines of a figure.

    Yields:
        What the lines of a figure have in common and those of others have not (``ranks=4``), and the lines.
    """
    yield from _lines_by_figure(swept.series, {swept.x, *swept.follow}, most, "")


def _lines_by_figure(
    series: tuple[Series, ...], fixed: set[str], most: int, setting: str
) -> Iterator[tuple[str, tuple[Series, ...]]]:
    if not series:
        return
    if len(series) <= most:
        yield setting, series
        return
    level = {line.label: line.points.iloc[0] for line in series}
    names = [name for name in factors(series[0].points) if name not in fixed | {"strategy"}]

    def values(name: str, strategy: str | None = None) -> set[str]:
        return {plain(level[s.label][name]) for s in series if strategy in (None, s.strategy)}

    def own(name: str) -> int:
        return sum(len(values(name, strategy)) > 1 for strategy in {line.strategy for line in series})

    apart = [name for name in names if len(values(name)) > 1]
    if not apart:
        for begin in range(0, len(series), most):
            yield f"{setting} part {begin // most + 1}".strip(), series[begin : begin + most]
        return
    name = max(apart, key=lambda name: (own(name), *_fit(len(values(name)), len(series) / most)))
    groups: dict[str, list[Series]] = {}
    for line in series:
        groups.setdefault(plain(level[line.label][name]), []).append(line)
    for value, lines in groups.items():
        word = f"{name.removeprefix('option.')}={value}"
        yield from _lines_by_figure(tuple(lines), fixed | {name}, most, f"{setting} {word}".strip())


def _fit(levels: int, needed: float) -> tuple[bool, int]:
    """Of factors with enough levels the one that makes the fewest figures is best, of others the one that makes the most."""
    return levels >= needed, -levels if levels >= needed else levels


def panel_figure(
    layout: Layout, panels: int, series: Sequence[Series], above_in: float = 0
) -> tuple[Figure, list[Axes], list[Axes]]:
    """Panels above each other in a column, beside each other on a page; on a page too where names are long.

    Args:
        layout: The place on paper.
        panels: Their number.
        series: The lines, whose names are in the legend.
        above_in: Room for texts above the first panels, inches.

    Returns:
        The figure, its panels, and those of them that have an x axis of their own.
    """
    long = max(len(label) for label in short_labels(series)) > 14 * layout.column_in
    page = long or layout.column_in > IEEE.column_in
    more = 0.16 * len(series) if long else 0.08 * len(series)
    shape: dict[str, Any] = {"ncols": panels} if page else {"nrows": panels, "sharex": True}
    height = (2.3 if page else 1.75 * panels) + 0.7 + more + above_in
    figure, axes = new_figure(layout, height, page, squeeze=False, **shape)
    return figure, list(axes.flat), list(axes[-1])


def at_levels(line: Series, x: str, column: str) -> dict[float, Summary]:
    """Summaries of a line's repeats at each level; levels without a value are not there.

    Args:
        line: The line.
        x: The factor that varies along it.
        column: The quantity.

    Returns:
        Level to summary, in rising order of levels.
    """
    rows = line.points[line.points[column].notna()]
    return {float(level): summarise(repeats[column].tolist()) for level, repeats in rows.groupby(x)}


def draw_lines(axes: Axes, series: Sequence[Series], x: str, column: str, scale: float = 1.0) -> None:
    """Draw every repeat, medians as open markers with their intervals, joined where there are enough levels.

    Args:
        axes: Where to draw.
        series: The lines.
        x: The factor that varies along them.
        column: The quantity.
        scale: Levels are multiplied by it.
    """
    for line, style in zip(series, line_styles([line.strategy for line in series]), strict=True):
        summaries = at_levels(line, x, column)
        shown = {**style, "linestyle": style["linestyle"] if len(summaries) >= LEAST_FOR_LINE else "none"}
        repeats = {"color": style["color"], "marker": style["marker"], "linestyle": "none"}
        axes.plot(line.points[x] * scale, line.points[column], **repeats, markersize=2.5, markeredgewidth=0, zorder=3)
        levels = [level * scale for level in summaries]
        medians = [summary.median for summary in summaries.values()]
        axes.plot(levels, medians, **shown, markerfacecolor="none", markersize=6.5, markeredgewidth=1, zorder=2)
        for level, summary in zip(levels, summaries.values(), strict=True):
            if reach := interval_reach(summary):
                axes.errorbar([level], [summary.median], yerr=reach, color=style["color"], linewidth=0.8, capsize=2)


def interval_reach(summary: Summary) -> list[list[float]] | None:
    """The 95 % interval as ``errorbar`` wants it; None where there is none.

    Args:
        summary: The summary of some repeats.

    Returns:
        The distances below and above the median, in the unit of the quantity.
    """
    if summary.low is None or summary.high is None:
        return None
    return [[summary.median - summary.low], [summary.high - summary.median]]


def legend_of(axes: Axes, series: Sequence[Series]) -> tuple[list[Any], list[str]]:
    """Handles and names of the lines that ``draw_lines`` drew.

    Args:
        axes: The axes that they are in.
        series: The lines.

    Returns:
        The handles and the names, in the order of the lines.
    """
    styles = line_styles([line.strategy for line in series])
    handles = [axes.plot([], [], **style, markerfacecolor="none", markersize=6.5, markeredgewidth=1)[0] for style in styles]
    return handles, short_labels(series)


def axis_from_zero(axes: Axes, values: pd.Series, name: str = "y") -> None:
    """Let an axis begin at zero; make it one of logarithms where the smallest values could not be told from zero.

    Args:
        axes: The axes.
        values: All values that are drawn.
        name: ``x`` or ``y``.
    """
    low, high = values.min(), values.max()
    if low > 0 and high > WIDE_RANGE * low:
        log_axis(axes, name, low / 1.3, high * 1.3)
    else:
        axes.set(**{f"{name}lim": (0, 1.12 * high)})


def level_ticks(axes: Axes, levels: Sequence[float]) -> None:
    """A tick at each level, on an axis of logarithms where levels are multiples; upright names where they would touch.

    Args:
        axes: The axes.
        levels: The levels, rising.
    """
    logged = min(levels) > 0 and max(levels) >= 4 * min(levels)
    if logged:
        axes.set_xscale("log", base=2)
    map_: Callable[[float], float] = math.log if logged else float
    low, high = map_(levels[0]), map_(levels[-1])
    width_in = 0.9 * axes.get_window_extent().width / rcParams["figure.dpi"]
    names = [plain_number(level) for level in levels]
    places = [width_in * (map_(level) - low) / ((high - low) or 1) for level in levels]
    close = min((b - a for a, b in itertools.pairwise(places)), default=width_in)
    upright = close < 0.07 * max(map(len, names)) + 0.06
    axes.xaxis.set_major_locator(FixedLocator(list(levels)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(list(levels), names, rotation=90 if upright else 0)
    pad = 0.06 * ((high - low) or 1)
    axes.set_xlim(*(math.exp(low - pad), math.exp(high + pad)) if logged else (low - pad, high + pad))
