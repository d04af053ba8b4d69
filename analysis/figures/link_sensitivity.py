"""From which link on does a strategy pay? Time and energy over the rate and the delay of the links, and where lines cross."""

from __future__ import annotations

import itertools
import string
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
from matplotlib import rcParams
from matplotlib.axes import Axes

from analysis.plotting.captions import following, in_setting, sentences, spread_note
from analysis.plotting.figure_registry import report_figure
from analysis.plotting.figure_style import Drawn, drawing, energy_label, legend_above, log_axis, slug
from analysis.plotting.name_placement import NamePlacer
from analysis.plotting.page_layouts import Layout
from analysis.plotting.sweep_lines import at_levels, draw_lines, led, legend_of, level_ticks, panel_figure, parts
from analysis.plotting.sweep_panels import Panel, sweep_table
from analysis.statistics.crossing_points import Crossing, crossings, how_sure
from analysis.statistics.repeat_summary import Summary
from analysis.study.comparability import Work, works
from analysis.study.configuration_labels import plain
from analysis.study.study import Study
from analysis.study.sweeps import Series, Sweep, factors, short_labels, sweep, varied

RATE, DELAY = "link_rate_bit_s", "link_delay_s"
FIRST = ("ranks", "hosts", RATE, DELAY)
"""With other hosts come other links: that is no sweep of links. Rate and delay that change together are one sweep."""
UNITS = {RATE: ((1e9, "Gbit/s"), (1e6, "Mbit/s"), (1e3, "kbit/s")), DELAY: ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))}
TITLES = {RATE: "Rate of the slowest link", DELAY: "Delay of the slowest link, one way"}
RATES = ("samples_per_s",)
"""Panels in which more is better."""
MOST_MARKS = 8
CROSSING: dict[str, Any] = {"marker": "*", "markersize": 8, "color": "#000000", "linestyle": "none", "markeredgewidth": 0}


@dataclass(frozen=True)
class Shown:
    """How the swept factor is shown: values divided by ``size`` are in ``unit``; ``logged`` unless it begins at zero."""

    size: float
    unit: str
    label: str
    logged: bool

    def text(self, value: float) -> str:
        """A level with its unit: ``100 Mbit/s``."""
        number = value / self.size
        return f"{number:.0f} {self.unit}" if number >= 1000 else f"{number:.3g} {self.unit}"


@dataclass(frozen=True)
class Meeting:
    """Two lines that cross in a panel.

    Attributes:
        panel: The panel.
        crossing: Where they cross.
        below: The label of the better line below the crossing.
        above: The label of the better line above it.
        sure: How sure it is, in words.
        best: Whether no other line is better there than both.
        letter: Its letter in the figure and in the caption; empty where it is in the table only.
    """

    panel: Panel
    crossing: Crossing
    below: str
    above: str
    sure: str
    best: bool
    letter: str = ""


@report_figure("links", section="Network", order=70)
def draw(study: Study, layout: Layout) -> list[Drawn]:
    """A figure for each work and for rate and delay, where they are varied."""
    points, link_source = _with_delays(study), _how_known(study)
    figures = []
    for work in works(points):
        several = varied(work.points)
        for x in (name for name in (RATE, DELAY) if name in several):
            if not led(work.points, x, FIRST):
                swept = sweep(work.points, x)
                figures += [_figure(work, swept, series, setting, link_source, layout) for setting, series in parts(swept)]
    return figures


