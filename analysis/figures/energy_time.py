"""The headline: energy per sample against samples per second, with the configurations that nothing beats.

On two logarithmic axes equal power (rate times joules per sample) is a line that falls, and equal energy-delay product (joules
per sample over rate) one that rises.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from analysis.plotting.figure_registry import report_figure
from analysis.plotting.figure_style import (
    DrawnFigure,
    colour,
    drawing,
    energy_label,
    legend_above,
    legend_lines,
    marker,
    needs_page,
    new_figure,
)
from analysis.plotting.log_axes import log_axis, plain_number
from analysis.plotting.marker_labels import MarkerSigns, marker_signs, place_signs
from analysis.plotting.page_layouts import Layout
from analysis.plotting.row_figures import StudyPart, study_parts
from analysis.statistics.repeat_summary import Summary, by_configuration, interval_note, pareto_front
from analysis.study.energy_words import energy_words
from analysis.study.study import Study

LEAST_PAD, ALONE_PAD = 1.02, 1.15
FAINT = {"color": "#b0b0b0", "linewidth": 0.7, "zorder": 0.5, "marker": ""}
POWER, EDP = {**FAINT, "linestyle": ":"}, {**FAINT, "linestyle": "-."}
MOST_LINES = 3


@report_figure("energy_time", section="Trade-off", order=10)
def draw(study: Study, layout: Layout) -> list[DrawnFigure]:
    """One figure for each kind of energy and each work: they are never put together.

    Args:
        study: The study, of which good records are drawn.
        layout: The widths of column and page, inches, and the style.

    Returns:
        The figures; empty without energy.
    """
    return [_draw(part, layout) for part in study_parts(study, named_kind=True) if part.kind != "none"]


@dataclass(frozen=True)
class ConfigurationSpot:
    """Where a configuration lies."""

    label: str
    strategy: str
    rate: Summary
    cost: Summary
    rows: pd.DataFrame


def _draw(part: StudyPart, layout: Layout) -> DrawnFigure:
    frame = part.points
    rate, cost = by_configuration(frame, "samples_per_s"), by_configuration(frame, "per_sample_J")
    spots = [
        ConfigurationSpot(label, part.strategies[label], rate[label], cost[label], frame[frame["label"] == label])
        for label in rate
    ]
    front = [spots[i] for i in pareto_front([(spot.rate.median, spot.cost.median) for spot in spots])]
    tags = marker_signs([(part.names[spot.label], spot.strategy) for spot in spots])
    figure, untold = _figure(part, spots, front, tags, layout)
    caption = (
        f"{part.lead}Energy per sample against throughput, both axes logarithmic; energy is {energy_words(frame)}. "
        f"{_sentence(interval_note([spot.rate.n for spot in spots]))} {tags.note}"
        f"What lies above and left of the dashed line is beaten in both; nothing beats {_named(front, part)}. "
        "Faint lines have equal power (dotted, in W) or equal energy-delay product of a sample (dash-dotted, in J s)."
    )
    if untold:
        named = ", ".join(part.names[spots[i].label] for i in untold)
        caption += f" No room for a sign beside {len(untold)} of them: {named}."
    columns = ["label", "strategy", "ranks", "repeat", "samples_per_s", "per_sample_J", "power_W", "edp_Js", "kind"]
    data = frame[columns].copy()
    data["on_pareto_front"] = data["label"].isin([spot.label for spot in front])
    name = f"energy_time_{part.kind}{part.ending}"
    return DrawnFigure(name, "Energy against time", caption, figure, data, part.point_names())


def _figure(
    part: StudyPart,
    spots: list[ConfigurationSpot],
    front: list[ConfigurationSpot],
    tags: MarkerSigns,
    layout: Layout,
) -> tuple[Figure, list[int]]:
    """The figure, and the indices of the spots that had no room for a sign."""
    frame, page = part.points, needs_page(len(spots), layout)
    with drawing(layout):
        handles = _legend(spots, part, bool(tags.texts)) + tags.key()
        labels = [str(handle.get_label()) for handle in handles]
        above = 0.17 * legend_lines(labels, layout.page_in if page else layout.column_in)
        figure, axes = new_figure(layout, above + (3.3 if page else 2.8), page=page)
        for name, column in (("x", "samples_per_s"), ("y", "per_sample_J")):
            low, high = frame[column].min(), frame[column].max()
            pad = max(LEAST_PAD, (high / low) ** 0.15) if high > low else ALONE_PAD
            log_axis(axes, name, low / pad, high * pad)
        axes.grid(visible=False)  # the lines of equal power and product are one
        small = len(spots) > 8
        for spot in spots:
            _show(axes, spot, small)
        _staircase(axes, [(spot.rate.median, spot.cost.median) for spot in front])
        axes.set_xlabel("Throughput (samples/s)")
        axes.set_ylabel(energy_label(part.kind))
        legend_above(figure, handles, labels)
        _iso_lines(axes)
        untold = place_signs(axes, [_covered(spot) for spot in spots], tags.texts)
    return figure, untold


def _sentence(text: str) -> str:
    return (text if text.startswith("n = ") else text[0].upper() + text[1:]) + "."


def _named(front: list[ConfigurationSpot], part: StudyPart) -> str:
    return ", ".join(part.names[spot.label] for spot in front)


def _show(axes: Axes, spot: ConfigurationSpot, small: bool) -> None:
    style: dict[str, Any] = {"color": colour(spot.strategy), "marker": marker(spot.strategy), "linestyle": "none"}
    axes.plot(spot.rows["samples_per_s"], spot.rows["per_sample_J"], **style, markersize=2.5, markeredgewidth=0, zorder=3)
    rate, cost = spot.rate, spot.cost
    if rate.low is not None and rate.high is not None and cost.low is not None and cost.high is not None:
        axes.errorbar(
            [rate.median],
            [cost.median],
            xerr=[[rate.median - rate.low], [rate.high - rate.median]],
            yerr=[[cost.median - cost.low], [cost.high - cost.median]],
            color=colour(spot.strategy),
            linewidth=0.8,
            capsize=2,
        )
    # The median is an open marker around its repeats, which lie close together on a quiet machine.
    axes.plot([rate.median], [cost.median], **style, **_open(small))


def _covered(spot: ConfigurationSpot) -> list[tuple[float, float]]:
    """Its median, then everything else that is drawn of it."""
    places = [(spot.rate.median, spot.cost.median)]
    places += list(zip(spot.rows["samples_per_s"], spot.rows["per_sample_J"], strict=True))
    if spot.rate.low is not None and spot.rate.high is not None and spot.cost.low is not None and spot.cost.high is not None:
        for share in (0.0, 0.25, 0.75, 1.0):
            places.append((spot.rate.low + share * (spot.rate.high - spot.rate.low), spot.cost.median))
            places.append((spot.rate.median, spot.cost.low + share * (spot.cost.high - spot.cost.low)))
    return places


def _open(small: bool) -> dict[str, Any]:
    return {"markerfacecolor": "none", "markersize": 6 if small else 8, "markeredgewidth": 0.9 if small else 1.1}


def _legend(spots: list[ConfigurationSpot], part: StudyPart, tagged: bool) -> list[Line2D]:
    """By strategy, or by configuration where each strategy has one."""
    names = {spot.strategy: spot.strategy if tagged else part.names[spot.label] for spot in spots}
    return [
        Line2D([], [], color=colour(s), marker=marker(s), linestyle="none", label=name, **_open(len(spots) > 8))
        for s, name in names.items()
    ]


def _staircase(axes: Axes, front: list[tuple[float, float]]) -> None:
    """The border of what is beaten: along a point's energy up to its rate, then up to the energy of the next."""
    steps = sorted(front)
    rates = [axes.get_xlim()[0], *(rate for rate, _ in steps for _ in range(2))]
    costs = [cost for _, cost in steps for _ in range(2)]
    axes.plot(rates, [*costs, axes.get_ylim()[1]], color="#555555", linestyle="--", linewidth=0.8, zorder=1)


