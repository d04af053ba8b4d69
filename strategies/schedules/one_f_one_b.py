"""1F1B: p-s-1 forwards ahead, then one backward for each forward (PipeDream-Flush, Narayanan et al., arXiv 2006.09503).

stage 0 of 2: F0 F1 B0 F2 B1 F3 B2 B3         bubble (p-1)(F+B); keeps at most min(m, p-s) activations
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from strategies.schedules.actions import Action, Backward, Forward
from strategies.schedules.schedule import Schedule, register


@register
class OneForwardOneBackward(Schedule):
    """One backward for each forward, as soon as there is one to do."""

    name: ClassVar[str] = "1f1b"
    order: ClassVar[int] = 10

    @staticmethod
    def compute_order(stage: int, stages: int, micros: int, virtual: int = 1) -> Iterator[Action]:
        """Forwards ahead as many as stages follow, then in turns."""
        ahead = min(stages - stage - 1, micros)
        yield from map(Forward, range(ahead))
        for micro in range(micros):
            if ahead + micro < micros:
                yield Forward(ahead + micro)
            yield Backward(micro)
