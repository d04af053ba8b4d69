"""The schedule of a pipeline as a record shows it: when each computation of one step ran, predicted beside measured.

Pure functions of the plan and the ranks' ledgers.

Predicted is what the schedule would take if messages were free: the simulator plays it with the mean measured time of a
forward and of a backward on each stage. It differs from the measured step by the messages, and by what the times of that
step differ from their means.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from statistics import fmean, median_low
from typing import NamedTuple

from bench.record.schedule_record import PlayedScheduleRecord, ScheduleInterval, ScheduleRecord
from bench.timeline.rank_report import RankReport, Timeline
from bench.timeline.rank_states import ToCommon
from strategies.plan.shapes import Plan
from strategies.schedules import Action, actions, text
from strategies.schedules.simulation import simulate

ACTION = re.compile(r"[FBIW]\d+(\.\d+)?")


class Computation(NamedTuple):
    """One action of a rank, such as ``F3``, in seconds on the common axis.

    Communication inside it, as that of tensor shards, is part of it; messages between stages are not.
    """

    rank: int
    step: int
    action: str
    start_s: float
    end_s: float


def stage_actions(plan: Plan) -> list[list[Action]]:
    """The actions of each stage in one step, messages included.

    Args:
        plan: The plan of the run.

    Returns:
        A list for each stage; an empty list for a plan without pipeline stages.
    """
    first = plan.placements[0]
    stages, micros, virtual = first.stage[1], len(first.micros), len(first.layers)
    if stages == 1:
        return []
    return [list(actions(plan.step_options.schedule, stage, stages, micros, virtual)) for stage in range(stages)]


def schedule_block(plan: Plan, reports: Sequence[RankReport], timeline: Timeline, to_common: ToCommon) -> ScheduleRecord | None:
    """``time.schedule`` of the record.

    The step shown is the timed one of median duration (of an even number the shorter of the two in the middle), numbered
    as in the ledger. Intervals are ``[stage or rank, action, start_s, end_s]``, in seconds from the first computation of
    that step on any rank; ``duration_s`` ends with the last one, so gradient sums and the optimizer lie outside of it.

    Args:
        plan: The plan of the run.
        reports: Those of all ranks, in order.
        timeline: The steps of all ranks.
        to_common: ``to_common(rank, t_ns)`` gives seconds on the common axis.

    Returns:
        The schedule as predicted and as measured; None for a plan without pipeline stages.
    """
    todo = stage_actions(plan)
    if not todo:
        return None
    steps, durations = timeline.timed_steps(), timeline.durations(timed=True)
    done = _computations(reports, set(steps), to_common)
    forward_s, backward_s, weight_share = mean_times(plan, done)
    predicted = simulate(todo, forward_s, backward_s, weight_share=weight_share)
    step = steps[durations.index(median_low(durations))]
    return ScheduleRecord(
        name=plan.step_options.schedule,
        step=step,
        text=[text(stage) for stage in todo],
        predicted=PlayedScheduleRecord(
            duration_s=predicted.duration_s,
            bubble=predicted.bubble,
            intervals=[ScheduleInterval(i.stage, str(i.action), i.start_s, i.end_s) for i in predicted.intervals],
        ),
        measured=_measured([one for one in done if one.step == step], len(reports)),
    )


def mean_times(plan: Plan, done: Iterable[Computation]) -> tuple[list[float], list[float], float]:
    """Mean seconds of one micro-batch on each stage, for the simulator.

    Of several ranks at one stage the slowest counts, as the next stage waits for all of them.

    Args:
        plan: The plan of the run.
        done: The computations of all ranks in the timed steps.

    Returns:
        ``(forward_s, backward_s, weight_share)``; the last is the part of all backward time that computes weight gradients
        (0 where the schedule does not split backward).
    """
    spent: dict[tuple[int, str], dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for computation in done:
        stage = plan.placements[computation.rank].stage[0]
        spent[stage, computation.action[0]][computation.rank].append(computation.end_s - computation.start_s)
    stages = range(plan.placements[0].stage[1])

    def slowest(letter: str) -> list[float]:
        return [max(map(fmean, spent[stage, letter].values()), default=0.0) for stage in stages]

    weight_s = slowest("W")
    backward_s = [sum(parts) for parts in zip(slowest("B"), slowest("I"), weight_s, strict=True)]
    return slowest("F"), backward_s, sum(weight_s) / sum(backward_s)


def _computations(reports: Sequence[RankReport], steps: set[int], to_common: ToCommon) -> list[Computation]:
    return [
        Computation(report.rank, entry.step, entry.op, to_common(report.rank, entry.t0_ns), to_common(report.rank, entry.t1_ns))
        for report in reports
        for entry in report.entries
        if entry.kind == "phase" and entry.step in steps and ACTION.fullmatch(entry.op)
    ]


def _measured(done: Sequence[Computation], ranks: int) -> PlayedScheduleRecord:
    begin_s = min(one.start_s for one in done)
    duration_s = max(one.end_s for one in done) - begin_s
    busy_s = sum(one.end_s - one.start_s for one in done)
    return PlayedScheduleRecord(
        duration_s=duration_s,
        bubble=1 - busy_s / (ranks * duration_s),
        intervals=[ScheduleInterval(one.rank, one.action, one.start_s - begin_s, one.end_s - begin_s) for one in done],
    )
