"""The record's ``traffic`` block."""

from __future__ import annotations

from collections import Counter, defaultdict

from bench.record.traffic_record import TrafficRecord
from bench.run.gathered_run import GatheredRun


def traffic_block(gathered: GatheredRun) -> TrafficRecord:
    """Bytes per optimizer step, summed over ranks; a step that moved other bytes than the rest is not averaged away.

    Args:
        gathered: The run that is over.

    Returns:
        Bytes by axis, operation and phase: sent, as planned, and on the wire.
    """
    steps = set(gathered.timeline.timed_steps())
    payload: Counter[tuple[str, int]] = Counter()
    wire: defaultdict[str, float] = defaultdict(float)
    for report in gathered.reports:
        for entry in report.entries:
            if entry.kind == "comm" and entry.payload_bytes and entry.step in steps:
                key = f"{entry.axis}.{entry.op}.{entry.phase}"
                payload[key, entry.step] += entry.payload_bytes
                wire[key] += entry.wire_bytes
    theory = {volume.key: volume.payload_bytes for volume in gathered.plan.volumes}
    keys = sorted({key for key, _ in payload} | set(theory))
    by_step = {key: {payload[key, step] for step in steps} for key in keys}
    return TrafficRecord(
        # A step that differs from the others is shown by its own number, so that the comparison with theory fails.
        payload_bytes={key: _odd_one(sizes, theory.get(key, 0)) for key, sizes in by_step.items()},
        theory_bytes={key: theory.get(key, 0) for key in keys},
        wire_bytes={key: wire[key] / len(steps) for key in keys},
    )


def _odd_one(sizes: set[int], expected: int) -> int:
    others = sorted(sizes - {expected})
    return others[-1] if others else expected
