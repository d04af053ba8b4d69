"""The ledger of one rank: every MPI operation with its bytes and times, and the phases of each step.

Times are CLOCK_MONOTONIC nanoseconds of this rank's host. The ledger only appends; sums and splits are made later
from the entries, so a number in a record can always be traced to calls.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

OUTSIDE = "setup"
"""The phase of what is in none of a step's."""


class Entry(NamedTuple):
    """One operation or phase.

    ``kind`` is ``comm`` for an MPI operation, ``wait`` for the main thread waiting for work of the communication
    thread, ``phase`` for forward, backward and optimizer. ``match`` identifies the same operation on its other
    ranks: the members of the group, and its number among the operations of that group (for a message: its sender,
    receiver and tag instead). ``step`` is -1 outside the training steps.
    """

    step: int
    kind: str
    axis: str
    op: str
    phase: str
    payload_bytes: int
    wire_bytes: float
    t0_ns: int
    t1_ns: int
    thread: str
    match: tuple[int | str, ...]


class Ledger:
    """Entries of one rank, in order of completion; ``spent_ns`` is processor time of communication by step and thread."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.spent_ns: Counter[tuple[int, str]] = Counter()
        self.step = -1
        self.phase = OUTSIDE

    def add(
        self,
        axis: str,
        op: str,
        payload_bytes: int,
        wire_bytes: float,
        t0_ns: int,
        match: tuple[int | str, ...],
        *,
        kind: str = "comm",
        phase: str | None = None,
        thread: str = "main",
    ) -> None:
        """Append one operation that ends now.

        Args:
            axis: The group's name.
            op: The operation, such as ``all_reduce``.
            payload_bytes: Of the buffers handed to MPI.
            wire_bytes: That a bandwidth-optimal algorithm sends for them.
            t0_ns: When it began, CLOCK_MONOTONIC.
            match: What identifies it on the other ranks (see ``Entry``).
            kind: ``comm``, ``wait`` or ``phase``.
            phase: None for the current one.
            thread: Which thread called.
        """
        t1_ns = time.monotonic_ns()
        self.entries.append(
            Entry(self.step, kind, axis, op, phase or self.phase, payload_bytes, wire_bytes, t0_ns, t1_ns, thread, match)
        )

    def spend(self, thread: str, spent_ns: int) -> None:
        """Count processor time of communication in the current step.

        Args:
            thread: ``main``, ``comm`` or ``pump``; each is counted by one thread at a time.
            spent_ns: Nanoseconds by that thread's clock.
        """
        self.spent_ns[self.step, thread] += spent_ns

    @contextmanager
    def during(self, phase: str, micro: int = -1, chunk: int = 0, op: str | None = None) -> Iterator[None]:
        """Name what happens inside: operations carry the phase, and the phase itself becomes an entry.

        Args:
            phase: ``forward``, ``backward`` or ``optimizer``.
            micro: The micro-batch, or -1.
            chunk: The virtual stage.
            op: The entry's own name (an action of a pipeline, such as ``F3``); None for that of the phase.

        Returns:
            A context manager.
        """
        outer, self.phase, t0_ns = self.phase, phase, time.monotonic_ns()
        try:
            yield
        finally:
            self.phase = outer
            self.add("", op or phase, 0, 0.0, t0_ns, (micro, chunk), kind="phase", phase=phase)

    def payload_bytes(self, first_step: int = 0) -> Counter[str]:
        """Payload of the operations, added up.

        Args:
            first_step: Steps from this one on count.

        Returns:
            Bytes by ``axis.op.phase``.
        """
        return self._sum(first_step, wire=False)

    def wire_bytes(self, first_step: int = 0) -> Counter[str]:
        """Bytes on the wire of the operations, added up.

        Args:
            first_step: Steps from this one on count.

        Returns:
            Bytes by ``axis.op.phase``.
        """
        return self._sum(first_step, wire=True)

    def _sum(self, first_step: int, wire: bool) -> Counter[str]:
        sums: Counter[str] = Counter()
        for entry in self.entries:
            if entry.kind == "comm" and entry.step >= first_step and entry.payload_bytes:
                key = f"{entry.axis}.{entry.op}.{entry.phase}"
                sums[key] += entry.wire_bytes if wire else entry.payload_bytes  # type: ignore[assignment]
        return sums
