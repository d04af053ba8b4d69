"""Throughput and energy over the number of ranks, with what bounds them (``analysis/statistics/scaling_bounds.py``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from analysis.plotting.captions import left_out, ranks_label, repeats_note
from analysis.plotting.figure_registry import report_figure
from analysis.plotting.figure_style import DrawnFigure, drawing, energy_label, legend_above, line_styles, new_figure, slug
from analysis.plotting.log_axes import log_axis, plain_number
from analysis.plotting.page_layouts import Layout
from analysis.plotting.scaling_lines import base_sentences, draw_line, following_sentences, line_handles
from analysis.statistics.scaling_bounds import COLUMNS, Line, communication_s, lawful, levels_of, lines_of, portions
from analysis.study.comparability import Work, works
from analysis.study.study import Study
from analysis.study.sweeps import Sweep

MOST_LINES = 5
"""Lines that one panel can hold with their bounds."""
IDEAL: dict[str, Any] = {"color": "#555555", "linestyle": "--", "linewidth": 0.9, "zorder": 1}
LAW: dict[str, Any] = {"color": "#222222", "linestyle": ":", "linewidth": 1.2, "zorder": 2.5}
BOUND: dict[str, Any] = {"linestyle": "-.", "linewidth": 0.9, "zorder": 1}


@report_figure("scaling", section="Scaling", order=40)
def draw(study: Study, layout: Layout) -> list[DrawnFigure]:
    """A figure for each work in which the number of ranks varies while the class of boards does not (``participants``).

    Args:
        study: The study, of which good records are drawn.
        layout: The widths of column and page, inches, and the style.

    Returns:
        The figures; empty where the number of ranks does not vary.
    """
    figures = []
    floors_s = {record.point.name: communication_s(record) for record in study.good}
    for work in works(study.points):
        lines, swept = lines_of(work.points)
        same = [line for line in lines if line.all["boards"].nunique() == 1]
        for part, chosen in portions(same, MOST_LINES):
            levels = [levels_of(line, floors_s) for line in chosen]
            figures.append(
                _draw(study, work, chosen, levels, swept, f"scaling_{slug(f'{work.kind} {work.name}')}{part}", layout)
            )
    return figures


def _draw(
    study: Study, work: Work, lines: list[Line], levels: list[pd.DataFrame], swept: Sweep, name: str, layout: Layout
) -> DrawnFigure:
    energy = work.kind != "none"
    with drawing(layout):
        rows = 2 if energy else 1
        figure, panels = new_figure(layout, 1.1 + 1.85 * rows, nrows=rows, sharex=True, squeeze=False)
        _throughput(panels[0, 0], lines, levels)
        if energy:
            _energy(panels[1, 0], lines, levels, work.kind)
        _ranks_axis(panels[-1, 0], sorted({int(n) for level in levels for n in level["ranks"]}))
        panels[-1, 0].set_xlabel(ranks_label(study))
        figure.align_ylabels()
        legend_above(figure, *_legend(lines, levels, energy))
    columns = ["strategy", "ranks", "batch", "repeat", *COLUMNS[: 2 if energy else 1]]
    tables = [
        line.all[columns].merge(level, on="ranks").assign(line=line.label) for line, level in zip(lines, levels, strict=True)
    ]
    data = pd.concat(tables, ignore_index=True)
    data = data if energy else data[[column for column in data if not column.endswith("_J")]]
    caption = _caption(work, lines, levels, swept, panels[0, 0].get_ylim()[1]) + left_out(study)
    points = tuple(dict.fromkeys(point for line in lines for point in line.all["point"]))
    return DrawnFigure(name, f"Scaling of {work.name}", caption, figure, data, points)


def _throughput(axes: Axes, lines: Sequence[Line], levels: Sequence[pd.DataFrame]) -> None:
    for line, level, style in zip(lines, levels, line_styles([line.strategy for line in lines]), strict=True):
        draw_line(axes, line.all, level, "ranks", "samples_per_s", style)
        axes.plot(level["ranks"], level["ideal_samples_per_s"], **IDEAL)
        share = line.serial_share
        if lawful(share):
            ranks = np.geomspace(1, level["ranks"].max(), 40)
            axes.plot(ranks, line.ideal_rate / (share + (1 - share) / ranks), **LAW)
        axes.plot(level["ranks"], level["communication_samples_per_s"], **BOUND, color=style["color"], marker="_", markersize=7)
    rates = pd.concat([*(line.all["samples_per_s"] for line in lines), *(level["ideal_samples_per_s"] for level in levels)])
    log_axis(axes, "y", rates.min() / 1.2, rates.max() * 1.2)
    axes.set_ylabel("Throughput (samples/s)")


def _energy(axes: Axes, lines: Sequence[Line], levels: Sequence[pd.DataFrame], kind: str) -> None:
    for line, level, style in zip(lines, levels, line_styles([line.strategy for line in lines]), strict=True):
        draw_line(axes, line.all, level, "ranks", "per_sample_J", style)
        many = level[level["ranks"] > 1]
        axes.plot(many["ranks"], many["bound_per_sample_J"], **BOUND, color=style["color"], marker="_", markersize=7)
    axes.set_ylim(0, 1.12 * max(line.all["per_sample_J"].max() for line in lines))
    axes.set_ylabel(energy_label(kind))


def _ranks_axis(axes: Axes, ranks: list[int]) -> None:
    """Doubling is the same distance everywhere; ticks at whole numbers, at powers of two where there are many."""
    ticks = ranks if len(ranks) <= 6 else [n for n in ranks if n & (n - 1) == 0]
    axes.set_xscale("log", base=2)
    axes.set_xlim(ranks[0] / 1.15, ranks[-1] * 1.15)
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_major_formatter(FixedFormatter([str(n) for n in ticks]))
    axes.xaxis.set_minor_locator(NullLocator())


def _legend(lines: Sequence[Line], levels: Sequence[pd.DataFrame], energy: bool) -> tuple[list[Line2D], list[str]]:
    handles = line_handles(lines, levels)
    shown = pd.concat(levels)
    if shown["ideal_samples_per_s"].notna().any():
        handles["ideal"] = Line2D([], [], **IDEAL)
    if shown["amdahl_samples_per_s"].notna().any():
        handles["Amdahl's law"] = Line2D([], [], **LAW)
    bounds = {"communication": "communication_samples_per_s", **({"energy": "bound_per_sample_J"} if energy else {})}
    names = [name for name, column in bounds.items() if shown[column].notna().any()]
    if names:
        handles[f"bound of {' and '.join(names)}"] = Line2D([], [], **BOUND, color=IDEAL["color"])
    return list(handles.values()), list(handles)


def _caption(work: Work, lines: Sequence[Line], levels: Sequence[pd.DataFrame], swept: Sweep, top: float) -> str:
    weak = {line.weak for line in lines}
    mode = "Weak scaling (the batch follows the ranks)" if weak == {True} else "Strong scaling (the batch stays)"
    sentences = [
        f"{mode if len(weak) == 1 else 'Strong and weak scaling'} of {work.name}: throughput"
        f"{'' if work.kind == 'none' else f' and energy per sample ({work.kind})'} over the number of ranks",
        repeats_note([int(n) for level in levels for n in level["n"]]).rstrip("."),
        *following_sentences(lines, swept),
        *base_sentences(lines, work.kind),
        *_ideal_sentences(lines),
        *_communication_sentences(lines, levels, top),
    ]
    if any(level["bound_per_sample_J"].notna().any() for level in levels):
        sentences.append(
            "Bound of energy: idle power of the boards over the time of a sample, plus the dynamic energy of the base"
        )
    return ". ".join(sentences) + "."


def _ideal_sentences(lines: Sequence[Line]) -> list[str]:
    if all(np.isnan(line.ideal_rate) for line in lines):
        return [] if all(line.base.empty for line in lines) else ["Boards are of several classes, so nothing is ideal for all"]
    sentences = ["Ideal: n times the base"]
    shares = {line.label: share for line in lines if (share := line.serial_share) is not None}
    fits = [f"{share:.3g} for {label}" for label, share in shares.items() if lawful(share)]
    if fits:
        law = "T(n) = T(1) (s + (1 - s)/n) with T(1) of the base, unweighted least squares on the medians"
        sentences.append(f"Amdahl's law, {law}: s = {', '.join(fits)}")
    for label, share in shares.items():
        if not lawful(share):
            why = "slower than the base" if share > 1 else "faster than linear"
            sentences.append(f"The law does not describe {label}, which is {why} (s would be {share:.3g})")
    return sentences


def _communication_sentences(lines: Sequence[Line], levels: Sequence[pd.DataFrame], top: float) -> list[str]:
    columns = [rate_bounds["communication_samples_per_s"].dropna() for rate_bounds in levels]
    bounds = {line.label: column for line, column in zip(lines, columns, strict=True)}
    if all(column.empty for column in columns):
        return ["The network is not known or ranks share boards, so there is no bound of communication"]
    sentences = [
        "Bound of communication: the bytes that all ranks send in a step over the rates of their links together, alone"
    ]
    above = {
        label: plain_number(float(f"{rate_bounds.min():.3g}"))
        for label, rate_bounds in bounds.items()
        if len(rate_bounds) and rate_bounds.min() > top
    }
    if above:
        sentences.append(f"Above the axis: {', '.join(f'{label} (from {rate} samples/s)' for label, rate in above.items())}")
    without = [label for label, rate_bounds in bounds.items() if rate_bounds.empty]
    return [*sentences, f"Not known for {', '.join(without)}"] if without else sentences