def _iso_lines(axes: Axes) -> None:
    """A few lines of equal power and of equal energy-delay product, each named where it leaves the axes.

    Those whose names would touch another's are left out.
    """
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    named_lines = []
    for watts in _round_values(left * top, right * top):
        line = axes.plot([watts / top, right], [top, watts / right], **POWER, scalex=False, scaley=False)
        named_lines.append((line, _name_line(axes, _with_unit(watts, "W"), (watts / top, 1.0), False)))
    for joule_seconds in _round_values(bottom / right, top / left):
        line = axes.plot([left, right], [left * joule_seconds, right * joule_seconds], **EDP, scalex=False, scaley=False)
        through = joule_seconds * right <= top
        end = (1.0, joule_seconds * right) if through else (top / joule_seconds, 1.0)
        named_lines.append((line, _name_line(axes, _with_unit(joule_seconds, "J s"), end, through)))
    figure: Any = axes.figure
    figure.draw_without_rendering()
    boxes: list[Any] = []
    for line, name in named_lines:
        box = name.get_window_extent().padded(4)
        if any(box.overlaps(earlier) for earlier in boxes) or box.x1 > figure.bbox.x1:
            for artist in (*line, name):
                artist.remove()
        else:
            boxes.append(box)


def _round_values(low: float, high: float) -> list[float]:
    """At most a few round numbers between, evenly chosen, not at the very ends."""
    low, high = low * (high / low) ** 0.06, high / (high / low) ** 0.06
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    values: list[float] = []
    for steps in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7), (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8)):
        finer = [step * 10.0**decade for decade in decades for step in steps if low <= step * 10.0**decade <= high]
        if len(finer) > MOST_LINES and len(values) > 1:
            break
        values = finer
        if len(values) >= MOST_LINES:
            break
    if not values:  # a narrow range: evenly apart is as good
        values = [float(value) for value in MaxNLocator(MOST_LINES).tick_values(low, high) if low <= value <= high]
    return values[:: max(1, math.ceil(len(values) / MOST_LINES))]


def _name_line(axes: Axes, text: str, end: tuple[float, float], right: bool) -> Any:
    """The name beyond the right edge, or above the upper one."""
    look: dict[str, Any] = {"textcoords": "offset points", "color": "#666666", "annotation_clip": False}
    if right:
        return axes.annotate(text, end, xycoords=axes.get_yaxis_transform(), xytext=(3, 0), ha="left", va="center", **look)
    return axes.annotate(text, end, xycoords=axes.get_xaxis_transform(), xytext=(0, 2), ha="center", va="bottom", **look)


def _with_unit(value: float, unit: str) -> str:
    if unit == "J s" and value < 0.01:
        return f"{plain_number(value * 1e3)} mJ s" if value >= 1e-5 else f"{plain_number(value * 1e6)} µJ s"
    return f"{plain_number(value)} {unit}"
