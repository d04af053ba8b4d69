"""Peak memory of the ranks, beside the plan's prediction; configurations that did not fit are marked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict

import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from analysis.plotting.figure_registry import report_figure
from analysis.plotting.figure_style import DrawnFigure, colour, drawing, legend_above, slug
from analysis.plotting.page_layouts import Layout
from analysis.plotting.row_figures import (
    StudyPart,
    bar_note,
    lines_of,
    numbered_figures,
    row_figure,
    rows_by_page,
    show_repeats,
    study_parts,
)
from analysis.statistics.repeat_summary import summarise
from analysis.study.configuration_labels import names_in, natural
from analysis.study.point_table import MIB
from analysis.study.strategy_appearance import place
from analysis.study.study import Study, label_of
from analysis.study.study_record import LabelledPoint

RANK_IN, LEAST_IN, LINE_IN = 0.085, 0.17, 0.165
PREDICTED: dict[str, Any] = {"linestyle": "none", "marker": "D", "markersize": 3.6, "markerfacecolor": "#ffffff",
                             "markeredgecolor": "#000000", "markeredgewidth": 0.8}  # fmt: skip
KEYS: tuple[Literal["peak_MiB", "predicted_MiB", "baseline_MiB"], ...] = ("peak_MiB", "predicted_MiB", "baseline_MiB")


class RankRow(TypedDict):
    """A row of the figure's table: one rank in one repeat, sizes in MiB."""

    label: str
    strategy: str
    repeat: int
    rank: int
    out_of_memory: bool
    peak_MiB: float
    predicted_MiB: float
    baseline_MiB: float


class LostRow(TypedDict):
    """A row of the figure's table: a configuration that ran out of memory in all repeats."""

    label: str
    strategy: str
    out_of_memory: bool


@dataclass(frozen=True)
class MemoryUse:
    """Memory that one configuration needed: a row for each rank and repeat, none where it ran out of memory."""

    label: str
    strategy: str
    rows: list[RankRow] = field(default_factory=list)

    def table_rows(self) -> Sequence[RankRow | LostRow]:
        """The rows, or one that says that there are none."""
        return self.rows or [{"label": self.label, "strategy": self.strategy, "out_of_memory": True}]


@report_figure("peak_memory", section="Memory and traffic", order=180)
def draw(study: Study, layout: Layout) -> list[DrawnFigure]:
    """One figure for each work. Points that ran out of memory have no kind of energy: they are with their model and task.

    Args:
        study: The study, of which points that ran out of memory are drawn too.
        layout: The widths of column and page, inches, and the style.

    Returns:
        The figures, in the order of works; works of which every point ran out of memory come last.
    """
    lost = [record.point for record in study.records if record.status == "oom"]
    known = study_parts(study)
    works = {(part.model, part.task) for part in known}
    drawings = [
        drawn for part in known for drawn in _draw(part, [p for p in lost if _work(p) == (part.model, part.task)], layout)
    ]
    for work in dict.fromkeys(_work(point) for point in lost if _work(point) not in works):
        ending = "".join(f"_{slug(word)}" for word in work) if works else ""
        only = StudyPart("none", *work, (), ending, f"{work[0]} on {work[1]}. ")
        drawings += _draw(only, [point for point in lost if _work(point) == work], layout)
    return drawings


def _work(point: LabelledPoint) -> tuple[str, str]:
    return point.model, point.task


def _draw(part: StudyPart, lost: list[LabelledPoint], layout: Layout) -> list[DrawnFigure]:
    uses = _memory_uses(part, lost)
    names = names_in([use.label for use in uses])
    counts = [len({row["repeat"] for row in use.rows}) for use in uses if use.rows]
    caption = part.lead
    if counts:
        caption += (
            "Largest resident memory of each rank's process, one bar for each rank in their order "
            f"({bar_note(counts)}). Hatched: the process before the model. Diamonds: the prediction, which is that and the "
            "plan's parameters, gradients, optimizer states and an estimate of the activations. Temporary buffers of the "
            "libraries are not predicted."
        )
    without_memory = [names[use.label] for use in uses if not use.rows]
    caption += f"{' ' if counts else ''}Out of memory: {', '.join(without_memory)}." if without_memory else ""
    with drawing(layout):
        heights = [_height(use, names[use.label], layout) for use in uses]
    figures = []
    for page in rows_by_page(heights, [use.strategy for use in uses]):
        page_uses = [uses[index] for index in page]
        figure = _figure(page_uses, [names[use.label] for use in page_uses], [heights[index] for index in page], layout)
        shown = {use.label for use in page_uses}
        data = pd.DataFrame([row for use in page_uses for row in use.table_rows()])
        figures.append(
            DrawnFigure(f"peak_memory{part.ending}", "Peak memory of each rank", caption, figure, data, part.point_names(shown))
        )
    return numbered_figures(figures)


