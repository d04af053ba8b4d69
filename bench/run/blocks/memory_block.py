"""The record's ``memory`` block."""

from __future__ import annotations

from bench.record.memory_record import MemoryRecord
from bench.run.gathered_run import GatheredRun


def memory_block(gathered: GatheredRun) -> MemoryRecord:
    """Bytes of every rank, measured and as planned.

    Args:
        gathered: The run that is over.

    Returns:
        The block; every list has one number a rank.
    """
    memory = [report.memory for report in gathered.reports]
    return MemoryRecord(
        peak_bytes=[one.peak_bytes for one in memory],
        predicted_bytes=[
            one.baseline_bytes + planned.total_bytes for one, planned in zip(memory, gathered.plan.memory, strict=True)
        ],
        baseline_bytes=[one.baseline_bytes for one in memory],
        states=[one.states for one in memory],
        activations_bytes=[one.activations_bytes for one in memory],
    )
