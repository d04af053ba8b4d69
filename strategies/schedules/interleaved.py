"""Interleaved 1F1B: over v thinner stages on each rank (Narayanan et al., arXiv 2104.04473, section 2.2).

    stage 0 of 2, v = 2: F0 F1 F0.1 F1.1 B0.1 ...   bubble (p-1)(F+B)/v for v times the messages; m is a multiple of p

Micro-batches go round in groups of p: p of them through virtual stage 0, the same p through 1, and so on.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from strategies.common.plan_error import PlanError
from strategies.schedules.actions import Action, Backward, Forward
from strategies.schedules.schedule import Schedule, register


@register
class Interleaved(Schedule):
    """1F1B over several virtual stages on each rank."""

    name: ClassVar[str] = "interleaved"
    order: ClassVar[int] = 20

    @staticmethod
    def compute_order(stage: int, stages: int, micros: int, virtual: int = 1) -> Iterator[Action]:
        """1F1B over numbers of (micro-batch, virtual stage), in groups of as many micro-batches as stages."""
        total = micros * virtual

        def place(number: int, backward: bool) -> tuple[int, int]:
            """(micro-batch, virtual stage) of the rank's forward or backward of this number."""
            turn, chunk = number // (stages * virtual), number // stages % virtual
            return turn * stages + number % stages, virtual - 1 - chunk if backward else chunk

        ahead = min(2 * (stages - stage - 1) + (virtual - 1) * stages, total)
        yield from (Forward(*place(number, False)) for number in range(ahead))
        for number in range(total):
            if ahead + number < total:
                yield Forward(*place(ahead + number, False))
            yield Backward(*place(number, True))

    @classmethod
    def check(cls, stages: int, micros: int, virtual: int) -> None:
        """Needs at least two virtual stages, and micro-batches in multiples of the stages."""
        if virtual < 2:
            raise PlanError(f"<option virtual_stages>={virtual} must be at least 2 with <option schedule>=interleaved")
        if micros % stages:
            raise PlanError(
                f"<option schedule>=interleaved needs micro-batches in multiples of the {stages} stages, found "
                f"{micros}; use <step micro_batches>={-(-micros // stages) * stages}"
            )
