"""The view of one rank on the failure of another: stretches of time on its own clock, and the bytes it handled."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Span:
    """A stretch of time on this rank's clock.

    ``part`` is copies, notice, shrink, rebuild, redo or after; ``what`` is step or copy, or again the part where that is all
    of it. ``loss`` is this rank's contribution to that of a step.
    """

    part: str
    what: str
    begin_ns: int
    end_ns: int
    step: int | None = None
    loss: float | None = None


@dataclass
class Lived:
    """The failure as one rank saw it. Ranks have their numbers of before."""

    rank: int
    spans: list[Span] = field(default_factory=list)
    copied_bytes: int = 0
    copy_memory_bytes: int = 0
    restored_bytes: int = 0
    weights_hash: str | None = None
    """Of its weights at the end; None of the rank that failed."""
