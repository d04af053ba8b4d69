"""Lines over the number of ranks or boards that begin with the single process: how they are drawn, and their captions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from analysis.plotting.captions import following
from analysis.plotting.figure_style import line_styles
from analysis.statistics.repeat_summary import summarise
from analysis.statistics.scaling_bounds import Line, series_of
from analysis.study.sweeps import LEAST_FOR_LINE, Sweep

OPEN: dict[str, Any] = {"markerfacecolor": "none", "markersize": 6.5, "markeredgewidth": 1}
"""The marker of a median."""


def draw_line(axes: Axes, rows: pd.DataFrame, levels: pd.DataFrame, x: str, column: str, style: dict[str, Any]) -> None:
    """Draw repeats as small markers and their medians as open ones with intervals, joined from three levels on.

    The single process has its own marker.

    Args:
        axes: Where to draw.
        rows: One row for each repeat, with ``strategy``, ``x`` and ``column``.
        levels: Their medians (``scaling_bounds.medians``).
        x: The column of the horizontal axis.
        column: The column of the vertical axis.
        style: Colour and marker (``line_styles``).
    """
    joined = {"color": style["color"], "linestyle": "-" if len(levels) >= LEAST_FOR_LINE else "none"}
    axes.plot(levels[x], levels[f"median_{column}"], **joined, linewidth=1, zorder=2)
    alone = rows["strategy"] == "single"
    for repeats, look in ((rows[alone], line_styles(["single"])[0]), (rows[~alone], style)):
        look = {"color": look["color"], "marker": look["marker"], "linestyle": "none"}
        axes.plot(repeats[x], repeats[column], **look, markersize=2.5, markeredgewidth=0, zorder=3)
        level = levels[levels[x].isin(set(repeats[x]))]
        axes.plot(level[x], level[f"median_{column}"], **look, **OPEN)
        level = level[level[f"low_{column}"].notna()].astype(float)
        below, above = (level[f"median_{column}"] - level[f"low_{column}"], level[f"high_{column}"] - level[f"median_{column}"])
        axes.errorbar(level[x], level[f"median_{column}"], [below, above], color=look["color"], fmt="none", lw=0.8, capsize=2)


def line_handles(lines: Sequence[Line], levels: Sequence[pd.DataFrame]) -> dict[str, Line2D]:
    """Legend entries of what ``draw_line`` draws, the single process first.

    Args:
        lines: The lines.
        levels: The medians at each number of ranks, one frame for each line.

    Returns:
        Name in the legend to its handle, in the order of the legend.
    """
    handles = {}
    if any((line.all["strategy"] == "single").any() for line in lines):
        handles["single"] = Line2D([], [], **{**line_styles(["single"])[0], "linestyle": "none"}, **OPEN)
    for line, medians, style in zip(lines, levels, line_styles([line.strategy for line in lines]), strict=True):
        joined = "-" if len(medians) >= LEAST_FOR_LINE else "none"
        handles[line.label] = Line2D([], [], **{**style, "linestyle": joined}, **OPEN)
    return handles


def following_sentences(lines: Sequence[Line], swept: Sweep) -> list[str]:
    """For the caption: the factors that go with the ranks.

    The mesh is how they are arranged and no factor of its own; lists of hosts are too long to name.

    Args:
        lines: The lines of a figure.
        swept: The sweep that they are from, with the factors that go with the ranks.

    Returns:
        Sentences without their full stop; none where nothing else goes with the ranks.
    """
    follow = tuple(name for name in swept.follow if not name.startswith(("mesh.", "hosts", "boards", "link")))
    sentences = following(series_of(lines), replace(swept, follow=follow))
    if any("hosts" in line.points and line.points["hosts"].nunique() > 1 for line in lines):
        sentences.append("the hosts go with the ranks")
    return [text[0].upper() + text[1:] for text in sentences]


def base_sentences(lines: Sequence[Line], kind: str) -> list[str]:
    """For the caption: the single process that the lines start from, in absolute numbers (rule 1).

    Args:
        lines: The lines of a figure.
        kind: The kind of energy; ``none``: there are no joules to tell.

    Returns:
        Sentences without their full stop: one for each base, and one for the lines that have none.
    """
    sentences = []
    for base in {line.base["hash"].iloc[0]: line.base for line in lines if not line.base.empty}.values():
        units = {"samples_per_s": "samples/s", **({} if kind == "none" else {"per_sample_J": "J per sample"})}
        numbers = []
        for column, unit in units.items():
            summary = summarise(base[column].tolist())
            interval = "" if summary.low is None else f" [{summary.low:.3g}, {summary.high:.3g}]"
            numbers.append(f"{summary.median:.3g} {unit}{interval}")
        sentences.append(f"The base is the single process: {' and '.join(numbers)}, n = {len(base)}")
    without = [line.label for line in lines if line.base.empty]
    missing = f"No single process did the same work as {', '.join(without)}: no base and no ideal"
    return [*sentences, missing] if without else sentences
