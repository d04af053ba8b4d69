"""Spin or poll, one schedule or another, an even or a planned split: what a choice without an order does to energy and time."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.plotting.captions import in_setting, repeats_note
from analysis.plotting.figure_registry import report_figure
from analysis.plotting.figure_style import (
    MORE_MARKERS,
    DrawnFigure,
    colour,
    drawing,
    energy_label,
    legend_above,
    new_figure,
    slug,
)
from analysis.plotting.page_layouts import IEEE, Layout
from analysis.plotting.sweep_lines import axis_from_zero, interval_reach, leading_factor, lines_by_figure
from analysis.plotting.sweep_panels import CIRCUMSTANCES, TRAINING_NUMBERS, Panel
from analysis.statistics.repeat_summary import Summary, summarise
from analysis.study.comparability import Work, works
from analysis.study.configuration_labels import plain
from analysis.study.energy_words import energy_words
from analysis.study.study import Study
from analysis.study.sweeps import Series, Sweep, short_labels, sweep, varied

SPLIT = "split"
CHOICES = ("device", "dtype", "optimizer", "recompute", "wait", "progress", "cuda", "all_reduce", "bind", SPLIT)
"""Besides the strategies' own options. What follows from an earlier one, or from a number that is swept, is no choice."""
SPLITS = ("option.shares", "option.stages", "option.tensor_shares", "option.sequence_shares", "option.group_shares")
"""Options that say how much each rank gets; null: all get as much."""
UNSET = "unset"
MOST_ROWS = 12
MOST_SENTENCES = 8


@report_figure("choice", section="Sensitivity", order=100)
def draw(study: Study, layout: Layout) -> list[DrawnFigure]:
    """A figure for each work and each choice, where it is varied.

    Args:
        study: The study, of which good records are drawn.
        layout: The widths of column and page, inches, and the style.

    Returns:
        The figures; empty where none of them varies.
    """
    figures = []
    for work in works(study.points):
        points = with_split(work.points)
        several = varied(points)
        options = [name for name in several if name.startswith("option.") and name not in TRAINING_NUMBERS]
        order = (*CIRCUMSTANCES, *TRAINING_NUMBERS, *CHOICES, *options)
        for x in (name for name in (*CHOICES, *options) if name in several):
            if leading_factor(points, x, order):
                continue
            swept = sweep(_with_levels(points, x), x)
            figures += [_figure(work, swept, series, setting, layout) for setting, series in lines_by_figure(swept, MOST_ROWS)]
    return figures


def with_split(points: pd.DataFrame) -> pd.DataFrame:
    """The options of ``SPLITS`` as one factor, ``split``: ``even``, or ``planned``.

    Where one line has several planned ones they are numbered, so that what differs is never pooled.

    Args:
        points: One row for each point (``analysis/study/point_table.py``).

    Returns:
        The rows with the column ``split`` in place of those of ``SPLITS``; as they are where no point has such an option.
    """
    split_options = [name for name in SPLITS if name in points]
    texts = points[split_options].apply(lambda row: " ".join(plain(value) for value in row.dropna()), axis=1)
    if not split_options or not texts.astype(bool).any():
        return points
    rest = points.drop(columns=split_options)
    lines = rest[["strategy", *(n for n in varied(rest) if n != "strategy")]].apply(lambda row: " ".join(map(str, row)), axis=1)
    levels = pd.Series("even", index=points.index)
    for _, same_line in texts[texts != ""].groupby(lines):
        kinds = list(dict.fromkeys(same_line))
        for number, kind in enumerate(kinds, 1):
            levels[same_line.index[same_line == kind]] = "planned" if len(kinds) == 1 else f"planned {number}"
    return rest.assign(**{SPLIT: levels})


def _with_levels(points: pd.DataFrame, x: str) -> pd.DataFrame:
    """``x`` as text. An option that is null is ``unset``, of strategies that have it."""
    if x == SPLIT:
        return points
    having = set(points[points[x].notna()]["strategy"])
    absent = UNSET if x.startswith("option.") else None
    levels = [
        (absent if strategy in having else None) if pd.isna(value) else plain(value)
        for value, strategy in zip(points[x], points["strategy"], strict=True)
    ]
    return points.assign(**{x: pd.Series(levels, index=points.index, dtype=object)})


