"""GPipe: all forwards, then all backwards (Huang et al., arXiv 1811.06965).

stage 0: F0 F1 F2 F3 .  .  B0 B1 B2 B3        bubble (p-1)(F+B); keeps m activations
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from strategies.schedules.actions import Action, Backward, Forward
from strategies.schedules.schedule import Schedule, register


@register
class GPipe(Schedule):
    """All forwards, then all backwards."""

    name: ClassVar[str] = "gpipe"
    order: ClassVar[int] = 0

    @staticmethod
    def compute_order(stage: int, stages: int, micros: int, virtual: int = 1) -> Iterator[Action]:
        """``F0 F1 ... B0 B1 ...``."""
        yield from map(Forward, range(micros))
        yield from map(Backward, range(micros))