def _figure(work: Work, swept: Sweep, series: tuple[Series, ...], setting: str, link_source: str, layout: Layout) -> Drawn:
    rows = pd.concat([line.points for line in series])
    levels = sorted(rows[swept.x].unique())
    shown, panels, names = _shown(swept.x, levels), _panels(rows, work.kind), _link_names(rows, swept.x)
    met = _lettered([own for panel in panels for own in sorted(_meetings(series, swept, panel, shown), key=_where)])
    with drawing(layout):
        figure, axes, lowest = panel_figure(layout, len(panels), series, 0.7 if names else 0)
        for own, panel in zip(axes, panels, strict=True):
            draw_lines(own, series, swept.x, panel.column, 1 / shown.size)
            _value_axis(own, panel, rows[panel.column].dropna().tolist())
            for found in (m for m in met if m.panel == panel and m.letter):
                own.plot([found.crossing.x / shown.size], [found.crossing.y], **CROSSING, zorder=4)
                own.vlines(
                    found.crossing.x / shown.size,
                    own.get_ylim()[0],
                    found.crossing.y,
                    color="#444444",
                    linestyle=":",
                    linewidth=0.8,
                )
        for own in lowest:
            _level_axis(own, shown, levels)
        handles, labels = legend_of(axes[0], series)
        if any(m.letter for m in met):
            handles, labels = [*handles, *axes[0].plot([], [], **CROSSING)], [*labels, "crossing"]
        legend_above(figure, handles, labels)
        figure.draw_without_rendering()
        for own in axes if len(lowest) > 1 else axes[:1]:
            _name_links(own, {level / shown.size: name for level, name in names.items()})
        figure.draw_without_rendering()
        for own, panel in zip(axes, panels, strict=True):
            place = NamePlacer(own)
            for found in (m for m in met if m.panel == panel and m.letter):
                place.beside(found.letter, (found.crossing.x / shown.size, found.crossing.y))
    data = _table(series, swept, panels, met)
    caption = " ".join(_caption(work, swept, series, setting, shown, panels, met, link_source))
    quantity = "rate" if swept.x == RATE else "delay"
    name = slug(f"links {quantity} {work.kind} {work.name} {setting}")
    return Drawn(name, f"Time and energy over the {quantity} of the links", caption, figure, data, tuple(rows["point"]))


def _panels(rows: pd.DataFrame, kind: str) -> list[Panel]:
    """Steps are compared where all have as many samples."""
    same = rows["batch"].nunique() == 1
    panels = [Panel("step_s", "Time per step (s)") if same else Panel("samples_per_s", "Throughput (samples/s)")]
    return panels if kind == "none" else [*panels, Panel("per_sample_J", energy_label(kind))]


def _shown(x: str, levels: Sequence[float]) -> Shown:
    size, unit = next(((s, u) for s, u in UNITS[x] if levels[-1] >= 2 * s), UNITS[x][-1])
    return Shown(size, unit, f"{TITLES[x]} ({unit})", levels[0] > 0)


def _with_delays(study: Study) -> pd.DataFrame:
    """The points, where an emulated link without a delay beside others that have one has a delay of zero."""
    points = study.points
    if DELAY not in points or points[DELAY].isna().all():
        return points
    emulated = {r["point"]["name"] for r in study.good if (r["point"].get("network") or {}).get("kind") == "emulated"}
    none = points[DELAY].isna() & points["point"].isin(emulated)
    return points.assign(**{DELAY: points[DELAY].astype(float).mask(none, 0.0)})


def _how_known(study: Study) -> str:
    kinds = {r["point"]["network"]["kind"] for r in study.good if r["point"].get("network")}
    sources = {"emulated": "links are emulated: shaped to it", "stated": "it is what the inventory states, not measured"}
    return "; ".join(sources[kind] for kind in sorted(kinds))


def _meetings(series: Sequence[Series], swept: Sweep, panel: Panel, shown: Shown) -> Iterator[Meeting]:
    """The crossings of lines that differ in strategy and its options, not in circumstances."""
    lines = [at_levels(line, swept.x, panel.column) for line in series]
    labels = short_labels(series)
    for i, j in itertools.combinations(range(len(series)), 2):
        if not _comparable(series[i], series[j], swept):
            continue
        x = sorted(set(lines[i]) & set(lines[j]))
        first_summaries, second_summaries = ([line[level] for level in x] for line in (lines[i], lines[j]))
        for crossing in crossings(x, [s.median for s in first_summaries], [s.median for s in second_summaries], shown.logged):
            first = crossing.one_below == (panel.column not in RATES)
            below, above = (labels[i], labels[j]) if first else (labels[j], labels[i])
            sure = how_sure(x, first_summaries, second_summaries, crossing, shown.text, shown.logged)
            yield Meeting(panel, crossing, below, above, sure, _best(crossing, lines, panel))


def _comparable(first: Series, second: Series, swept: Sweep) -> bool:
    circumstances = [name for name in factors(first.points) if not name.startswith(("option.", "mesh.")) and name != "strategy"]
    fixed = [name for name in circumstances if name not in (swept.x, *swept.follow)]
    a, b = first.points.iloc[0], second.points.iloc[0]
    return all(plain(a[name]) == plain(b[name]) for name in fixed)


