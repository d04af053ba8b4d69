"""The record's ``learning`` block: what was learnt, after how many steps, seconds and joules."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Literal

from bench.joules.energy_block import step_joules
from bench.record.learning_record import EvaluationRecord, LearningCurveRecord, LearningRecord
from bench.run.gathered_run import GatheredRun
from bench.timeline.training_history import Evaluation


def learning_block(gathered: GatheredRun) -> LearningRecord:
    """Loss by step with the training time and energy spent up to it in this run (warm-up included, evaluations not).

    Steps of a resumed training go on where they stopped; time and energy begin at zero.

    Args:
        gathered: The run that is over.

    Returns:
        The block; joules are None where no energy was measured.
    """
    reports, first_step = gathered.reports, gathered.reports[0].history.first_step
    loss = [math.fsum(parts) for parts in zip(*(report.losses for report in reports), strict=True)]
    steps = [after - before for edge in gathered.timeline.edges for before, after in itertools.pairwise(edge)]
    step_J = step_joules(gathered.cover, gathered.timeline.edges)
    seconds = list(itertools.accumulate(steps, initial=0.0))
    joules = list(itertools.accumulate(step_J or (), initial=0.0))
    by_evaluation = zip(*(report.history.evaluations for report in reports), strict=True)
    evaluations = [_evaluation(parts, _metric(gathered), first_step, seconds, joules) for parts in by_evaluation]
    return LearningRecord(
        metric_name=_metric(gathered),
        initial=evaluations[0] if evaluations and evaluations[0].step == first_step else None,
        final=evaluations[-1] if evaluations else None,
        curve=LearningCurveRecord(
            step=list(range(first_step + 1, first_step + len(loss) + 1)),
            loss=loss,
            time_s=seconds[1:],
            energy_J=None if step_J is None else joules[1:],
        ),
        evaluations=evaluations,
    )


def _metric(gathered: GatheredRun) -> Literal["accuracy", "perplexity"]:
    return "accuracy" if gathered.config.model.spec.head == "classifier" else "perplexity"


def _evaluation(
    parts: Sequence[Evaluation], metric: str, first_step: int, seconds: Sequence[float], joules: Sequence[float]
) -> EvaluationRecord:
    """One evaluation from the parts of all ranks; ``seconds`` and ``joules`` are those before the first step and after each."""
    step, count = parts[0].step, sum(part.scores.count for part in parts)
    done = step - first_step
    loss = math.fsum(part.scores.loss_sum for part in parts) / count
    return EvaluationRecord(
        step=step,
        time_s=seconds[done],
        energy_J=joules[done] if len(joules) > done else None,
        value=sum(part.scores.correct for part in parts) / count if metric == "accuracy" else math.exp(loss),
        loss=loss,
        n=count,
    )
