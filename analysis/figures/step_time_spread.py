"""How steady the steps were: every step time of every repeat."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns

from analysis.plotting.figure_registry import report_figure
from analysis.plotting.figure_style import DrawnFigure, colour, drawing
from analysis.plotting.page_layouts import Layout
from analysis.plotting.repeat_curves import record_columns
from analysis.plotting.row_figures import StudyPart, lines_of, numbered_figures, row_figure, rows_by_page, study_parts
from analysis.study.count_phrases import repeat_counts
from analysis.study.study import Study

ROW_IN, LINE_IN, BOX_IN, APART_IN = 0.27, 0.165, 0.1, 0.06
JITTER_IN = 0.035
MANY_DOTS = 3000
"""More of them are a picture inside a vector file: lines and letters stay sharp, and the file small."""


@report_figure("step_times", section="Quality", order=240)
def draw(study: Study, layout: Layout) -> list[DrawnFigure]:
    """Figures of each work: a row for each configuration.

    Args:
        study: The study, of which good records are drawn.
        layout: The widths of column and page, inches, and the style.

    Returns:
        The figures, in the order of works.
    """
    return [drawn for part in study_parts(study) for drawn in _draw(part, layout)]


def _draw(part: StudyPart, layout: Layout) -> list[DrawnFigure]:
    rows = [{**record_columns(record), "step_s": seconds} for record in part.records for seconds in record.time.step_s.values]
    data = pd.DataFrame(rows)
    repeats = data.groupby("label", sort=False)["repeat"].nunique().tolist()
    steps = data.groupby("label", sort=False).size().tolist()
    caption = (
        f"{part.lead}Every timed step of every repeat ({repeat_counts(repeats)} repeats; {_range(steps)} steps of a "
        "configuration). Boxes are quartiles with the median inside, whiskers reach over all steps: nothing is dropped."
    )
    labels = list(part.strategies)
    with drawing(layout):
        heights = [max(ROW_IN, LINE_IN * lines_of(part.names[label], layout)) for label in labels]
        figures = []
        for page in rows_by_page(heights, list(part.strategies.values())):
            page_labels = [labels[index] for index in page]
            shown = data[data["label"].isin(page_labels)]
            figure = _figure(part, page_labels, shown, [heights[index] for index in page], layout)
            figures.append(
                DrawnFigure(
                    f"step_times{part.ending}", "Spread of step times", caption, figure, shown, part.point_names(page_labels)
                )
            )
    return numbered_figures(figures)


def _range(counts: list[int]) -> str:
    least, most = min(counts), max(counts)
    return str(least) if least == most else f"{least} to {most}"


def _figure(part: StudyPart, labels: list[str], data: pd.DataFrame, heights: list[float], layout: Layout) -> Any:
    strategies = [part.strategies[label] for label in labels]
    rows = row_figure(layout, [part.names[label] for label in labels], strategies, heights)
    places = dict(zip(labels, rows.middles, strict=True))
    jitter = np.random.default_rng(0).uniform(-JITTER_IN, JITTER_IN, len(data))  # the same records give the same figure
    sns.scatterplot(
        x=data["step_s"],
        y=data["label"].map(places) + APART_IN + jitter,
        hue=data["strategy"],
        palette={strategy: colour(strategy) for strategy in strategies},
        s=7,
        linewidth=0,
        alpha=0.7,
        legend=False,
        ax=rows.axes,
        rasterized=len(data) > MANY_DOTS,
    )
    for label in labels:
        _box(rows.axes, places[label] - APART_IN, data[data["label"] == label]["step_s"])
    rows.axes.set_xlabel("Time of a step (s)")
    rows.axes.set_ylabel("")
    rows.axes.set_xlim(left=0)
    return rows.figure


def _box(axes: Any, middle: float, values: pd.Series) -> None:
    """Quartiles, median and the whole range."""
    low, first, median, third, high = np.quantile(values, [0, 0.25, 0.5, 0.75, 1])
    line = {"color": "#000000", "linewidth": 0.7, "zorder": 3}
    axes.barh(middle, third - first, left=first, height=BOX_IN, fill=False, edgecolor="#000000", linewidth=0.7, zorder=3)
    axes.plot([median, median], [middle - BOX_IN / 2, middle + BOX_IN / 2], **{**line, "linewidth": 1.4})
    for inner, outer in ((first, low), (third, high)):
        axes.plot([inner, outer], [middle, middle], **line)
        axes.plot([outer, outer], [middle - BOX_IN / 4, middle + BOX_IN / 4], **line)
