"""The record's ``plan`` block: the plan, with the hosts that ranks really ran on."""

from __future__ import annotations

from dataclasses import replace

from bench.record.plan_record import PlanRecord, PredictedStepRecord
from bench.run.gathered_run import GatheredRun


def plan_block(gathered: GatheredRun) -> PlanRecord:
    """Placement, memory and volumes as planned; notes tell of weights that had to be drawn.

    Args:
        gathered: The run that is over.

    Returns:
        The block; ``predicted`` is None where no time was predicted.
    """
    plan, reports = PlanRecord.from_dict(gathered.plan.to_dict()), gathered.reports
    drawn = sorted({name for report in reports for name in report.drawn})
    predicted = gathered.config.predicted
    return replace(
        plan,
        placement=[replace(place, host=report.facts.host) for place, report in zip(plan.placement, reports, strict=True)],
        notes=[*plan.notes, *([f"not in the checkpoint, drawn at random: {', '.join(drawn)}"] if drawn else [])],
        predicted=None if predicted is None else PredictedStepRecord.from_dict(predicted),
    )
