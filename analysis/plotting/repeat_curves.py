"""Curves of repeats: that of median length strong, the others pale, or the range that they fill where they are many."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypedDict

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgba
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from analysis.study.study import label_of
from analysis.study.study_record import MeasuredStudyRecord

Curve = NDArray[np.float64]
"""Of one repeat, ``[2, points]``: x, which grows, and y."""
MOST_CURVES = 10
"""Repeats of a configuration whose curves can be told apart."""
CORNERS = 300
"""Places across a panel where the border of a range may turn: half a point of print apart."""
FEWEST_FOR_A_LINE = 3
MARKS = 8
"""Markers on a line, which tell it from its neighbours in grey."""
THIN: dict[str, Any] = {"linewidth": 0.5, "alpha": 0.45, "zorder": 2}


def curves_of(data: pd.DataFrame, x: str, y: str) -> dict[str, list[Curve]]:
    """The curve of each repeat of each configuration, without points that have no ``x``.

    Args:
        data: Rows with ``label`` and ``repeat``.
        x: The column of the horizontal axis.
        y: The column of the vertical axis.

    Returns:
        Curves by label, both in their order in ``data``.
    """
    data = data[data[x].notna()]
    values = data[[x, y]].to_numpy(dtype=float)
    by_label: dict[str, list[Curve]] = {}
    repeats = data.groupby(["label", "repeat"], sort=False).ngroup().to_numpy()
    for rows in np.split(np.argsort(repeats, kind="stable"), np.cumsum(np.bincount(repeats))[:-1]):
        by_label.setdefault(data["label"].iloc[rows[0]], []).append(values[rows].T)
    return by_label


def loss_curves(records: Iterable[MeasuredStudyRecord]) -> pd.DataFrame:
    """The loss of every step of every record, with the seconds and joules spent up to it.

    Args:
        records: Good records, each with its curve of learning.

    Returns:
        Columns ``step``, ``loss``, ``time_s``, ``energy_J`` (null where energy was not asked for) and those of
        ``record_columns``.
    """
    columns: dict[str, list[Any]] = {name: [] for name in ("step", "loss", "time_s", "energy_J", "label", "strategy", "repeat")}
    for record in records:
        curve, steps = record.learning.curve, len(record.learning.curve.step)
        columns["step"] += curve.step
        columns["loss"] += curve.loss
        columns["time_s"] += curve.time_s
        columns["energy_J"] += curve.energy_J or [float("nan")] * steps
        for name, value in record_columns(record).items():
            columns[name] += [value] * steps
    return pd.DataFrame(columns)


class RecordColumns(TypedDict):
    """The columns of a row that name its record."""

    label: str
    strategy: str
    repeat: int


def record_columns(record: MeasuredStudyRecord) -> RecordColumns:
    """The columns that name a record's rows: ``label``, ``strategy`` and ``repeat``.

    Args:
        record: A good record.

    Returns:
        Name of the column to its value.
    """
    point = record.point
    return {"label": label_of(point), "strategy": point.strategy, "repeat": point.repeat}


def draw_repeats(axes: Axes, curves: Sequence[Curve], style: dict[str, Any], name: str, points_only: bool) -> Line2D:
    """Draw all repeats of a configuration.

    Args:
        axes: Where to draw.
        curves: The curve of each repeat.
        style: Colour, marker and dash (``line_styles``).
        name: The name of the configuration.
        points_only: Whether nothing is joined.

    Returns:
        The handle of its legend.
    """
    look: dict[str, Any] = {"color": style["color"], "linestyle": "none" if points_only else style["linestyle"]}
    strong: dict[str, Any] = {"linewidth": 1.2, "markersize": 4.5, "marker": style["marker"]}
    if curves:
        middle = _middle(curves)
        others = [curve for index, curve in enumerate(curves) if index != middle]
        if points_only and others:
            axes.plot(*np.hstack(others), **look, marker=style["marker"], markersize=2.5, alpha=0.45, zorder=2)
        elif len(curves) > MOST_CURVES:
            inside, border = to_rgba(style["color"], 0.15), to_rgba(style["color"], THIN["alpha"])
            axes.fill_between(
                *envelope(curves), facecolor=inside, edgecolor=border, linestyle=style["linestyle"], linewidth=0.5
            )
        elif others:
            axes.add_collection(LineCollection([curve.T for curve in others], **look, **THIN))
        axes.plot(*curves[middle], **look, **strong, zorder=3, markevery=-(-curves[middle].shape[1] // MARKS))
    return Line2D([], [], **look, **strong, label=name)


def _middle(curves: Sequence[Curve]) -> int:
    """The curve of median length, the lower of two."""
    ends = np.array([curve[0].max() for curve in curves])
    return int(np.argsort(ends, kind="stable")[(len(curves) - 1) // 2])


def envelope(curves: Sequence[Curve], corners: int = CORNERS) -> tuple[Curve, Curve, Curve]:
    """The range of the curves that have begun and not ended, straight from point to point, at the points of all of them.

    Args:
        curves: The curves.
        corners: Where the points are more than these, the border turns at so many only, and no curve is outside of it.

    Returns:
        x, and the lowest and the highest y there.
    """
    places = np.unique(np.concatenate([curve[0] for curve in curves]))
    values = np.array([np.interp(places, x, y, left=np.nan, right=np.nan) for x, y in curves])
    low, high = np.fmin.reduce(values), np.fmax.reduce(values)
    if len(places) <= corners:
        return places, low, high
    turns = np.linspace(0, len(places) - 1, corners).round().astype(int)
    spans = [slice(turns[max(0, i - 1)], turns[min(corners - 1, i + 1)] + 1) for i in range(corners)]
    lows, highs = (
        np.array([join.reduce(border[span]) for span in spans]) for join, border in ((np.fmin, low), (np.fmax, high))
    )
    return places[turns], lows, highs


def repeats_note(counts: Sequence[int], points_only: bool) -> str:
    """The sentence of a caption about how configurations of so many repeats are drawn.

    Args:
        counts: The number of repeats of each configuration.
        points_only: Whether nothing is joined.

    Returns:
        The sentence with a space before it.
    """
    least, most = min(counts), max(counts)
    if most == 1:
        return " One repeat, whose spread is unknown."
    strong = " Strong: the repeat of median length (the lower of two); pale: "
    if points_only or most <= MOST_CURVES:
        return f"{strong}the others, all of them."
    n = f"n = {most}" if least == most else f"n up to {most}"
    few = f"the others, all of them, but of more than {MOST_CURVES} " if least <= MOST_CURVES else ""
    return f"{strong}{few}the range of all repeats ({n}) that had not ended there; the table has each of them."
