"""The record's ``time.processor``: processor time of messages in the timed steps."""

from __future__ import annotations

import math

from bench.record.time_record import ProcessorRecord, RankProcessorRecord
from bench.run.gathered_run import GatheredRun
from bench.timeline.rank_report import RankReport


def processor_block(gathered: GatheredRun) -> ProcessorRecord:
    """Processor seconds of one step, of each rank and their mean.

    Args:
        gathered: The run that is over.

    Returns:
        The block.
    """
    steps = set(gathered.timeline.timed_steps())
    by_rank = [_of_rank(report, steps, 1e9 * gathered.config.dilation_factor) for report in gathered.reports]
    messages_s = math.fsum(rank.messages_s for rank in by_rank) / len(by_rank)
    process_s = math.fsum(rank.process_s for rank in by_rank) / len(by_rank)
    return ProcessorRecord(
        messages_s=messages_s,
        process_s=process_s,
        share=messages_s / process_s if process_s else None,
        by_rank=by_rank,
    )


def _of_rank(report: RankReport, steps: set[int], ns_of_second: float) -> RankProcessorRecord:
    """``ns_of_second`` are nanoseconds of this machine for one second of the boards."""
    spent_s = dict.fromkeys(("main", "comm", "pump"), 0.0)
    for (step, thread), spent_ns in report.spent_ns.items():
        if step in steps:
            spent_s[thread] += spent_ns / ns_of_second / len(steps)
    timed = [segment for segment in report.history.segments if segment.timed]
    process_ns = sum(segment.end_cpu_ns - segment.start_cpu_ns for segment in timed)
    return RankProcessorRecord(
        rank=report.rank,
        process_s=process_ns / ns_of_second / len(steps),
        messages_s=math.fsum(spent_s.values()),
        main_s=spent_s["main"],
        comm_thread_s=spent_s["comm"],
        pump_s=spent_s["pump"],
    )
