"""Which board next to which: the same boards in several orders, with the switches that lie between neighbours."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from analysis.plotting.captions import left_out, repeats_note
from analysis.plotting.figure_registry import report_figure
from analysis.plotting.figure_style import (
    STATE_COLOURS,
    STATE_HATCHES,
    TALLEST_IN,
    DrawnFigure,
    drawing,
    energy_label,
    legend_above,
    line_styles,
    new_figure,
    slug,
    wrapped,
)
from analysis.plotting.page_layouts import Layout
from analysis.plotting.scaling_lines import OPEN
from analysis.statistics.repeat_summary import average, summarise
from analysis.statistics.scaling_bounds import portions
from analysis.study.comparability import Work, works
from analysis.study.study import Study
from analysis.study.sweeps import Series, short_labels, sweep
from bench.common.phases import STATES

MOST_LINES = 8
ROW_IN, FRAME_IN = 0.2, 1.1
"""Height of a row, and of axis and legend together."""
STATE: dict[str, Any] = {"edgecolor": "#444444", "linewidth": 0.4, "alpha": 0.6}


@dataclass(frozen=True)
class HostOrder:
    """An order of hosts.

    Attributes:
        hosts: The hosts, separated by commas.
        text: As it is written in the figure: ``pi-1 > pi-2 | pi-3``, with a bar where neighbours are on different switches.
        crossings: How often it crosses from one switch to another; None where switches are not known.
    """

    hosts: str
    text: str
    crossings: int | None


@dataclass(frozen=True)
class OrderRow:
    """The repeats of one line in one order."""

    order: HostOrder
    strategy: str
    label: str
    points: pd.DataFrame


def order_of(hosts: str, switches: Mapping[str, str | None]) -> HostOrder:
    """The order that hosts are in, and how often it crosses from one switch to another.

    Args:
        hosts: Names of hosts in the order of ranks, separated by commas.
        switches: The switch of each host, null where it is not known.

    Returns:
        The order; the number of crossings is null where the switch of any host is not known.
    """
    names = hosts.split(",")
    known = all(switches.get(name) is not None for name in names)
    crosses = [known and switches[a] != switches[b] for a, b in itertools.pairwise(names)]
    text = names[0] + "".join(f" {'|' if cross else '>'} {name}" for cross, name in zip(crosses, names[1:], strict=True))
    return HostOrder(hosts, text, sum(crosses) if known else None)


def switches_of(study: Study) -> dict[str, str | None]:
    """The switch of each host, as the records' networks say.

    Args:
        study: The study; only good records with a network are read.

    Returns:
        Host to switch, null where a link does not name one.
    """
    networks = [record.point.network for record in study.good if record.point.network is not None]
    return {link.host: link.switch for network in networks for link in network.links}


@report_figure("topology", section="Network", order=60)
def draw(study: Study, layout: Layout) -> list[DrawnFigure]:
    """Figures for each work and each set of hosts of which the study has several orders.

    Args:
        study: The study, of which good records are drawn.
        layout: The widths of column and page, inches, and the style.

    Returns:
        The figures; empty where no line has the same hosts in several orders.
    """
    figures, switches = [], switches_of(study)
    for work in works(study.points):
        for number, lines in enumerate(_reordered(work.points)):
            name = f"topology_{slug(f'{work.kind} {work.name}')}{f'_set_{number + 1}' if number else ''}"
            for part, portion in portions(lines, MOST_LINES):
                rows = _rows(portion, switches)
                for page, chosen in enumerate(_pages(rows, _room(work, layout), layout)):
                    figures.append(_draw(study, work, chosen, f"{name}{part}{f'_{page + 1}' if page else ''}", layout))
    return figures


def _reordered(points: pd.DataFrame) -> Iterator[list[Series]]:
    """The lines over the orders of each set of hosts. The single process knows no neighbours."""
    if "hosts" not in points:
        return
    many = points[points["hosts"].notna() & (points["ranks"] > 1)]
    sets = many["hosts"].map(lambda hosts: ",".join(sorted(str(hosts).split(","))))
    for _, same_hosts in many.groupby([sets, "ranks"], sort=False):
        series = sweep(same_hosts, "hosts").series
        if series:
            yield [Series(s.strategy, label, s.points) for s, label in zip(series, short_labels(series), strict=True)]


def _rows(lines: Sequence[Series], switches: Mapping[str, str | None]) -> list[list[OrderRow]]:
    """For each order its lines; those that cross least come first."""
    hosts = dict.fromkeys(host for line in lines for host in line.points["hosts"])
    orders = sorted((order_of(text, switches) for text in hosts), key=lambda order: order.crossings or 0)
    rows_by_order = []
    for order in orders:
        levels = [(line, line.points[line.points["hosts"] == order.hosts]) for line in lines]
        rows_by_order.append([OrderRow(order, line.strategy, line.label, points) for line, points in levels if len(points)])
    return rows_by_order


def _room(work: Work, layout: Layout) -> float:
    """The width in which an order is written: a page has two panels beside it, a column one."""
    return 0.33 * layout.page_in if work.kind != "none" else 0.45 * layout.column_in


def _pages(rows: Sequence[list[OrderRow]], room_in: float, layout: Layout) -> list[list[list[OrderRow]]]:
    """As many orders in one figure as a page is high."""
    pages: list[list[list[OrderRow]]] = [[]]
    with drawing(layout):
        for order_rows in rows:
            if pages[-1] and _height_in(_places([*pages[-1], order_rows], room_in)[0]) > TALLEST_IN - 0.1:
                pages.append([])
            pages[-1].append(order_rows)
    return pages


def _height_in(places: Sequence[float]) -> float:
    return FRAME_IN + ROW_IN * (max(places) + 1.5)


def _draw(study: Study, work: Work, rows: Sequence[list[OrderRow]], name: str, layout: Layout) -> DrawnFigure:
    energy = work.kind != "none"
    with drawing(layout):
        figure, panels = new_figure(layout, page=energy, ncols=2 if energy else 1, sharey=True, squeeze=False)
        places, ticks = _places(rows, _room(work, layout))
        figure.set_figheight(_height_in(places))
        every = [row for order_rows in rows for row in order_rows]
        for place, row in zip(places, every, strict=True):
            _states(panels[0, 0], place, row)
            _dots(panels[0, 0], place, row, "step_s")
            if energy:
                _dots(panels[0, 1], place, row, "per_sample_J")
        panels[0, 0].set_yticks(list(ticks), list(ticks.values()))
        panels[0, 0].set_ylim(max(places) + 0.7, -0.8)
        panels[0, 0].set_xlabel("Time per step (s)")
        if energy:
            panels[0, 1].set_xlabel(energy_label(work.kind))
        for axes in panels[0]:
            axes.set_xlim(left=0)
            axes.grid(axis="y", visible=False)
            axes.tick_params(axis="y", length=0)
        patches = [
            Patch(facecolor=STATE_COLOURS[s], hatch=STATE_HATCHES[s], edgecolor="#444444", linewidth=0.4) for s in STATES
        ]
        legend_above(figure, patches, list(STATES))
    points = tuple(point for row in every for point in row.points["point"])
    caption = _caption(work, every) + left_out(study)
    return DrawnFigure(name, f"Orders of the boards in {work.name}", caption, figure, _table(every, work.kind), points)


def _places(rows: Sequence[list[OrderRow]], room_in: float) -> tuple[list[float], dict[float, str]]:
    """Where each row stands, downwards, and the names: the order above its lines."""
    place, places, ticks = 0.0, [], {}
    for order_rows in rows:
        text = wrapped(order_rows[0].order.text, room_in)
        lines = text.count("\n")
        ticks[place + 0.4 * lines] = text
        place += 1 + 0.8 * lines
        for row in order_rows:
            places.append(place)
            ticks[place] = row.label
            place += 1
        place += 0.5
    return places, ticks


def _states(axes: Axes, place: float, row: OrderRow) -> None:
    """Means over ranks and repeats: they are costs, so the parts add up to the whole."""
    start = 0.0
    for state in STATES:
        width = average(row.points[f"{state}_s"].tolist(), "cost")
        axes.barh(place, width, left=start, height=0.62, color=STATE_COLOURS[state], hatch=STATE_HATCHES[state], **STATE)
        start += width


def _dots(axes: Axes, place: float, row: OrderRow, column: str) -> None:
    values, style = row.points[column].tolist(), line_styles([row.strategy])[0]
    look = {"color": style["color"], "marker": style["marker"], "linestyle": "none"}
    summary = summarise(values)
    axes.plot(values, [place] * len(values), **look, markersize=2.5, markeredgewidth=0, zorder=3)
    axes.plot([summary.median], [place], **look, **OPEN, zorder=4)
    if summary.low is not None and summary.high is not None:
        ends = [[summary.median - summary.low], [summary.high - summary.median]]
        axes.errorbar([summary.median], [place], xerr=ends, color=look["color"], linewidth=0.8, capsize=2, zorder=4)


def _table(rows: Sequence[OrderRow], kind: str) -> pd.DataFrame:
    """One row for each repeat, beside the medians of its order and line."""
    columns = ["step_s", *([] if kind == "none" else ["per_sample_J"])]
    parts = []
    for row in rows:
        repeats = row.points[["strategy", "ranks", "repeat", *columns, *(f"{state}_s" for state in STATES)]].copy()
        repeats.insert(0, "order", row.order.text)
        repeats.insert(1, "crossings", row.order.crossings)
        repeats.insert(2, "line", row.label)
        for column in columns:
            summary = summarise(repeats[column].tolist())
            repeats[f"median_{column}"], repeats[f"low_{column}"], repeats[f"high_{column}"] = (
                summary.median,
                summary.low,
                summary.high,
            )
        parts.append(repeats.assign(n=len(repeats)))
    return pd.concat(parts, ignore_index=True)


def _caption(work: Work, rows: Sequence[OrderRow]) -> str:
    energy = "" if work.kind == "none" else f" and energy per sample ({work.kind})"
    crossings = [row.order.crossings for row in rows if row.order.crossings is not None]
    ranks = rows[0].points["ranks"].iloc[0]
    sentences = [
        f"The same boards in several orders, {ranks} ranks, {work.name}: time per step{energy}",
        "Ranks go from left to right, and the last is beside the first in a ring",
        repeats_note([len(row.points) for row in rows]).rstrip("."),
        "Bars are what the ranks did in a step, mean over ranks and repeats; markers are steps (medians of each run)",
    ]
    if any(crossings):
        sentences.append("A bar between two boards is the way from one switch to another")
    elif not crossings:
        sentences.append("The switches of the boards are not known")
    return ". ".join(sentences) + "."
