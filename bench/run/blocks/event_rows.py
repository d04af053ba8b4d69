"""Rows of ``events.parquet``: every operation and phase of all ranks."""

from __future__ import annotations

from typing import Any

from bench.run.gathered_run import GatheredRun

SAME = ("step", "kind", "axis", "op", "phase", "payload_bytes", "thread")


def event_rows(gathered: GatheredRun) -> list[dict[str, Any]]:
    """One row for each entry of the ledgers.

    Args:
        gathered: The run that is over.

    Returns:
        Rows by rank; times in seconds on the common axis.
    """
    return [
        {
            "rank": rank,
            **{key: getattr(entry, key) for key in SAME},
            "match": " ".join(map(str, entry.match)),
            "t0_s": gathered.to_common(rank, entry.t0_ns),
            "t1_s": gathered.to_common(rank, entry.t1_ns),
        }
        for rank, entries in gathered.entries.items()
        for entry in entries
    ]
