"""Where time and energy go: computing, communicating, waiting; and the forward and backward passes, the optimizer, the rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.plotting.figure_registry import report_figure
from analysis.plotting.figure_style import (
    PHASE_COLOURS,
    PHASE_HATCHES,
    RECOVERY_COLOURS,
    RECOVERY_HATCHES,
    STAGE_COLOURS,
    STAGE_HATCHES,
    STATE_COLOURS,
    STATE_HATCHES,
    DrawnFigure,
    drawing,
    energy_label,
    legend_above,
)
from analysis.plotting.page_layouts import Layout
from analysis.plotting.row_figures import StudyPart, lines_of, numbered_figures, row_figure, rows_by_page, study_parts
from analysis.statistics.repeat_summary import average
from analysis.study.count_phrases import repeat_counts
from analysis.study.job_joules import STAGES, JobJoules, job_joules
from analysis.study.point_table import DRAWN_PHASES
from analysis.study.study import Study, label_of
from bench.common.phases import RECOVERY, STATES

BAR_IN, LINE_IN = 0.19, 0.165
EDGE = "#444444"


@dataclass(frozen=True)
class BarPieces:
    """The pieces of a bar: their columns, and the words of the figure about them."""

    name: str
    title: str
    pieces: tuple[str, ...]
    column: str
    colours: Mapping[str, str]
    hatches: Mapping[str, str]
    label: str
    caption: str

    def columns(self) -> list[str]:
        """The columns of the pieces in their order."""
        return [self.column.format(piece) for piece in self.pieces]


@report_figure("time_breakdown", section="Time and energy", order=120)
def draw_time(study: Study, layout: Layout) -> list[DrawnFigure]:
    """Seconds of a step, averaged over ranks: an average of costs, so the parts add up to the whole.

    Args:
        study: The study, of which good records are drawn.
        layout: The widths of column and page, inches, and the style.

    Returns:
        The figures, of each work by state and by phase.
    """
    return [
        drawn
        for part in study_parts(study)
        for split in (_time_by_state(part), _time_by_phase(part))
        for drawn in _draw(split, part, layout)
    ]


@report_figure("energy_breakdown", section="Time and energy", order=130)
def draw_energy(study: Study, layout: Layout) -> list[DrawnFigure]:
    """Joules of a sample, averaged over repeats.

    Args:
        study: The study, of which good records are drawn.
        layout: The widths of column and page, inches, and the style.

    Returns:
        The figures, of each work by state and by phase; empty without energy.
    """
    return [
        drawn
        for part in study_parts(study, named_kind=True)
        if part.kind != "none"
        for split in (_energy_by_state(part), _energy_by_phase(part))
        for drawn in _draw(split, part, layout)
    ]


@report_figure("job_breakdown", section="Time and energy", order=135)
def draw_job(study: Study, layout: Layout) -> list[DrawnFigure]:
    """Joules of the whole job by its stages, averaged over repeats.

    Args:
        study: The study, of which good records are drawn that have their readings beside them.
        layout: The widths of column and page, inches, and the style.

    Returns:
        The figures, one for each work; empty without readings.
    """
    figures = []
    for part in study_parts(study, named_kind=True):
        jobs = [(record, job) for record in part.records if part.kind != "none" and (job := job_joules(record)) is not None]
        if jobs:
            rows = [{"label": label_of(record.point), **_stage_columns(job)} for record, job in jobs]
            figures += _draw(_energy_by_stage(part), part, layout, pd.DataFrame(rows))
    return figures


@report_figure("failure_recovery", section="Failures", order=150)
def draw_recovery(study: Study, layout: Layout) -> list[DrawnFigure]:
    """From the death of a rank to the first new step of the others, in seconds and joules.

    Args:
        study: The study, of which good records are drawn.
        layout: The widths of column and page, inches, and the style.

    Returns:
        The figures; empty where no rank was killed.
    """
    return [
        drawn
        for part in study_parts(study, named_kind=True)
        for split in (_recovery_time(part), _recovery_energy(part))
        for drawn in _draw(split, part, layout)
    ]


def _time_by_state(part: StudyPart) -> BarPieces:
    caption = (
        f"{part.lead}Time of one optimizer step by what the ranks' main threads did, mean over ranks and repeats ({{n}}). "
        "Communication that runs beside computation counts as computing: only what is exposed is shown."
    )
    return BarPieces(
        f"time_breakdown{part.ending}", "Time by state", STATES, "{}_s", STATE_COLOURS, STATE_HATCHES,
        "Time per step (s)", caption,
    )  # fmt: skip


def _time_by_phase(part: StudyPart) -> BarPieces:
    caption = (
        f"{part.lead}Time of one optimizer step by phase, mean over ranks and repeats ({{n}}). Other: loading of batches and "
        "whatever the ranks do between the phases."
    )
    return BarPieces(
        f"time_phases{part.ending}", "Time by phase", DRAWN_PHASES, "{}_s", PHASE_COLOURS, PHASE_HATCHES,
        "Time per step (s)", caption,
    )  # fmt: skip


def _energy_by_state(part: StudyPart) -> BarPieces:
    caption = (
        f"{part.lead}Energy of one sample by what the ranks did while it was used, {part.kind}, mean over repeats ({{n}}). A "
        "host's power is shared equally between its ranks at any time; idle power is inside."
    )
    return BarPieces(
        f"energy_breakdown_{part.kind}{part.ending}", "Energy by state", STATES, "{}_J", STATE_COLOURS, STATE_HATCHES,
        energy_label(part.kind), caption,
    )  # fmt: skip


def _energy_by_phase(part: StudyPart) -> BarPieces:
    caption = (
        f"{part.lead}Energy of one sample by phase, {part.kind}, mean over repeats ({{n}}). Estimated from the readings and "
        "the times of the phases; idle power is inside. A piece left of zero is within the error of that estimate."
    )
    return BarPieces(
        f"energy_phases_{part.kind}{part.ending}", "Energy by phase", DRAWN_PHASES, "phase_{}_J", PHASE_COLOURS, PHASE_HATCHES,
        energy_label(part.kind), caption,
    )  # fmt: skip


def _stage_columns(job: JobJoules) -> dict[str, float]:
    return {f"job_{stage}_J": joules for stage, joules in job.stages.items()}


def _energy_by_stage(part: StudyPart) -> BarPieces:
    caption = (
        f"{part.lead}Energy of the whole job by its stages, {part.kind}, mean over repeats ({{n}}), idle power inside. The "
        "timed stage is what the other figures are about. Start-up begins with the first reading; what no sensor read is not "
        "shown."
    )
    return BarPieces(
        f"job_breakdown_{part.kind}{part.ending}", "Energy of the whole job", STAGES, "job_{}_J", STAGE_COLOURS, STAGE_HATCHES,
        energy_label(part.kind, "Energy of the job (J)"), caption,
    )  # fmt: skip


_RECOVERY = (
    "Notice: until every other rank has an error from MPI. Shrink: to a communicator of those that are left. Rebuild: their "
    "plan, and their parts of the last copy of the state. Redo: the steps since that copy again."
)


def _recovery_time(part: StudyPart) -> BarPieces:
    caption = (
        f"{part.lead}Time from the death of a rank to the first new step of the others, mean over repeats ({{n}}). {_RECOVERY}"
    )
    return BarPieces(
        f"failure_time_{part.kind}{part.ending}", "Recovery from a failure: time", RECOVERY, "recovery_{}_s",
        RECOVERY_COLOURS, RECOVERY_HATCHES, "Time without a new step (s)", caption,
    )  # fmt: skip


def _recovery_energy(part: StudyPart) -> BarPieces:
    caption = (
        f"{part.lead}Energy of the boards that are left from the death of a rank to their first new step, {part.kind}, mean "
        f"over repeats ({{n}}). {_RECOVERY}"
    )
    return BarPieces(
        f"failure_energy_{part.kind}{part.ending}", "Recovery from a failure: energy", RECOVERY, "recovery_{}_J",
        RECOVERY_COLOURS, RECOVERY_HATCHES, energy_label(part.kind, "Energy without a new step (J)"), caption,
    )  # fmt: skip


def _draw(split: BarPieces, part: StudyPart, layout: Layout, points: pd.DataFrame | None = None) -> list[DrawnFigure]:
    """Figures of ``points``, those of the part if they are None."""
    columns = split.columns()
    known = (part.points if points is None else points).dropna(subset=columns)
    if known.empty:
        return []
    rows = []
    for label, group in known.groupby("label", sort=False):
        means = {column: average(group[column].tolist(), "cost") for column in columns}
        rows.append({"label": label, "strategy": part.strategies[str(label)], **means, "n": len(group)})
    data = pd.DataFrame(rows)
    untold = [part.names[label] for label in part.strategies if label not in set(data["label"])]
    caption = split.caption.format(n=repeat_counts(data["n"].tolist()))
    caption += " Dots: the whole of each repeat." if data["n"].max() > 1 else ""
    caption += f" Not known for: {', '.join(untold)}." if untold else ""
    with drawing(layout):
        names = [part.names[label] for label in data["label"]]
        heights = [max(BAR_IN, LINE_IN * lines_of(name, layout)) for name in names]
        on_pages = rows_by_page(heights, data["strategy"].tolist())
    wholes = known.assign(whole=known[columns].sum(axis=1)).groupby("label", sort=False)["whole"].apply(list)
    return numbered_figures([_page(split, part, data.iloc[page], wholes, caption, layout) for page in on_pages])


def _page(
    split: BarPieces, part: StudyPart, data: pd.DataFrame, wholes: pd.Series, caption: str, layout: Layout
) -> DrawnFigure:
    with drawing(layout):
        names = [part.names[label] for label in data["label"]]
        heights = [max(BAR_IN, LINE_IN * lines_of(name, layout)) for name in names]
        rows = row_figure(layout, names, data["strategy"].tolist(), heights)
        handles = _bars(rows.axes, split, data, rows.middles)
        for label, middle in zip(data["label"], rows.middles, strict=True):
            if len(wholes[label]) > 1:
                dots: dict[str, Any] = {"markersize": 2.8, "markeredgecolor": "#ffffff", "markeredgewidth": 0.4}
                rows.axes.plot(wholes[label], [middle] * len(wholes[label]), "o", color="#000000", **dots, zorder=4)
        rows.axes.set_xlabel(split.label)
        rows.axes.set_xlim(right=1.04 * max(map(max, wholes)))
        legend_above(rows.figure, handles, list(split.pieces))
    return DrawnFigure(split.name, split.title, caption, rows.figure, data, part.point_names(set(data["label"])))


def _bars(axes: Any, split: BarPieces, data: pd.DataFrame, middles: list[float]) -> list[Any]:
    """Pieces from left to right; those below zero (an estimate may be) to the left of it. A handle for each piece."""
    ends, starts_below, handles = [0.0] * len(data), [0.0] * len(data), []
    for piece, column in zip(split.pieces, split.columns(), strict=True):
        widths = data[column].tolist()
        lefts = [b if width >= 0 else a for a, b, width in zip(starts_below, ends, widths, strict=True)]
        look = {"color": split.colours[piece], "hatch": split.hatches[piece], "edgecolor": EDGE, "linewidth": 0.4}
        handles.append(axes.barh(middles, widths, left=lefts, height=0.75 * BAR_IN, **look))
        ends = [b + max(width, 0.0) for b, width in zip(ends, widths, strict=True)]
        starts_below = [a + min(width, 0.0) for a, width in zip(starts_below, widths, strict=True)]
    return handles
