"""The schedule of a pipeline as a record shows it: its text, and when each computation of one step ran, predicted beside
measured. Pure functions of the plan and the ranks' ledgers.

Predicted is what the schedule would take if messages were free: the simulator plays it with the mean measured time of a
forward and of a backward on each stage. It differs from the measured step by the messages, and by what the times of that
step differ from their means.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from statistics import fmean, median_low
from typing import Any, NamedTuple

from bench.timeline.rank_report import RankReport, Timeline
from bench.timeline.rank_states import ToCommon
from strategies.plan.shapes import Plan
from strategies.schedules import Action, actions, text
from strategies.schedules.simulation import simulate

ACTION = re.compile(r"[FBIW]\d+(\.\d+)?")


class Computation(NamedTuple):
    """One action of a rank, such as ``F3``, in seconds on the common axis. Communication inside it, as that of tensor
    shards, is part of it; messages between stages are not."""

    rank: int
    step: int
    action: str
    start_s: float
    end_s: float


def stage_actions(plan: Plan) -> list[list[Action]]:
    """What each stage does in one step, messages included; an empty list for a plan without pipeline stages."""
    at = plan.placements[0]
    stages, micros, virtual = at.stage[1], len(at.micros), len(at.layers)
    if stages == 1:
        return []
    return [list(actions(plan.options["schedule"], stage, stages, micros, virtual)) for stage in range(stages)]


def schedule_block(plan: Plan, reports: Sequence[RankReport], timeline: Timeline, to_common: ToCommon) -> dict[str, Any] | None:
    """``time.schedule`` of the record, or None for a plan without pipeline stages.

    The step shown is the timed one of median duration (of an even number the shorter of the two in the middle), numbered
    as in the ledger. Intervals are ``[stage or rank, action, start_s, end_s]``, in seconds from the first computation of
    that step on any rank; ``duration_s`` ends with the last one, so gradient sums and the optimizer lie outside of it.
    """
    todo = stage_actions(plan)
    if not todo:
        return None
    steps, durations = timeline.timed_steps(), timeline.durations(timed=True)
    done = _computations(reports, set(steps), to_common)
    forward_s, backward_s, weight_share = mean_times(plan, done)
    predicted = simulate(todo, forward_s, backward_s, weight_share=weight_share)
    step = steps[durations.index(median_low(durations))]
    return {
        "name": plan.options["schedule"],
        "step": step,
        "text": [text(stage) for stage in todo],
        "predicted": {
            "duration_s": predicted.duration_s,
            "bubble": predicted.bubble,
            "intervals": [[i.stage, str(i.action), i.start_s, i.end_s] for i in predicted.intervals],
        },
        "measured": _measured([found for found in done if found.step == step], len(reports)),
    }


def mean_times(plan: Plan, done: Iterable[Computation]) -> tuple[list[float], list[float], float]:
    """``(forward_s, backward_s, weight_share)`` for the simulator: mean seconds of one micro-batch on each stage, and the
    part of all backward time that computes weight gradients (0 where the schedule does not split backward).

    Of several ranks at one stage the slowest counts, as the next stage waits for all of them.
    """
    spent: dict[tuple[int, str], dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for found in done:
        stage = plan.placements[found.rank].stage[0]
        spent[stage, found.action[0]][found.rank].append(found.end_s - found.start_s)
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


def _measured(done: Sequence[Computation], ranks: int) -> dict[str, Any]:
    begin_s = min(found.start_s for found in done)
    duration_s = max(found.end_s for found in done) - begin_s
    busy_s = sum(found.end_s - found.start_s for found in done)
    return {
        "duration_s": duration_s,
        "bubble": 1 - busy_s / (ranks * duration_s),
        "intervals": [[found.rank, found.action, found.start_s - begin_s, found.end_s - begin_s] for found in done],
    }
