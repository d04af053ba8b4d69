"""The cost of bringing the weights to the boards: seconds, bytes and joules before training, and how much training that is.

Links bound the time from below. A byte that leaves rank 0 reaches at most all n - 1 others, so at least 1 / (n - 1) of the
bytes that arrive leave over its link. If rank 0 sends every rank its weights itself, all of them do.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.plotting.captions import repeats_note
from analysis.plotting.figure_registry import report_figure
from analysis.plotting.figure_style import (
    DrawnFigure,
    colour,
    drawing,
    energy_label,
    hatch,
    label_angle,
    legend_above,
    marker,
    needs_page,
    new_figure,
    slug,
    text_in,
)
from analysis.plotting.page_layouts import IEEE, Layout
from analysis.plotting.sweep_lines import interval_reach
from analysis.statistics.repeat_summary import summarise
from analysis.study.comparability import Work, works
from analysis.study.configuration_labels import names_in
from analysis.study.study import Study

MOST_BARS = 30
MOST_SENTENCES = 8
MB = 1e6
LEAST: dict[str, Any] = {"color": "#000000", "linestyle": "-", "linewidth": 1.4}
ALONE: dict[str, Any] = {"color": "#000000", "linestyle": ":", "linewidth": 1.4}


@dataclass(frozen=True)
class Panel:
    """One quantity: its column, what it is divided by to be shown, and the label of its axis."""

    column: str
    size: float
    label: str


@report_figure("replication", section="Scaling", order=110)
def draw(study: Study, layout: Layout) -> list[DrawnFigure]:
    """A figure for each work whose weights were sent (``train.replicate=true``).

    Args:
        study: The study, of which good records are drawn.
        layout: The widths of column and page, inches, and the style.

    Returns:
        The figures; empty where no weights were sent.
    """
    rates = rank_0_rates(study)
    figures = []
    for work in works(study.points):
        rows = _with_bounds(work.points[work.points["replication_s"].notna()], rates)
        labels = list(dict.fromkeys(rows["label"]))
        for begin in range(0, len(labels), MOST_BARS):
            part = f"part {begin // MOST_BARS + 1}" if len(labels) > MOST_BARS else ""
            figures.append(_figure(work, rows[rows["label"].isin(labels[begin : begin + MOST_BARS])], part, layout))
    return figures


def rank_0_rates(study: Study) -> dict[str, float]:
    """The rate of the link of rank 0's host, bit/s, by the name of the point.

    Only of points whose links are known and whose ranks have a host each: between ranks of one host bytes travel over no link.

    Args:
        study: The study; only good records are read.

    Returns:
        Name of the point to bit/s; points of which it is not known are not there.
    """
    rates_by_point = {}
    for record in study.good:
        point = record.point
        network, hosts = point.network, point.hosts or []
        if network is not None and len(hosts) == point.ranks > 1:
            rates = {link.host: link.rate_bit_s for link in network.links}
            if hosts[0] in rates:
                rates_by_point[point.name] = rates[hosts[0]]
    return rates_by_point


def _with_bounds(rows: pd.DataFrame, rates: Mapping[str, float]) -> pd.DataFrame:
    """With the seconds that the link of rank 0 needs at least, and those for all bytes; and the training that costs as much."""
    alone = 8 * rows["replication_bytes"].astype(float) / rows["point"].map(rates).astype(float)
    samples = rows["replication_J"].astype(float) / rows["per_sample_J"].astype(float)
    return rows.assign(
        alone_s=alone, least_s=alone / (rows["ranks"] - 1), as_many_samples=samples, as_many_steps=samples / rows["batch"]
    )


def _figure(work: Work, rows: pd.DataFrame, part: str, layout: Layout) -> DrawnFigure:
    panels = [
        Panel("replication_s", 1, "Time (s)"),
        Panel("replication_bytes", MB, "Received (MB)"),
        Panel("replication_J", 1, energy_label(work.kind, "Energy (J)")),
    ]
    panels = [panel for panel in panels if rows[panel.column].notna().any()]
    groups = [(str(label), points) for label, points in rows.groupby("label", sort=False)]
    with drawing(layout):
        figure, axes = _panels(layout, len(panels), list(names_in([label for label, _ in groups]).values()))
        for panel_axes, panel in zip(axes, panels, strict=True):
            for place, (_, points) in enumerate(groups):
                _bar(panel_axes, place, points, panel)
            panel_axes.set_ylabel(panel.label)
            tops = [
                rows[panel.column].max() / panel.size,
                *(rows["alone_s"].dropna() if panel.column == "replication_s" else ()),
            ]
            panel_axes.set_ylim(0, 1.1 * max(tops))
        if rows["least_s"].notna().any():
            legend_above(
                figure,
                [Line2D([], [], **LEAST), Line2D([], [], **ALONE)],
                ["least, by the link of rank 0", "if rank 0 sends to each by itself"],
            )
    caption = " ".join(_caption(work, rows))
    columns = [
        *("point", "label", "strategy", "repeat", "replication_s", "replication_bytes", "replication_J", "least_s", "alone_s"),
        *("as_many_samples", "as_many_steps", "kind"),
    ]
    name = slug(f"replication {work.kind} {work.name} {part}")
    return DrawnFigure(name, "Bringing the weights to the boards", caption, figure, rows[columns], tuple(rows["point"]))


def _panels(layout: Layout, panels: int, labels: Sequence[str]) -> tuple[Figure, list[Axes]]:
    """Above each other; beside each other where a page has few bars. Labels at the angle at which they do not touch."""
    bars, beside = len(labels), layout.column_in > IEEE.column_in and not needs_page(panels * len(labels), layout)
    turn = label_angle(panels * bars if beside else bars, layout)
    room_in = max(map(text_in, labels)) * math.sin(math.radians(turn)) + 0.15
    if beside:
        figure, axes = new_figure(layout, 2.2 + room_in, ncols=panels, squeeze=False)
    else:
        height = 0.5 + 1.3 * panels + room_in
        figure, axes = new_figure(layout, height, needs_page(bars, layout), nrows=panels, sharex=True, squeeze=False)
    for panel_axes in axes.flat:
        panel_axes.set_xticks(range(bars), labels, rotation=turn)
        panel_axes.set_xlim(-0.6, bars - 0.4)
        panel_axes.grid(axis="x", visible=False)
    return figure, list(axes.flat)


def _bar(axes: Axes, place: int, rows: pd.DataFrame, panel: Panel) -> None:
    """The median as a bar with its interval, every repeat on it, and for seconds what the link of rank 0 allows."""
    values = (rows[panel.column].dropna() / panel.size).tolist()
    if not values:
        across = axes.get_xaxis_transform()
        axes.text(place, 0.04, "not known", rotation=90, ha="center", va="bottom", transform=across)
        return
    strategy, summary = str(rows["strategy"].iloc[0]), summarise(values)
    axes.bar(place, summary.median, 0.62, color=colour(strategy), hatch=hatch(strategy), edgecolor="white", linewidth=0.4)
    look: dict[str, Any] = {"color": "#000000", "marker": marker(strategy), "linestyle": "none"}
    axes.plot([place] * len(values), values, **look, markersize=2.5, markeredgewidth=0, zorder=3)
    axes.plot([place], [summary.median], **look, markerfacecolor="none", markersize=6.5, markeredgewidth=1, zorder=3)
    if reach := interval_reach(summary):
        axes.errorbar([place], [summary.median], yerr=reach, color="#000000", linewidth=0.8, capsize=2)
    if panel.column == "replication_s":
        for column, style in (("least_s", LEAST), ("alone_s", ALONE)):
            for bound in rows[column].dropna().unique():
                axes.plot([place - 0.42, place + 0.42], [bound, bound], **style, zorder=4)


def _caption(work: Work, rows: pd.DataFrame) -> list[str]:
    energy = "energy is " + work.kind if work.kind != "none" else "no energy was asked for"
    lines = [
        f"Sending the weights from rank 0 to all other ranks before training, with the bytes that arrived there: {work.name}; "
        f"{energy}."
    ]
    if rows["least_s"].notna().any():
        lines.append(
            "Lines across the bars: the bytes over the rate of rank 0's link if each byte leaves it once for all n - 1 other "
            "ranks (least), and if each leaves it once for every rank that it reaches (dotted)."
        )
    if unknown := list(dict.fromkeys(rows[rows["least_s"].isna()]["label"])):
        lines.append(f"No bound where links are not known or ranks share a host: {', '.join(unknown)}.")
    comparisons = list(_as_much(rows))
    lines += comparisons if len(comparisons) <= MOST_SENTENCES else ["The table has how many samples and steps cost as much."]
    if work.kind != "none" and (missing := list(dict.fromkeys(rows[rows["replication_J"].isna()]["label"]))):
        lines.append(f"No reading covers it, so its energy is not known: {', '.join(missing)}.")
    return [*lines, repeats_note([len(repeats) for _, repeats in rows.groupby("label")])]


def _as_much(rows: pd.DataFrame) -> Iterator[str]:
    """How much training costs as much, by medians."""
    for label, repeats in rows.groupby("label", sort=False):
        seconds, step, batch = repeats["replication_s"].median(), repeats["step_s"].median(), repeats["batch"].iloc[0]
        text = f"{label}: {seconds:.3g} s, as long as {seconds / step:.3g} steps"
        joules = repeats[["replication_J", "per_sample_J"]].dropna().astype(float)
        if not joules.empty:
            total, sample = joules["replication_J"].median(), joules["per_sample_J"].median()
            text += (
                f"; {total:.3g} J, as much as {total / sample:.3g} samples or {total / sample / batch:.3g} steps of training "
                f"at {sample:.3g} J per sample"
            )
        yield f"{text}."
