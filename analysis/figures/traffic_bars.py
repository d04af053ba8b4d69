"""Bytes that the operations moved against those that theory predicts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd

from analysis.plotting.figure_registry import report_figure
from analysis.plotting.figure_style import DrawnFigure, drawing, legend_above
from analysis.plotting.log_axes import log_axis
from analysis.plotting.page_layouts import Layout
from analysis.plotting.row_figures import StudyPart, lines_of, numbered_figures, row_figure, rows_by_page, study_parts
from analysis.study.study import Study, label_of

MOST_ROWS = 24
"""More operations than this are shown as the sums of their configurations."""
ROW_IN, LINE_IN = 0.2, 0.165
MEGA = 1e6
ALL = "all"
WIDE_RANGE = 30


class OperationBytes(NamedTuple):
    """A row of the figure: bytes of one step in one operation of a configuration, or in all of them."""

    label: str
    strategy: str
    operation: str
    theory_bytes: int
    measured_bytes: int


@report_figure("traffic", section="Memory and traffic", order=200)
def draw(study: Study, layout: Layout) -> list[DrawnFigure]:
    """Figures of each work: a row for each operation, or for each configuration where they are too many.

    Args:
        study: The study, of which good records are drawn.
        layout: The widths of column and page, inches, and the style.

    Returns:
        The figures, in the order of works.
    """
    return [drawn for part in study_parts(study) for drawn in _draw(part, layout)]


def _draw(part: StudyPart, layout: Layout) -> list[DrawnFigure]:
    data = _operations(part)
    if data.empty:
        return []
    summed = len(data) > MOST_ROWS
    shown = _sums(data) if summed else data
    shown = shown.assign(name=[_name(*row, part) for row in zip(shown["label"], shown["operation"], strict=True)])
    caption = f"{part.lead}Bytes handed to MPI in one optimizer step against the volume formulas: {_verdict(data, part)}."
    if summed:
        caption += (
            " Rows are sums over the operations of a configuration; operations that differ have a row of their own. The table "
            "behind the figure has every operation."
        )
    with drawing(layout):
        heights = [max(ROW_IN, LINE_IN * lines_of(name, layout)) for name in shown["name"]]
        title, name = "Theory against measured bytes", f"traffic{part.ending}"
        figures = []
        for page in rows_by_page(heights, shown["strategy"].tolist()):
            page_rows = shown.iloc[page]
            figure = _figure(page_rows, [heights[index] for index in page], layout)
            labels = set(page_rows["label"])
            figures.append(
                DrawnFigure(name, title, caption, figure, data[data["label"].isin(labels)], part.point_names(labels))
            )
    return numbered_figures(figures)


def _name(label: str, operation: str, part: StudyPart) -> str:
    return part.names[label] if operation == ALL else f"{part.names[label]}: {operation}"


def _operations(part: StudyPart) -> pd.DataFrame:
    """A row for each operation of each configuration; repeats that moved the same are one row.

    Operations that only theory or only the measurement knows have zero bytes on the other side.
    """
    rows = []
    for record in part.records:
        traffic, label = record.traffic, label_of(record.point)
        theory, measured = traffic.theory_bytes, traffic.payload_bytes
        for key in dict.fromkeys([*theory, *measured]):
            row = {"label": label, "strategy": record.point.strategy, "operation": key}
            rows.append({**row, "theory_bytes": theory.get(key, 0), "measured_bytes": measured.get(key, 0)})
    data = pd.DataFrame(rows).drop_duplicates(ignore_index=True) if rows else pd.DataFrame()
    return data if data.empty else data.assign(equal=data["theory_bytes"] == data["measured_bytes"])


def _sums(data: pd.DataFrame) -> pd.DataFrame:
    """A row for each configuration, over operations whose repeats agree, and one for each operation that differs."""
    rows: list[OperationBytes] = []
    for (label, strategy), operations in data.groupby(["label", "strategy"], sort=False):
        once = operations.drop_duplicates("operation")
        theory_bytes, measured_bytes = (int(once[key].sum()) for key in ("theory_bytes", "measured_bytes"))
        rows.append(OperationBytes(str(label), str(strategy), ALL, theory_bytes, measured_bytes))
        different = operations.loc[~operations["equal"], list(OperationBytes._fields)]
        rows += [OperationBytes(*row) for row in different.itertuples(index=False)]
    return pd.DataFrame(rows)


def _verdict(data: pd.DataFrame, part: StudyPart) -> str:
    rows = data[~data["equal"]]
    wrong = [f"{key} of {part.names[label]}" for label, key in zip(rows["label"], rows["operation"], strict=True)]
    if not wrong:
        return "all are equal, to the byte"
    named = ", ".join(wrong[:5]) + (f" and {len(wrong) - 5} more" if len(wrong) > 5 else "")
    return f"{len(wrong)} of {len(data)} {'differs' if len(wrong) == 1 else 'differ'}: {named}"


def _figure(shown: pd.DataFrame, heights: Sequence[float], layout: Layout) -> Any:
    """Inside ``drawing`` only."""
    rows = row_figure(layout, shown["name"].tolist(), shown["strategy"].tolist(), heights)
    theory, measured = shown["theory_bytes"] / MEGA, shown["measured_bytes"] / MEGA
    ring: dict[str, Any] = {"markersize": 8, "markerfacecolor": "none", "color": "#000000", "label": "theory", "clip_on": False}
    cross: dict[str, Any] = {"markersize": 4.5, "color": "#D55E00", "label": "measured", "clip_on": False}
    rows.axes.plot(theory, rows.middles, "o", **ring)
    rows.axes.plot(measured, rows.middles, "x", **cross)
    everything = pd.concat([theory, measured])
    if everything.min() > 0 and everything.max() > WIDE_RANGE * everything.min():
        log_axis(rows.axes, "x", everything.min() / 1.5, everything.max() * 1.5)
    else:
        rows.axes.set_xlim(left=0, right=1.08 * max(everything.max(), 1e-6))
    rows.axes.set_xlabel("Payload per step (MB)")
    legend_above(rows.figure, *rows.axes.get_legend_handles_labels())
    return rows.figure
