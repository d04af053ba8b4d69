"""Bytes of the operations of one step: what ranks hand to MPI, and what a bandwidth-optimal algorithm sends for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Volume:
    """Traffic of one operation in one optimizer step, summed over all ranks.

    ``payload_bytes`` are the buffers handed to MPI (for a message: by its sender); ``wire_bytes`` what a
    bandwidth-optimal algorithm sends for them.
    """

    axis: str
    op: str
    phase: str
    calls: int
    payload_bytes: int
    wire_bytes: float

    @property
    def key(self) -> str:
        """``axis.op.phase``, as the ledger sums by."""
        return f"{self.axis}.{self.op}.{self.phase}"


def volume(axis: str, op: str, phase: str, calls: int, payload_bytes: int, ranks: int) -> Volume:
    """The traffic of one rank in a group.

    Args:
        axis: The group's name.
        op: The operation.
        phase: ``forward``, ``backward`` or ``optimizer``.
        calls: How many operations.
        payload_bytes: Of one of them.
        ranks: Ranks of the group.

    Returns:
        Their sum in bytes.
    """
    return Volume(axis, op, phase, calls, calls * payload_bytes, calls * wire_bytes(op, payload_bytes, ranks))


def wire_bytes(op: str, payload_bytes: float, ranks: int) -> float:
    """Bytes that one rank sends when its payload goes through a bandwidth-optimal algorithm.

    | operation      | payload (what a rank hands to MPI) | sent                    |
    |----------------|------------------------------------|-------------------------|
    | all_reduce     | the buffer                         | 2 (n-1)/n of it (ring)  |
    | reduce_scatter | the whole buffer                   | (n-1)/n of it           |
    | all_to_all     | its parts for all ranks            | (n-1)/n of them         |
    | all_gather     | its own part                       | (n-1) times it          |
    | send           | the message, counted by its sender | the message             |

    (Factors: nccl-tests, doc/PERFORMANCE.md.) With uneven parts these are the means over the ranks.

    Args:
        op: One of the table.
        payload_bytes: What the rank hands to MPI.
        ranks: Ranks of the group, n.

    Returns:
        Bytes, a mean over the ranks.
    """
    factor = {
        "all_reduce": 2 * (ranks - 1) / ranks,
        "reduce_scatter": (ranks - 1) / ranks,
        "all_to_all": (ranks - 1) / ranks,
        "all_gather": float(ranks - 1),
        "send": 1.0,
    }
    return factor[op] * payload_bytes


def merge(volumes: Iterable[Volume]) -> Iterator[Volume]:
    """Add up the volumes of the same key; empty ones are dropped.

    Args:
        volumes: In any order.

    Returns:
        One for each key, in order of first appearance.
    """
    by_key: dict[str, list[Volume]] = {}
    for one in volumes:
        if one.calls:
            by_key.setdefault(one.key, []).append(one)
    for same in by_key.values():
        yield Volume(
            same[0].axis,
            same[0].op,
            same[0].phase,
            sum(v.calls for v in same),
            sum(v.payload_bytes for v in same),
            sum(v.wire_bytes for v in same),
        )
