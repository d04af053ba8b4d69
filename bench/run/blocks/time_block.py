"""The record's ``time`` block."""

from __future__ import annotations

import math

from bench.common.median_interval import median_interval
from bench.common.phases import PHASES
from bench.joules.attribution import seconds
from bench.record.time_record import (
    IdleWindowRecord,
    PhaseSecondsRecord,
    RankSecondsRecord,
    StageRecord,
    StateSecondsRecord,
    StepTimeRecord,
    TimeRecord,
    WarmUpRecord,
    WindowRecord,
)
from bench.run.blocks.exposed_block import exposed_block
from bench.run.blocks.processor_block import processor_block
from bench.run.gathered_run import GatheredRun
from bench.timeline import rank_states
from bench.timeline.measured_schedule import schedule_block


def time_block(gathered: GatheredRun) -> TimeRecord:
    """Steps, windows and what the ranks did in them.

    Args:
        gathered: The run that is over.

    Returns:
        The block; times in seconds on the common axis.
    """
    run, timeline = gathered.run, gathered.timeline
    durations = timeline.durations(timed=True)
    by_rank = _by_rank(gathered)
    windows = zip(timeline.windows, timeline.window_steps, strict=True)
    warm = timeline.durations(timed=False)
    return TimeRecord(
        windows=[WindowRecord(start_s=begin, end_s=end, steps=steps) for (begin, end), steps in windows],
        window_s=run.window_s,
        steps=run.steps,
        samples=run.samples,
        tokens=run.tokens,
        step_s=StepTimeRecord(**median_interval(durations), values=durations),
        samples_per_s=run.samples / run.window_s,
        tokens_per_s=run.tokens / run.window_s,
        by_phase=_mean_of_ranks(by_rank, run.steps),
        by_rank=by_rank,
        exposed=exposed_block(gathered, by_rank),
        processor=processor_block(gathered),
        startup_s=gathered.startup_s,
        warmup=WarmUpRecord(steps=len(warm), step_s=warm, stable=gathered.reports[0].history.warmup_stable),
        idle=[IdleWindowRecord(start_s=begin, end_s=end) for begin, end in run.idle_windows],
        stages=[
            StageRecord(stage=one.name, start_s=gathered.to_common(0, one.begin_ns), end_s=gathered.to_common(0, one.end_ns))
            for one in gathered.facts.stages
        ],
        phases=_phases(gathered),
        schedule=schedule_block(gathered.plan, gathered.reports, timeline, gathered.to_common),
        clock=gathered.clock.summary(),
    )


def _by_rank(gathered: GatheredRun) -> list[RankSecondsRecord]:
    windows = gathered.timeline.windows
    return [
        RankSecondsRecord(rank=rank, **rank_states.totals(states, windows))
        for rank, states in sorted(gathered.by_state.items())
    ]


def _mean_of_ranks(by_rank: list[RankSecondsRecord], steps: int) -> StateSecondsRecord:
    """Seconds of a step in each state, mean over ranks."""
    share = 1 / (len(by_rank) * steps)
    return StateSecondsRecord(
        compute_s=share * math.fsum(rank.compute_s for rank in by_rank),
        communicate_s=share * math.fsum(rank.communicate_s for rank in by_rank),
        wait_s=share * math.fsum(rank.wait_s for rank in by_rank),
    )


def _phases(gathered: GatheredRun) -> PhaseSecondsRecord:
    """Seconds of a step in each phase, mean over ranks: they add up to the step."""
    run = gathered.run
    spent = [seconds(stretches, run.windows, PHASES) for stretches in run.stretches.values()]
    share = 1 / (len(spent) * run.steps)
    return PhaseSecondsRecord(**{f"{phase}_s": share * math.fsum(of_rank[phase] for of_rank in spent) for phase in PHASES})
