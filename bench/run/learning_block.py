"""What was learnt, and for how much: the record's ``learning`` block."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

from bench.timeline.rank_report import RankReport, Timeline


def losses(reports: Sequence[RankReport]) -> list[float]:
    """The loss of every step: each rank has its contribution."""
    return [math.fsum(parts) for parts in zip(*(report.losses for report in reports), strict=True)]


def learning_block(
    config: Mapping[str, Any], reports: Sequence[RankReport], timeline: Timeline, step_joules: Sequence[float] | None
) -> dict[str, Any]:
    """Loss by step with the training time and energy spent up to it in this run (warm-up included, evaluations not).

    Steps of a resumed training go on where they stopped; time and energy begin at zero.
    """
    loss, seconds, joules = losses(reports), [0.0], [0.0]
    begun = reports[0].history.first_step
    for edge in timeline.edges:
        for before, after in itertools.pairwise(edge):
            seconds.append(seconds[-1] + after - before)
    for step_J in step_joules or []:
        joules.append(joules[-1] + step_J)
    evaluations = [
        _evaluation(config, [report.history.evaluations[i] for report in reports], begun, seconds, joules)
        for i in range(len(reports[0].history.evaluations))
    ]
    first = evaluations[0] if evaluations and evaluations[0]["step"] == begun else None
    return {
        "metric_name": _metric(config),
        "initial": first,
        "final": evaluations[-1] if evaluations else None,
        "curve": {
            "step": list(range(begun + 1, begun + len(loss) + 1)),
            "loss": loss,
            "time_s": seconds[1:],
            "energy_J": joules[1:] if step_joules is not None else None,
        },
        "evaluations": evaluations,
    }


def _metric(config: Mapping[str, Any]) -> str:
    return "accuracy" if config["model"]["spec"]["head"] == "classifier" else "perplexity"


def _evaluation(
    config: Mapping[str, Any], parts: Sequence[Any], begun: int, seconds: Sequence[float], joules: Sequence[float]
) -> dict[str, Any]:
    step, count = parts[0].step, sum(part.scores.count for part in parts)
    loss = math.fsum(part.scores.loss_sum for part in parts) / count
    correct = sum(part.scores.correct for part in parts)
    return {
        "step": step,
        "time_s": seconds[step - begun],
        "energy_J": joules[step - begun] if len(joules) > step - begun else None,
        "value": correct / count if _metric(config) == "accuracy" else math.exp(loss),
        "loss": loss,
        "n": count,
    }
