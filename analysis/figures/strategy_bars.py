"""Energy and throughput as bars: a group for each number of ranks, in it a bar for each parallelism.

Board class, cluster or device make groups of their own where they vary; each work has a row of panels. A configuration that ran
out of memory is marked in the place of its bar.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patches import Patch

from analysis.plotting.bar_groups import Bar, bars_of
from analysis.plotting.captions import left_out, ranks_label, some
from analysis.plotting.figure_registry import report_figure
from analysis.plotting.figure_style import (
    TALLEST_IN,
    DrawnFigure,
    colour,
    drawing,
    energy_label,
    hatch,
    legend_above,
    new_figure,
    text_in,
    wrapped,
)
from analysis.plotting.page_layouts import Layout
from analysis.statistics.repeat_summary import summarise
from analysis.study.count_phrases import repeat_counts
from analysis.study.strategy_appearance import place
from analysis.study.study import Study
from bench.common.median_interval import SMALLEST_N

SLOT_IN, LINE_IN, GAP, MARGIN_IN = 0.15, 0.13, 0.8, 0.8
"""The narrowest bar that can be told apart, a line of text, the gap between groups in bars, what an axis takes of the width."""
ROW_IN, LEAST_IN, FRAME_IN, LONGEST_IN = 1.5, 2.1, 0.9, 1.9
"""The height of a row of bars, the least of all rows, of axis and legend, and the length in which names are written."""
PALE = 0.2
"""Hatching must be seen on the darkest colour."""


@report_figure("energy_bars", section="Bars", order=20)
def draw_energy(study: Study, layout: Layout) -> list[DrawnFigure]:
    """Measured and modelled energy are figures of their own.

    Args:
        study: The study, of which good records are drawn.
        layout: The widths of column and page, inches, and the style.

    Returns:
        The figures, in the order of kinds of energy; empty without energy.
    """
    figures = []
    for kind in dict.fromkeys(study.points["kind"]):
        if kind != "none":
            figures += _draw(study, str(kind), "per_sample_J", f"energy_bars_{kind}", energy_label(str(kind)), layout)
    return figures


@report_figure("throughput_bars", section="Bars", order=30)
def draw_throughput(study: Study, layout: Layout) -> list[DrawnFigure]:
    """Runs with measured and with modelled energy are different runs, and figures of their own here too.

    Args:
        study: The study, of which good records are drawn.
        layout: The widths of column and page, inches, and the style.

    Returns:
        The figures, in the order of kinds of energy.
    """
    kinds, figures = list(dict.fromkeys(study.points["kind"])), []
    for kind in kinds:
        name = "throughput_bars" if len(kinds) == 1 else f"throughput_bars_{kind}"
        figures += _draw(study, str(kind), "samples_per_s", name, "Throughput (samples/s)", layout)
    return figures


@dataclass(frozen=True)
class BarPlot:
    """One quantity as bars.

    Attributes:
        study: The study.
        kind: The kind of energy of its records.
        column: The quantity.
        label: The label of its axis.
        group_factors: The factors that make a group.
        following: The factors that go with group and strategy.
        texts: The name below each bar, by group and name; none where hatching tells all.
        below_in: Room for the longest of them, inches.
    """

    study: Study
    kind: str
    column: str
    label: str
    group_factors: Sequence[str]
    following: Sequence[str]
    texts: Mapping[tuple[str, str], str]
    below_in: float


def _draw(study: Study, kind: str, column: str, name: str, label: str, layout: Layout) -> list[DrawnFigure]:
    bars, group_factors, following = bars_of(study, kind)
    if len(bars) < 2:
        return []
    with drawing(layout):
        texts = _names(bars)
        lines = max((text.count("\n") + 1 for text in texts.values()), default=0)
        slot_in = max(SLOT_IN, LINE_IN * lines + 0.02)
        rooms = {page: (width - MARGIN_IN) / slot_in for page, width in ((False, layout.column_in), (True, layout.page_in))}
        page = max(map(_slots, _rows(bars, rooms[True]))) > rooms[False]
        rows = _rows(bars, rooms[page])
        below_in = max((text_in(part) for text in texts.values() for part in text.split("\n")), default=0.1)
        plot = BarPlot(study, kind, column, label, group_factors, following, texts, below_in)
        most = int((TALLEST_IN - FRAME_IN) / (ROW_IN + below_in))
        figures = []
        for number, start in enumerate(range(0, len(rows), most)):
            part = rows[start : start + most]
            figures.append(_figure(plot, part, f"{name}{f'_{number + 1}' if number else ''}", page, layout))
    return figures


def _names(bars: Sequence[Bar]) -> dict[tuple[str, str], str]:
    """The name below each bar, by group and name, where a strategy has several in a group; none where hatching tells all."""
    if max(Counter((bar.work, bar.group, bar.strategy) for bar in bars).values()) == 1:
        return {}
    several, factor = len({bar.group for bar in bars}) > 1, _only_factor(bars)
    names = {}
    for bar in bars:
        text = (bar.factors if factor is None else bar.factors.removeprefix(f"{factor}=")) or bar.strategy
        text = f"{bar.group}: {text}".replace("\n", ", ") if several else text
        names[bar.group, bar.name] = wrapped(text, LONGEST_IN)
    return names


def _only_factor(bars: Sequence[Bar]) -> str | None:
    """The one factor that tells bars of a strategy apart; None where there are several. It is named once, below the axis."""
    factors = {word.split("=")[0] for bar in bars for word in bar.factors.split()}
    return factors.pop() if len(factors) == 1 else None


def _figure(plot: BarPlot, rows: Sequence[list[list[Bar]]], name: str, page: bool, layout: Layout) -> DrawnFigure:
    column, texts = plot.column, plot.texts
    bars = [bar for row in rows for group in row for bar in group]
    figure, panels = new_figure(layout, TALLEST_IN, page=page, nrows=len(rows), squeeze=False)
    span = max(_slots(row) for row in rows)
    for axes, row in zip(panels[:, 0], rows, strict=True):
        _panel(axes, row, column, span)
        if texts:
            places = [x for group in _places(row) for x in group]
            axes.set_xticks(places, [texts[bar.group, bar.name] for group in row for bar in group], rotation=90)
        else:
            _group_ticks(axes, row, (figure.get_figwidth() - MARGIN_IN) / span)
        work = row[0][0].work
        axes.set_ylim(0, 1.06 * max((bar.rows[column].max() for bar in bars if bar.work == work and len(bar.rows)), default=1))
        if len({bar.work for bar in bars}) > 1:
            axes.set_title(work, loc="left", pad=3)
    panels[-1, 0].set_xlabel(_axis_label(plot, bars))
    looks = {strategy: _look(strategy) for strategy in sorted({bar.strategy for bar in bars}, key=place)}
    legend = legend_above(figure, [Patch(**look) for look in looks.values()], list(looks))
    under_in = 0.45 if not texts else plot.below_in + 0.25
    data_in = max(LEAST_IN, ROW_IN * len(rows) + (len(rows) - 1) * (plot.below_in if texts else 0))
    height_in = under_in + data_in + legend.get_window_extent().height / figure.dpi
    figure.set_figheight(height_in)
    figure.supylabel(plot.label, y=(under_in + data_in / 2) / height_in)
    points = tuple(point for bar in bars for point in bar.points)
    title = "Energy of each parallelism" if column == "per_sample_J" else "Throughput of each parallelism"
    return DrawnFigure(name, title, _caption(plot, bars, points), figure, _table(bars, column), points)


def _axis_label(plot: BarPlot, bars: Sequence[Bar]) -> str:
    """The factors below the axis: those that make a group, and the only one that tells bars of a strategy apart."""
    groups = list(dict.fromkeys(bar.group.replace("\n", ", ") for bar in bars))
    factor = _only_factor(bars) if plot.texts else None
    if len(groups) > 1 or not plot.texts:
        return ", ".join([ranks_label(plot.study), *plot.group_factors[1:], *([factor] if factor else [])])
    return f"{factor} ({', '.join(plot.group_factors)}: {groups[0]})" if factor else ""


def _panel(axes: Axes, row: Sequence[list[Bar]], column: str, span: float) -> None:
    for group, places in zip(row, _places(row), strict=True):
        for bar, x in zip(group, places, strict=True):
            _bar(axes, x, bar.rows[column].tolist(), bar.strategy)
    axes.set_xlim(-0.7, span - 0.3)
    if not any(len(bar.rows) for group in row for bar in group):
        axes.set_yticks([])
    axes.grid(axis="x", visible=False)


def _places(row: Sequence[Sequence[Bar]]) -> list[list[float]]:
    places, x = [], 0.0
    for group in row:
        places.append([x + number for number in range(len(group))])
        x += len(group) + GAP
    return places


def _group_ticks(axes: Axes, row: Sequence[Sequence[Bar]], slot_in: float) -> None:
    """The groups below their middles, upright where they would touch."""
    names = [group[0].group for group in row]
    room_in = (min(len(group) for group in row) + GAP) * slot_in
    turned = max(text_in(line) for name in names for line in name.split("\n")) > 0.95 * room_in
    middles = [(places[0] + places[-1]) / 2 for places in _places(row)]
    axes.set_xticks(middles, [name.replace("\n", ", ") for name in names] if turned else names, rotation=90 if turned else 0)


def _bar(axes: Axes, x: float, values: list[float], strategy: str) -> None:
    if not values:
        axes.text(x, 0.03, "OOM", rotation=90, ha="center", va="bottom", transform=axes.get_xaxis_transform(), weight="bold")
        return
    summary = summarise(values)
    axes.bar(x, summary.median, width=0.86, **_look(strategy))
    if summary.low is not None and summary.high is not None:
        ends = [[summary.median - summary.low], [summary.high - summary.median]]
        axes.errorbar([x], [summary.median], yerr=ends, color="#000000", linewidth=0.8, capsize=2, zorder=4)
    dot_places = [x + 0.5 * ((number + 0.5) / len(values) - 0.5) for number in range(len(values))]
    dots: dict[str, Any] = {"markersize": 2.4, "markerfacecolor": "#ffffff", "markeredgewidth": 0.5, "zorder": 5}
    axes.plot(dot_places, values, "o", color="#000000", **dots)


def _look(strategy: str) -> dict[str, Any]:
    face = tuple(part + (1 - part) * PALE for part in to_rgb(colour(strategy)))
    return {"facecolor": face, "edgecolor": "#222222", "hatch": hatch(strategy), "linewidth": 0.5}


def _rows(bars: Sequence[Bar], room: float) -> list[list[list[Bar]]]:
    """Rows of groups of bars: a work begins a new row, and so does a group for which there is no more room.

    A group that is wider than a row goes over several.
    """
    rows: list[list[list[Bar]]] = []
    for work, work_bars in itertools.groupby(bars, key=lambda bar: bar.work):
        for _, group in itertools.groupby(work_bars, key=lambda bar: bar.group):
            whole = list(group)
            for start in range(0, len(whole), int(room)):
                piece = whole[start : start + int(room)]
                if not rows or rows[-1][0][0].work != work or _slots([*rows[-1], piece]) > room:
                    rows.append([])
                rows[-1].append(piece)
    return rows


def _slots(row: Sequence[Sequence[Bar]]) -> float:
    return sum(len(group) for group in row) + GAP * (len(row) - 1)


def _caption(plot: BarPlot, bars: Sequence[Bar], points: Sequence[str]) -> str:
    names, following = plot.group_factors, plot.following
    counts = [len(bar.rows) for bar in bars if len(bar.rows)] or [0]
    out_of_memory = [f"{bar.name} ({bar.group})".replace("\n", ", ") for bar in bars if not len(bar.rows)]
    quantity = f"Energy per sample ({plot.kind})" if plot.column == "per_sample_J" else "Throughput"
    sentences = [
        f"{quantity} by {', '.join([*names, 'strategy'])}: {'; '.join(dict.fromkeys(bar.work for bar in bars))}",
        f"Bars are medians, points the repeats ({repeat_counts(counts)})",
    ]
    if max(counts) >= SMALLEST_N:
        sentences.append("Intervals are 95 % by rank (exact binomial)")
    if min(counts) < SMALLEST_N:
        sentences.append("Below six repeats the median has no 95 % interval")
    if following:
        sentences.append(f"From {', '.join([*names, 'strategy'])} follows: {', '.join(following)}")
    if out_of_memory:
        sentences.append(f"OOM: out of memory, by {', '.join(names)}: {some(out_of_memory)}")
    return ". ".join(sentences) + "." + left_out(plot.study, points)


def _table(bars: Sequence[Bar], column: str) -> pd.DataFrame:
    """One row for each repeat, with the median and interval of its bar; one without numbers for a bar without repeats."""
    rows = []
    for bar in bars:
        bar_columns = {"work": bar.work, "group": bar.group.replace("\n", ", "), "strategy": bar.strategy, "bar": bar.name}
        values = bar.rows[column].tolist()
        if not values:
            rows.append({**bar_columns, "status": "oom", "n": 0})
            continue
        bar_median = summarise(values)
        numbers = {
            f"median_{column}": bar_median.median,
            f"low_{column}": bar_median.low,
            f"high_{column}": bar_median.high,
            "n": bar_median.n,
        }
        for repeat, value in zip(bar.rows["repeat"], values, strict=True):
            rows.append({**bar_columns, "status": "ok", "repeat": repeat, column: value, **numbers})
    return pd.DataFrame(rows)
