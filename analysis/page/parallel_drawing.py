"""All figures of a report, written as they are drawn; those of large studies by several processes."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from analysis.page.content.report_content import Picture, picture
from analysis.plotting.figure_registry import ReportFigure, report_figures
from analysis.plotting.figure_style import close
from analysis.plotting.page_layouts import Layout
from analysis.study.study import Study

FEWEST_RECORDS = 200
"""With fewer, one process is done before others would have begun."""
MOST_PROCESSES = 4
"""Each holds figures and tables of its own, beside the records, which all share."""


@dataclass(frozen=True)
class Job:
    """The figures that are drawn of ``study``, as which formats, and where they are written."""

    figures: tuple[ReportFigure, ...]
    study: Study
    out: Path
    formats: tuple[str, ...]
    layout: Layout


_job: Job | None = None


def processes_for(study: Study) -> int:
    """How many processes draw.

    A copy of this process shares its records; only Linux makes copies that are sure to work.

    Args:
        study: Its number of records counts.

    Returns:
        At least 1.
    """
    if sys.platform != "linux" or len(study.records) < FEWEST_RECORDS:
        return 1
    return min(MOST_PROCESSES, len(os.sched_getaffinity(0)))


def draw_all(study: Study, out: Path, formats: Sequence[str], layout: Layout, processes: int | None = None) -> list[Picture]:
    """Draw and write every figure.

    Args:
        study: The points.
        out: Folder of the report; it has figures/ and data/.
        formats: Endings of the files of figures.
        layout: Sizes and fonts.
        processes: How many draw (default: ``processes_for``).

    Returns:
        In the order of the page; the same files and pictures whatever ``processes`` is.
    """
    job = Job(report_figures(), study, out, tuple(formats), layout)
    workers = processes_for(study) if processes is None else processes
    if workers == 1:
        return [made for figure in job.figures for made in _pictures(job, figure)]
    _ = study.points, study.ordered  # once, for all of them
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(workers, context, _begin, (job,)) as pool:
        return [drawn for pictures in pool.map(_draw, range(len(job.figures))) for drawn in pictures]


def _begin(job: Job) -> None:
    global _job
    _job = job


def _draw(number: int) -> list[Picture]:
    assert _job is not None
    return list(_pictures(_job, _job.figures[number]))


def _pictures(job: Job, figure: ReportFigure) -> Iterator[Picture]:
    """Write figures and let them go: all those of a large study at once take gigabytes."""
    for drawn in figure(job.study, job.layout):
        yield picture(drawn, figure.section, job.out, job.formats, job.layout)
        close(drawn)
