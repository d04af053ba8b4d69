"""When points ran, and which failed: the points of a study on an axis of civil time, and how their throughput drifted."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import DateFormatter, date2num
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator

from analysis.plotting.figure_registry import report_figure
from analysis.plotting.figure_style import DrawnFigure, colour, drawing, legend_above, marker, new_figure, text_in
from analysis.plotting.page_layouts import Layout
from analysis.study.configuration_labels import names_in
from analysis.study.strategy_appearance import place
from analysis.study.study import Study, label_of

STATUSES: dict[str, dict[str, Any]] = {
    "invalid": {"marker": "<", "color": "#E69F00"},
    "oom": {"marker": "p", "color": "#CC79A7"},
    "timeout": {"marker": ">", "color": "#0072B2"},
    "failed": {"marker": "X", "color": "#D55E00"},
    "interrupted": {"marker": "H", "color": "#FFFFFF"},
}
"""On the middle of the segment of every point that is not good. None is the marker of a strategy."""
STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200)
DAY_S = 86400
GOOD, BAD = "#999999", "#E2E2E2"
MOST_ROWS = 36
"""Configurations that have rows of their own; of more, those of a strategy share one."""
ROW_IN, DRIFT_IN, FRAME_IN = 0.17, 1.35, 1.0
COLUMN_SHARE, PAGE_SHARE = 0.4, 0.5
"""How much of a column, and of a page, the names of configurations may take."""
COLUMNS = ["label", "strategy", "repeat", "status", "reason", "started", "finished", "duration_s"]
COLUMNS += ["samples_per_s", "of_median_percent"]


@report_figure("timeline", section="Quality", order=250)
def draw(study: Study, layout: Layout) -> list[DrawnFigure]:
    """One figure; none where no record says when it ran.

    Args:
        study: The study, of which failed points are drawn too.
        layout: The widths of column and page, inches, and the style.

    Returns:
        A list of one figure, or of none.
    """
    data = points_in_time(study)
    timed = data[data["duration_s"].notna()].reset_index(drop=True)
    if timed.empty:
        return []
    with drawing(layout):
        names = names_in(list(dict.fromkeys(timed["label"])))
        widest_in = max(text_in(name) for name in names.values())
        row_each = len(names) <= MOST_ROWS and widest_in <= PAGE_SHARE * layout.page_in
        row_of = timed["label"].map(names) if row_each else timed["strategy"]
        rows, drift = list(dict.fromkeys(row_of)), timed[timed["of_median_percent"].notna()]
        heights = [ROW_IN * len(rows) + 0.2, *([DRIFT_IN] if len(drift) else [])]
        page = row_each and widest_in > COLUMN_SHARE * layout.column_in
        shape: dict[str, Any] = {"nrows": len(heights), "height_ratios": heights, "sharex": True, "squeeze": False}
        figure, panels = new_figure(layout, FRAME_IN + sum(heights), page, **shape)
        handles = _segments(panels[0, 0], timed, row_of.map(rows.index), rows)
        if len(drift):
            handles += _drift(panels[1, 0], drift)
        _time_axis(panels[-1, 0], timed, most=int(1.5 * figure.get_figwidth()))
        legend_above(figure, handles, [handle.get_label() for handle in handles])
    shown = timed.assign(**{name: timed[name].map(lambda time: time.isoformat()) for name in ("started", "finished")})
    caption = _caption(data, timed, drift, row_each)
    return [DrawnFigure("timeline", "What ran when", caption, figure, shown[COLUMNS], tuple(timed["point"]))]


def points_in_time(study: Study) -> pd.DataFrame:
    """When each record ran, how it ended, and its throughput, in the order of every figure.

    Args:
        study: The study, with points that failed.

    Returns:
        One row for each record: ``COLUMNS``, ``point`` and ``hash``. Times are UTC, null where a record does not say when it
        ran. ``of_median_percent`` is the throughput of a good repeat in per cent of its configuration's median, null where a
        configuration has one good repeat.
    """
    rows = []
    for record in study.records:
        environment, good = record.environment, record.status == "ok"
        rows.append(
            {
                "point": record.point.name,
                "label": label_of(record.point),
                "hash": record.point.hash,
                "strategy": record.point.strategy,
                "repeat": record.point.repeat,
                "status": record.status,
                "reason": record.reason,
                "started": environment.started or "not told",
                "finished": environment.finished or "not told",
                "samples_per_s": record.time.samples_per_s if good and record.time is not None else None,
            }
        )
    data = pd.DataFrame(rows, columns=["point", "hash", *COLUMNS])
    for name in ("started", "finished"):
        data[name] = pd.to_datetime(data[name], utc=True, errors="coerce", format="mixed")
    data["duration_s"] = [(end - start).total_seconds() for start, end in zip(data["started"], data["finished"], strict=True)]
    rates = data["samples_per_s"].astype(float)
    repeats = rates.groupby(data["hash"])
    data["of_median_percent"] = (100 * rates / repeats.transform("median")).where(repeats.transform("count") > 1)
    return data.iloc[sorted(range(len(data)), key=lambda index: (place(data["strategy"][index]), data["label"][index]))]


def _segments(axes: Axes, timed: pd.DataFrame, heights: pd.Series, rows: list[str]) -> list[Any]:
    """A segment for each point, with a sign where it is not good; the entries of the legend."""
    for height, (_, point) in zip(heights, timed.iterrows(), strict=True):
        begin, end = date2num(point["started"]), date2num(point["finished"])
        face = GOOD if point["status"] == "ok" else BAD
        axes.barh(height, end - begin, left=begin, height=0.62, color=face, edgecolor="#555555", linewidth=0.4)
        if point["status"] != "ok":
            axes.plot([(begin + end) / 2], [height], **_sign(point["status"]))
    axes.set_yticks(range(len(rows)), rows)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    statuses = set(timed["status"])
    handles: list[Any] = [Patch(facecolor=GOOD, edgecolor="#555555", linewidth=0.4, label="ok")] if "ok" in statuses else []
    return handles + [Line2D([], [], **_sign(status), label=status) for status in STATUSES if status in statuses]


def _sign(status: str) -> dict[str, Any]:
    return {**STATUSES[status], "linestyle": "none", "markersize": 5.5, "markeredgecolor": "#000000", "markeredgewidth": 0.6}


def _drift(axes: Axes, drift: pd.DataFrame) -> list[Any]:
    """Throughput against the median of the configuration, at the middle of each point; the entries of the legend."""
    handles = []
    middle = [(date2num(a) + date2num(b)) / 2 for a, b in zip(drift["started"], drift["finished"], strict=True)]
    for strategy, rows in drift.assign(middle=middle).groupby("strategy", sort=False):
        look: dict[str, Any] = {"color": colour(str(strategy)), "marker": marker(str(strategy)), "linestyle": "none"}
        handles += axes.plot(rows["middle"], rows["of_median_percent"], **look, markersize=4, label=strategy)
    axes.axhline(100, color="#555555", linewidth=0.7, linestyle="--", zorder=1)
    axes.margins(y=0.12)
    axes.set_ylabel("Throughput\n(% of median)")
    return handles


def _time_axis(axes: Axes, timed: pd.DataFrame, most: int) -> None:
    begin, end = timed["started"].min(), timed["finished"].max()
    seconds = (end - begin).total_seconds()
    one_day = begin.date() == end.date()
    form = "%H:%M:%S" if seconds < 300 else "%H:%M" if one_day else "%m-%d\n%H:%M" if seconds < 4 * DAY_S else "%Y-%m-%d"
    axes.xaxis.set_major_locator(FixedLocator(time_ticks(begin, end, most)))
    axes.xaxis.set_major_formatter(DateFormatter(form, tz="UTC"))
    margin = 0.02 * max(seconds, 1) / DAY_S
    axes.set_xlim(date2num(begin) - margin, date2num(end) + margin)
    axes.set_xlabel(f"Time of day on {begin.date()} (UTC)" if one_day else f"Time from {begin.date()} (UTC)")


def time_ticks(begin: pd.Timestamp, end: pd.Timestamp, most: int) -> list[float]:
    """Round times of an axis.

    Args:
        begin: The first time of the axis.
        end: The last time of the axis, later than ``begin``.
        most: The most ticks, at least 2.

    Returns:
        Rising times in days since 1970, as matplotlib counts them.
    """
    first, last = begin.timestamp(), end.timestamp()
    days = (DAY_S * days for days in itertools.count(1))
    step = next(step for step in itertools.chain(STEPS_S, days) if (last - first) / step <= most - 1)
    return [tick * step / DAY_S for tick in range(math.ceil(first / step), math.floor(last / step) + 1)]


def _caption(data: pd.DataFrame, timed: pd.DataFrame, drift: pd.DataFrame, row_each: bool) -> str:
    counts = Counter(timed["status"])
    ended = ", ".join(f"{counts[status]} {status}" for status in ("ok", *STATUSES) if counts[status])
    sentences = [f"{len(timed)} points over civil time, from the start of their processes to their record: {ended}"]
    if set(counts) - {"ok"}:
        sentences.append("The table has the reasons of those that are not ok")
    if not row_each:
        sentences.append(f"The {timed['label'].nunique()} configurations of each strategy share a row")
    if len(drift):
        sentences.append("Below: throughput of every good repeat against the median of its configuration, where it has several")
    else:
        sentences.append("No configuration has several good repeats, so a drift cannot be seen")
    untimed = len(data) - len(timed)
    if untimed:
        sentences.append(f"Left out: {untimed} points whose records do not say when they ran")
    return ". ".join(sentences) + "."
