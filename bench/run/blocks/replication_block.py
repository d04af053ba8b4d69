"""The record's ``replication`` block."""

from __future__ import annotations

from bench.joules.energy_block import window_energy
from bench.record.spent_record import ReplicationRecord
from bench.run.gathered_run import GatheredRun


def replication_block(gathered: GatheredRun) -> ReplicationRecord | None:
    """Seconds, bytes and joules of bringing the weights to the ranks.

    Args:
        gathered: The run that is over.

    Returns:
        The block; None where that was not asked for.
    """
    sent = gathered.facts.replication
    if sent is None:
        return None
    begin, end = gathered.to_common(0, sent.begin_ns), gathered.to_common(0, sent.end_ns)
    spent = window_energy(gathered.cover, gathered.clock.bound_s, (begin, end))
    return ReplicationRecord(start_s=begin, seconds=end - begin, payload_bytes=sent.payload_bytes, **vars(spent))