def _figure(work: Work, swept: Sweep, series: Sequence[Series], setting: str, layout: Layout) -> DrawnFigure:
    rows, labels = pd.concat([line.points for line in series]), short_labels(series)
    levels = sorted(rows[swept.x].unique(), key=_rank)
    same = rows["batch"].nunique() == 1
    panels = [Panel("step_s", "Time per step (s)") if same else Panel("samples_per_s", "Throughput (samples/s)")]
    if work.kind != "none":
        panels.insert(0, Panel("per_sample_J", energy_label(work.kind)))
    with drawing(layout):
        figure, axes = _panels(layout, len(panels), labels)
        for panel_axes, panel in zip(axes, panels, strict=True):
            for place, line in enumerate(series):
                _row(panel_axes, place, line, swept.x, levels, panel.column)
            panel_axes.set_xlabel(panel.label)
            axis_from_zero(panel_axes, rows[panel.column], "x")
        handles = [Line2D([], [], linestyle="none", markerfacecolor="none", markersize=6.5, color="#000000", marker=_marker(i))
                   for i in range(len(levels))]  # fmt: skip
        legend_above(figure, handles, levels, title=_word(swept.x))
    title = "Even against planned split" if swept.x == SPLIT else f"Choice of {_word(swept.x)}"
    caption = " ".join(_caption(work, swept, series, setting, levels, panels))
    data = _table(work, swept, series, labels, panels)
    return DrawnFigure(
        slug(f"choice {_word(swept.x)} {work.kind} {work.name} {setting}"), title, caption, figure, data, tuple(rows["point"])
    )


def _word(x: str) -> str:
    return x.removeprefix("option.").replace("_", " ")


def _rank(level: str) -> tuple[bool, float, str]:
    """Even and unset first, numbers by size, words by letter."""
    try:
        return level not in ("even", UNSET), float(level), level
    except ValueError:
        return level not in ("even", UNSET), 0.0, level


def _marker(index: int) -> str:
    return MORE_MARKERS[index % len(MORE_MARKERS)]


def _panels(layout: Layout, panels: int, labels: Sequence[str]) -> tuple[Figure, list[Axes]]:
    """Beside each other on a page, above each other in a column; the lines from top to bottom."""
    page = layout.column_in > IEEE.column_in or len(labels) > 8 or max(map(len, labels)) > 20
    names = [textwrap.fill(label, 34 if page else 20) for label in labels]
    rows_in = sum(0.2 + 0.14 * (name.count("\n") + 1) for name in names)
    shape: dict[str, Any] = {"ncols": panels, "sharey": True} if page else {"nrows": panels}
    height = rows_in + 1.1 if page else panels * (rows_in + 0.55) + 0.5
    figure, axes = new_figure(layout, height, page, squeeze=False, **shape)
    for panel_axes in axes.flat:
        panel_axes.set_ylim(len(names) - 0.5, -0.5)
        panel_axes.set_yticks(range(len(names)), names)
    return figure, list(axes.flat)


def _row(axes: Axes, place: int, line: Series, x: str, levels: Sequence[str], column: str) -> None:
    """A bar from the smallest median to the largest, and on it each level: repeats, median, interval."""
    summaries = _summaries(line, x, column)
    medians = [summary.median for summary in summaries.values()]
    axes.plot([min(medians), max(medians)], [place, place], color="#cccccc", linewidth=2.5, solid_capstyle="butt", zorder=1)
    for index, level in enumerate(level for level in levels if level in summaries):
        y = place + 0.16 * (index - (len(summaries) - 1) / 2) * min(1, 4 / len(summaries))
        style: dict[str, Any] = {"color": colour(line.strategy), "marker": _marker(levels.index(level)), "linestyle": "none"}
        values = line.points[line.points[x] == level][column]
        axes.plot(values, [y] * len(values), **style, markersize=2.5, markeredgewidth=0, zorder=3)
        axes.plot([summaries[level].median], [y], **style, markerfacecolor="none", markersize=6.5, markeredgewidth=1, zorder=2)
        if reach := interval_reach(summaries[level]):
            axes.errorbar([summaries[level].median], [y], xerr=reach, color=style["color"], linewidth=0.8, capsize=2)