def _memory_uses(part: StudyPart, lost: Sequence[LabelledPoint]) -> list[MemoryUse]:
    """Configurations in the order of figures; one that ran out of memory in some repeats only has its bars."""
    by_label = {label: MemoryUse(label, strategy) for label, strategy in part.strategies.items()}
    for record in part.records:
        memory, use = record.memory, by_label[label_of(record.point)]
        rank_sizes = zip(memory.peak_bytes, memory.predicted_bytes, memory.baseline_bytes, strict=True)
        for rank, (peak, predicted, baseline) in enumerate(rank_sizes):
            use.rows.append(
                {
                    "label": use.label,
                    "strategy": use.strategy,
                    "repeat": record.point.repeat,
                    "rank": rank,
                    "out_of_memory": False,
                    "peak_MiB": peak / MIB,
                    "predicted_MiB": predicted / MIB,
                    "baseline_MiB": baseline / MIB,
                }
            )
    for point in lost:
        by_label.setdefault(label_of(point), MemoryUse(label_of(point), point.strategy))
    return sorted(by_label.values(), key=lambda use: (place(use.strategy), natural(use.label)))


def _height(use: MemoryUse, name: str, layout: Layout) -> float:
    ranks = len({row["rank"] for row in use.rows})
    return max(RANK_IN * ranks + 0.04, LEAST_IN, LINE_IN * lines_of(name, layout))


def _figure(uses: list[MemoryUse], names: list[str], heights: list[float], layout: Layout) -> Any:
    with drawing(layout):
        rows = row_figure(layout, names, [use.strategy for use in uses], heights)
        for use, middle in zip(uses, rows.middles, strict=True):
            if use.rows:
                _ranks(rows.axes, use, middle)
            else:
                rows.axes.text(0.01, middle, "OOM", transform=rows.axes.get_yaxis_transform(), va="center", fontweight="bold")
        rows.axes.set_xlim(left=0)
        rows.axes.set_xlabel("Peak memory of a rank (MiB)")
        handles = [
            Patch(facecolor="#888888", label="measured peak"),
            Patch(facecolor="#888888", hatch="//////", edgecolor="white", linewidth=0, label="before the model"),
            Line2D([], [], **PREDICTED, label="predicted"),
        ]
        if any(use.rows for use in uses):
            legend_above(rows.figure, handles, [str(handle.get_label()) for handle in handles])
        else:
            rows.axes.set_xticks([])
    return rows.figure


def _ranks(axes: Any, use: MemoryUse, middle: float) -> None:
    by_rank: dict[int, dict[str, list[float]]] = {}
    for row in use.rows:
        sizes = by_rank.setdefault(row["rank"], {key: [] for key in KEYS})
        for key in KEYS:
            sizes[key].append(row[key])
    ranks = sorted(by_rank)
    places = [middle + (index - (len(ranks) - 1) / 2) * RANK_IN for index in range(len(ranks))]
    summaries_by_key = [[summarise(by_rank[rank][key]) for rank in ranks] for key in KEYS]
    peaks, predicted, baselines = ([summary.median for summary in summaries] for summaries in summaries_by_key)
    axes.barh(places, peaks, height=0.86 * RANK_IN, color=colour(use.strategy), alpha=0.8, linewidth=0)
    axes.barh(places, baselines, height=0.86 * RANK_IN, color="none", hatch="//////", edgecolor="white", linewidth=0)
    axes.plot(predicted, places, **PREDICTED, zorder=3, clip_on=False)
    for height, peak, rank in zip(places, summaries_by_key[0], ranks, strict=True):
        show_repeats(axes, height, peak, by_rank[rank]["peak_MiB"])
