"""Joules of the whole job by stages, from the readings of a point: start-up, replication, idle, warm-up, timed, evaluation.

The record's energy is that of the timed windows. The readings beside it (``power.parquet``) reach over the rest of the run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.study.power_traces import MARKS, joules_between, phases_of
from analysis.study.study_record import MeasuredStudyRecord

START_UP, OTHER = "start-up", "other"
STAGES = (START_UP, *MARKS, OTHER)
AGREEMENT = 0.02
"""The timed windows by these readings against the record's joules: further apart, the readings are not those of the record."""


@dataclass(frozen=True)
class JobJoules:
    """The joules of one run.

    Attributes:
        stages: Joules of each of ``STAGES``; they add up to the whole.
        seconds: From the start of the ranks to their end.
        unread_s: How much of it has no readings of all hosts: before the sensors were open, and after they were closed.
    """

    stages: Mapping[str, float]
    seconds: float
    unread_s: float

    @property
    def whole_J(self) -> float:
        """All stages together."""
        return float(sum(self.stages.values()))


def job_joules(record: MeasuredStudyRecord) -> JobJoules | None:
    """The joules of a run.

    Args:
        record: Of a point with its readings beside it.

    Returns:
        By stages; None where it has no readings, not of all hosts, or others than the record's joules are from.
    """
    if record.energy.coverage.missing or not record.energy.total_J:
        return None
    end_s = _end_s(record)
    stretches: list[tuple[str, float, float]] = []

    def edges_of(first: float, last: float) -> NDArray[np.float64]:
        first, last = max(first, 0.0), min(last, end_s)
        if last <= first:
            return np.array([])
        clipped = [(name, max(begin, first), min(end, last)) for name, begin, end in phases_of(record, last)]
        stretches.extend(stretch for stretch in clipped if stretch[2] > stretch[1])
        return np.unique([first, last, *(edge for _, *both in stretches for edge in both)]) if stretches else np.array([])

    spent = joules_between(record, edges_of)
    if spent is None:
        return None
    edges, joules = spent
    started = min((begin for name, begin, _ in stretches if name != "replication"), default=edges[-1])
    stages = dict.fromkeys(STAGES, 0.0)
    for middle, part in zip((edges[:-1] + edges[1:]) / 2, joules, strict=True):
        name = next((name for name, begin, end in stretches if begin <= middle < end), START_UP if middle < started else OTHER)
        stages[name] += float(part)
    if abs(stages["timed"] - record.energy.total_J) > AGREEMENT * abs(record.energy.total_J):
        return None
    return JobJoules(stages, end_s, end_s - float(edges[-1] - edges[0]))


def _end_s(record: MeasuredStudyRecord) -> float:
    """When the ranks were done, on the run's axis, s; of older records, when the last window or rest was over."""
    time = record.time
    ends = [*(window.end_s for window in time.windows), *(rest.end_s for rest in time.idle or ())]
    return max([*ends, *(stage.end_s for stage in time.stages or ())])
