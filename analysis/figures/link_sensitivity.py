"""From which link on does a strategy pay? Time and energy over the rate and the delay of the links, and where lines cross."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib import rcParams
from matplotlib.axes import Axes

from analysis.plotting.captions import following, in_setting, sentences, spread_note
from analysis.plotting.figure_registry import report_figure
from analysis.plotting.figure_style import DrawnFigure, drawing, energy_label, legend_above, slug
from analysis.plotting.line_crossings import AxisScale, LineCrossing, lettered, line_crossings
from analysis.plotting.log_axes import log_axis
from analysis.plotting.name_placement import NamePlacer
from analysis.plotting.page_layouts import Layout
from analysis.plotting.sweep_lines import draw_lines, leading_factor, legend_of, level_ticks, lines_by_figure, panel_figure
from analysis.plotting.sweep_panels import Panel, sweep_table
from analysis.study.comparability import Work, works
from analysis.study.energy_words import energy_words
from analysis.study.study import Study
from analysis.study.sweeps import Series, Sweep, sweep, varied

RATE, DELAY = "link_rate_bit_s", "link_delay_s"
FIRST = ("ranks", "hosts", RATE, DELAY)
"""With other hosts come other links: that is no sweep of links. Rate and delay that change together are one sweep."""
UNITS = {RATE: ((1e9, "Gbit/s"), (1e6, "Mbit/s"), (1e3, "kbit/s")), DELAY: ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))}
TITLES = {RATE: "Rate of the slowest link", DELAY: "Delay of the slowest link, one way"}
CROSSING: dict[str, Any] = {"marker": "*", "markersize": 8, "color": "#000000", "linestyle": "none", "markeredgewidth": 0}


@report_figure("links", section="Network", order=70)
def draw(study: Study, layout: Layout) -> list[DrawnFigure]:
    """A figure for each work and for rate and delay, where they are varied.

    Args:
        study: The study, of which good records are drawn.
        layout: The widths of column and page, inches, and the style.

    Returns:
        The figures; empty where neither of them varies.
    """
    points, link_source = _with_delays(study), _how_known(study)
    figures = []
    for work in works(points):
        several = varied(work.points)
        for x in (name for name in (RATE, DELAY) if name in several):
            if not leading_factor(work.points, x, FIRST):
                swept = sweep(work.points, x)
                figures += [
                    _figure(work, swept, series, setting, link_source, layout) for setting, series in lines_by_figure(swept)
                ]
    return figures


def _figure(
    work: Work, swept: Sweep, series: tuple[Series, ...], setting: str, link_source: str, layout: Layout
) -> DrawnFigure:
    rows = pd.concat([line.points for line in series])
    levels = sorted(rows[swept.x].unique())
    scale, panels, names = _axis_scale(swept.x, levels), _panels(rows, work.kind), _link_names(rows, swept.x)
    crossings = lettered([line_crossing for panel in panels for line_crossing in line_crossings(series, swept, panel, scale)])
    with drawing(layout):
        figure, axes, lowest = panel_figure(layout, len(panels), series, 0.7 if names else 0)
        for panel_axes, panel in zip(axes, panels, strict=True):
            draw_lines(panel_axes, series, swept.x, panel.column, 1 / scale.size)
            _value_axis(panel_axes, panel, rows[panel.column].dropna().tolist())
            _mark(panel_axes, [crossing for crossing in crossings if crossing.panel == panel and crossing.letter], scale)
        for panel_axes in lowest:
            _level_axis(panel_axes, scale, levels)
        handles, labels = legend_of(axes[0], series)
        if any(crossing.letter for crossing in crossings):
            handles, labels = [*handles, *axes[0].plot([], [], **CROSSING)], [*labels, "crossing"]
        legend_above(figure, handles, labels)
        figure.draw_without_rendering()
        for panel_axes in axes if len(lowest) > 1 else axes[:1]:
            _name_links(panel_axes, {level / scale.size: name for level, name in names.items()})
        figure.draw_without_rendering()
        for panel_axes, panel in zip(axes, panels, strict=True):
            place = NamePlacer(panel_axes)
            for marked in (crossing for crossing in crossings if crossing.panel == panel and crossing.letter):
                place.beside(marked.letter, (marked.place.x / scale.size, marked.place.y))
    data = _table(series, swept, panels, crossings)
    caption = " ".join(_caption(work, swept, series, setting, scale, panels, crossings, link_source))
    quantity = "rate" if swept.x == RATE else "delay"
    name = slug(f"links {quantity} {work.kind} {work.name} {setting}")
    return DrawnFigure(name, f"Time and energy over the {quantity} of the links", caption, figure, data, tuple(rows["point"]))


def _mark(axes: Axes, crossings: Sequence[LineCrossing], scale: AxisScale) -> None:
    """A star where two lines cross, and a dotted line from it to the foot of the panel."""
    for crossing in crossings:
        x, y = crossing.place.x / scale.size, crossing.place.y
        axes.plot([x], [y], **CROSSING, zorder=4)
        axes.vlines(x, axes.get_ylim()[0], y, color="#444444", linestyle=":", linewidth=0.8)


def _panels(rows: pd.DataFrame, kind: str) -> list[Panel]:
    """Steps are compared where all have as many samples."""
    same = rows["batch"].nunique() == 1
    panels = [Panel("step_s", "Time per step (s)") if same else Panel("samples_per_s", "Throughput (samples/s)")]
    return panels if kind == "none" else [*panels, Panel("per_sample_J", energy_label(kind))]


def _axis_scale(x: str, levels: Sequence[float]) -> AxisScale:
    size, unit = next(((s, u) for s, u in UNITS[x] if levels[-1] >= 2 * s), UNITS[x][-1])
    return AxisScale(size, unit, f"{TITLES[x]} ({unit})", levels[0] > 0)


def _with_delays(study: Study) -> pd.DataFrame:
    """The points, where an emulated link without a delay beside others that have one has a delay of zero."""
    points = study.points
    if DELAY not in points or points[DELAY].isna().all():
        return points
    emulated = {
        record.point.name
        for record in study.good
        if record.point.network is not None and record.point.network.kind == "emulated"
    }
    none = points[DELAY].isna() & points["point"].isin(emulated)
    return points.assign(**{DELAY: points[DELAY].astype(float).mask(none, 0.0)})


def _how_known(study: Study) -> str:
    kinds = {record.point.network.kind for record in study.good if record.point.network is not None}
    sources = {"emulated": "links are emulated: shaped to it", "stated": "it is what the inventory states, not measured"}
    return "; ".join(sources[kind] for kind in sorted(kinds))


def _value_axis(axes: Axes, panel: Panel, values: Sequence[float]) -> None:
    axes.set_ylabel(panel.label)
    room = 1.1 * (max(values) / min(values)) ** 0.08
    log_axis(axes, "y", min(values) / room, max(values) * room)


def _level_axis(axes: Axes, scale: AxisScale, levels: Sequence[float]) -> None:
    axes.set_xlabel(scale.label)
    values = [level / scale.size for level in levels]
    if scale.logged:
        room = (values[-1] / values[0]) ** 0.08
        log_axis(axes, "x", values[0] / room, values[-1] * room)
    else:
        level_ticks(axes, values)


def _link_names(rows: pd.DataFrame, x: str) -> dict[float, str]:
    """The names of links by level, where each level has one and no two have the same."""
    if x != RATE:
        return {}
    pairs = rows[[x, "link"]].dropna().drop_duplicates()
    once = ~pairs["link"].duplicated(keep=False) & ~pairs[x].duplicated(keep=False)
    return {float(level): str(name) for level, name in pairs[once].itertuples(index=False)}


def _name_links(axes: Axes, names: Mapping[float, str]) -> None:
    """Upright names above the axes, moved apart where links are about as fast, each with a thin line to its level."""
    if not names:
        return
    box = axes.get_window_extent()
    levels = sorted(names)
    level_places = [(axes.transData.transform((level, 1))[0] - box.x0) / box.width for level in levels]
    line_px = 1.4 * rcParams["xtick.labelsize"] * rcParams["figure.dpi"] / 72
    for level, true_x, place in zip(levels, level_places, spread_out(level_places, line_px / box.width), strict=True):
        axes.plot(
            [true_x, place], [1, 1.05], transform=axes.transAxes, color="#888888", linewidth=0.5, clip_on=False, zorder=0.5
        )
        axes.text(place, 1.07, names[level], rotation=90, ha="center", va="bottom", transform=axes.transAxes)


def spread_out(places: Sequence[float], gap: float) -> list[float]:
    """Rising places at least ``gap`` apart, each group of those that were too close around its middle.

    Args:
        places: Places in rising order.
        gap: The least distance, in the unit of the places.

    Returns:
        The new places, as many and in the same order.
    """
    groups: list[list[float]] = []
    for place in places:
        groups.append([place])
        while len(groups) > 1 and _span(groups[-1], gap)[0] - _span(groups[-2], gap)[1] < gap:
            last = groups.pop()
            groups[-1] += last
    return [_span(group, gap)[0] + gap * index for group in groups for index in range(len(group))]


def _span(group: Sequence[float], gap: float) -> tuple[float, float]:
    middle, half = sum(group) / len(group), gap * (len(group) - 1) / 2
    return middle - half, middle + half


def _table(series: Sequence[Series], swept: Sweep, panels: Sequence[Panel], crossings: Sequence[LineCrossing]) -> pd.DataFrame:
    points = sweep_table(series, swept, [panel.column for panel in panels])
    crossed = [
        {
            "row": "crossing",
            swept.x: crossing.place.x,
            crossing.panel.column: crossing.place.y,
            "letter": crossing.letter,
            "better_below": crossing.below,
            "better_above": crossing.above,
            f"between_{swept.x}": crossing.place.low_x,
            f"and_{swept.x}": crossing.place.high_x,
            "how_sure": crossing.sure,
        }
        for crossing in crossings
    ]
    return (
        pd.concat([points.assign(row="point"), pd.DataFrame(crossed)], ignore_index=True)
        if crossings
        else points.assign(row="point")
    )


def _caption(
    work: Work, swept: Sweep, series: Sequence[Series], setting: str, scale: AxisScale, panels: Sequence[Panel],
    crossings: Sequence[LineCrossing], link_source: str,
) -> list[str]:  # fmt: skip
    title = TITLES[swept.x]
    energy = "no energy was asked for" if work.kind == "none" else f"energy is {energy_words(work.points)}"
    quantities = " and ".join(panel.label.split(" (")[0].lower() for panel in panels)
    over = f"{title.lower()} ({link_source})" if link_source else title.lower()
    lines = [f"{quantities.capitalize()} over the {over}: {work.name}{in_setting(setting)}; {energy}."]
    lines += [_sentence(crossing, scale) for crossing in crossings if crossing.letter]
    for panel in panels:
        of_panel = [crossing for crossing in crossings if crossing.panel == panel]
        quantity = panel.label.split(" (")[0].lower()
        if not of_panel and len(series) > 1:
            lines.append(f"No two lines cross in {quantity} between the measured levels.")
        if rest := sum(not crossing.letter for crossing in of_panel):
            lines.append(f"{rest} more crossings in {quantity}, of lines that others beat there, are in the table only.")
    if crossings:
        way = "log-log axes" if scale.logged else "logarithms of the values"
        lines.append(f"Crossings are interpolated between two measured levels on {way}, never beyond them.")
    lines += sentences([line for line in following(series, swept) if not line.startswith("link ")])
    return [*lines, spread_note(series, swept.x)]


def _sentence(crossing: LineCrossing, scale: AxisScale) -> str:
    quantity, unit = crossing.panel.label.split(" (")[0].lower(), crossing.panel.label.split("(")[1].split(")")[0]
    where = (
        f"between {scale.text(crossing.place.low_x)} and {scale.text(crossing.place.high_x)}"
        if crossing.place.low_x < crossing.place.high_x
        else "where both are equal"
    )
    return (
        f"{crossing.letter}, {quantity}: below {scale.text(crossing.place.x)} {crossing.below} is better, above "
        f"{crossing.above} ({crossing.place.y:.3g} {unit} at the crossing, {where}; {crossing.sure})."
    )
