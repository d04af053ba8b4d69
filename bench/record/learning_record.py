"""The record's ``learning``: what was learnt, after how many steps, seconds and joules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from bench.record.block import Block, Entry


@dataclass(frozen=True, kw_only=True)
class EvaluationRecord(Block):
    """An evaluation over the validation split. Time and energy are those of training up to it, evaluations not counted."""

    step: Annotated[int, Entry("steps done before it", "1")]
    time_s: Annotated[float, Entry("training time of this run up to it, warm-up included", "s")]
    energy_J: Annotated[float | None, Entry("energy of all hosts in that time; null: not known", "J")]
    value: Annotated[float, Entry("value of the metric", "1")]
    loss: Annotated[float, Entry("mean loss over the split", "nat")]
    n: Annotated[int, Entry("samples (or tokens) that were judged", "1")]


@dataclass(frozen=True, kw_only=True)
class LearningCurveRecord(Block):
    """One value for each step of this run, warm-up included."""

    step: Annotated[Sequence[int], Entry("number of the step, from 1", "1")]
    loss: Annotated[Sequence[float], Entry("training loss of the step", "nat")]
    time_s: Annotated[Sequence[float], Entry("training time up to the end of the step", "s")]
    energy_J: Annotated[Sequence[float] | None, Entry("energy of all hosts in that time; null: not known", "J")]


@dataclass(frozen=True, kw_only=True)
class LearningRecord(Block):
    """Loss and metric by step, time and energy."""

    metric_name: Annotated[str, Entry("accuracy, or perplexity")]
    initial: Annotated[EvaluationRecord | None, Entry("evaluation before the first step; null: none was asked for")]
    final: Annotated[EvaluationRecord | None, Entry("evaluation after the last step; null: none")]
    curve: Annotated[LearningCurveRecord, Entry("loss of every step")]
    evaluations: Annotated[Sequence[EvaluationRecord], Entry("all evaluations, in order")]