def _summaries(line: Series, x: str, column: str) -> dict[str, Summary]:
    rows = line.points[line.points[column].notna()]
    return {str(level): summarise(repeats[column].tolist()) for level, repeats in rows.groupby(x)}


def _caption(
    work: Work, swept: Sweep, series: Sequence[Series], setting: str, levels: Sequence[str], panels: Sequence[Panel]
) -> list[str]:
    labels = short_labels(series)
    quantities = " and ".join(panel.label.split(" (")[0] for panel in panels).capitalize()
    energy = "no energy was asked for" if work.kind == "none" else f"energy is {energy_words(work.points)}"
    lines = [
        f"{quantities} by {_word(swept.x)} ({', '.join(levels)}): {work.name}{in_setting(setting)}; {energy}. Bars join the "
        "medians of one strategy."
    ]
    ratios = [text for line, label in zip(series, labels, strict=True) for text in _comparisons(line, label, swept.x, panels)]
    lines += ratios if len(ratios) <= MOST_SENTENCES else [f"{len(ratios)} comparisons are in the table."]
    if swept.x == SPLIT:
        lines += list(dict.fromkeys(_numbers(work, series)))
    along = [n for n in swept.follow if any(line.points[n].nunique(dropna=False) > 1 for line in series)]
    if along:
        lines.append(f"What changes with it, by the table: {', '.join(n.removeprefix('option.') for n in along)}.")
    if unnamed := sum(work.points[swept.x].isna()) if swept.x in work.points and not swept.x.startswith("option.") else 0:
        lines.append(f"Left out: {unnamed} points whose records do not name it.")
    counts = [len(repeats) for line in series for _, repeats in line.points.groupby(swept.x)]
    return [*lines, repeats_note(counts)]


def _comparisons(line: Series, label: str, x: str, panels: Sequence[Panel]) -> Iterator[str]:
    """Each level against the first: ratios of medians with what they are ratios of, and whether the repeats overlap."""
    by_panel = {panel: _summaries(line, x, panel.column) for panel in panels}
    base, *others = sorted(by_panel[panels[0]], key=_rank)
    for level in others:
        ratios = []
        for panel, summaries in by_panel.items():
            level_summary, base_summary = summaries[level], summaries[base]
            unit = panel.label.split("(")[1].split(")")[0]
            ratios.append(
                f"{level_summary.median / base_summary.median:.2f} x the {panel.label.split(' (')[0].lower()} "
                f"({level_summary.median:.3g} against {base_summary.median:.3g} {unit}{_caution(level_summary, base_summary)})"
            )
        yield f"{label}: {level} has {' and '.join(ratios)} of {base}."


def _caution(first: Summary, second: Summary) -> str:
    if min(first.n, second.n) == 1:
        return ""
    known = None not in (first.low, first.high, second.low, second.high)
    (a, b), (c, d) = ((s.low, s.high) if known else (s.smallest, s.largest) for s in (first, second))
    assert a is not None
    assert b is not None
    assert c is not None
    assert d is not None
    return f"; {'intervals' if known else 'repeats'} overlap: no difference is shown" if a <= d and c <= b else ""


def _numbers(work: Work, series: Sequence[Series]) -> Iterator[str]:
    """The numbers of planned splits."""
    for line in series:
        for level, repeats in line.points.groupby(SPLIT):
            if level != "even":
                first = work.points.loc[repeats.index[0], [name for name in SPLITS if name in work.points]].dropna()
                numbers = ", ".join(f"{name.removeprefix('option.')}={plain(value)}" for name, value in first.items())
                yield f"{line.strategy}, {level}: {numbers}."


def _table(work: Work, swept: Sweep, series: Sequence[Series], labels: Sequence[str], panels: Sequence[Panel]) -> pd.DataFrame:
    along = [n for n in swept.follow if any(line.points[n].nunique(dropna=False) > 1 for line in series)]
    columns = ["strategy", "repeat", swept.x, *along, *(panel.column for panel in panels), "kind"]
    rows = pd.concat([line.points[columns].assign(line=label) for line, label in zip(series, labels, strict=True)])
    if swept.x == SPLIT:
        rows = rows.join(work.points[[name for name in SPLITS if name in work.points]].dropna(axis=1, how="all"))
    return rows.reset_index(drop=True)