def _best(cross: Crossing, lines: Sequence[Mapping[float, Summary]], panel: Panel) -> bool:
    """Whether no line is better at the levels around the crossing than both that cross there."""
    sign = -1 if panel.column in RATES else 1
    around = [line for line in lines if cross.low_x in line and cross.high_x in line]
    return all(max(sign * line[level].median for level in (cross.low_x, cross.high_x)) >= sign * cross.y for line in around)


def _where(met: Meeting) -> float:
    return met.crossing.x


def _lettered(met: Sequence[Meeting]) -> list[Meeting]:
    """Letters for the crossings of each panel; where they are too many, for those at which the best line changes."""
    crowded = {m.panel for m in met if sum(meeting.panel == m.panel for meeting in met) > MOST_MARKS}
    letters = iter(string.ascii_uppercase)
    return [replace(m, letter=next(letters)) if m.best or m.panel not in crowded else m for m in met]


def _value_axis(axes: Axes, panel: Panel, values: Sequence[float]) -> None:
    axes.set_ylabel(panel.label)
    room = 1.1 * (max(values) / min(values)) ** 0.08
    log_axis(axes, "y", min(values) / room, max(values) * room)


def _level_axis(axes: Axes, shown: Shown, levels: Sequence[float]) -> None:
    axes.set_xlabel(shown.label)
    values = [level / shown.size for level in levels]
    if shown.logged:
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
    """Rising places at least ``gap`` apart, each group of those that were too close around its middle."""
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


def _table(series: Sequence[Series], swept: Sweep, panels: Sequence[Panel], met: Sequence[Meeting]) -> pd.DataFrame:
    points = sweep_table(series, swept, [panel.column for panel in panels])
    crossed = [
        {
            "row": "crossing",
            swept.x: m.crossing.x,
            m.panel.column: m.crossing.y,
            "letter": m.letter,
            "better_below": m.below,
            "better_above": m.above,
            f"between_{swept.x}": m.crossing.low_x,
            f"and_{swept.x}": m.crossing.high_x,
            "how_sure": m.sure,
        }
        for m in met
    ]
    return (
        pd.concat([points.assign(row="point"), pd.DataFrame(crossed)], ignore_index=True) if met else points.assign(row="point")
    )


def _caption(
    work: Work, swept: Sweep, series: Sequence[Series], setting: str, shown: Shown, panels: Sequence[Panel],
    met: Sequence[Meeting], link_source: str,
) -> list[str]:  # fmt: skip
    title = TITLES[swept.x]
    energy = "no energy was asked for" if work.kind == "none" else f"energy is {work.kind}"
    quantities = " and ".join(panel.label.split(" (")[0].lower() for panel in panels)
    over = f"{title.lower()} ({link_source})" if link_source else title.lower()
    lines = [f"{quantities.capitalize()} over the {over}: {work.name}{in_setting(setting)}; {energy}."]
    lines += [_sentence(m, shown) for m in met if m.letter]
    for panel in panels:
        panel_meetings = [m for m in met if m.panel == panel]
        quantity = panel.label.split(" (")[0].lower()
        if not panel_meetings and len(series) > 1:
            lines.append(f"No two lines cross in {quantity} between the measured levels.")
        if rest := sum(not m.letter for m in panel_meetings):
            lines.append(f"{rest} more crossings in {quantity}, of lines that others beat there, are in the table only.")
    if met:
        way = "log-log axes" if shown.logged else "logarithms of the values"
        lines.append(f"Crossings are interpolated between two measured levels on {way}, never beyond them.")
    lines += sentences([line for line in following(series, swept) if not line.startswith("link ")])
    return [*lines, spread_note(series, swept.x)]


def _sentence(m: Meeting, shown: Shown) -> str:
    quantity, unit = m.panel.label.split(" (")[0].lower(), m.panel.label.split("(")[1].split(")")[0]
    where = (
        f"between {shown.text(m.crossing.low_x)} and {shown.text(m.crossing.high_x)}"
        if m.crossing.low_x < m.crossing.high_x
        else "where both are equal"
    )
    return (
        f"{m.letter}, {quantity}: below {shown.text(m.crossing.x)} {m.below} is better, above {m.above} "
        f"({m.crossing.y:.3g} {unit} at the crossing, {where}; {m.sure})."
    )
