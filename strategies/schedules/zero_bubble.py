"""Zero bubble (ZB-H1): 1F1B whose weight gradients wait until there is nothing else to do (Qi et al., arXiv 2401.10241).

    stage 1 of 2: F0 I0 F1 I1 W0 F2 I2 W1 W2      bubble (p-1)(F+I-W); keeps what the weights' share needs a little longer

Weight gradients lag ``stage`` micro-batches behind: later stages have them left to fill the end with.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from strategies.schedules.actions import Action, BackwardInput, BackwardWeight, Forward
from strategies.schedules.schedule import Schedule, register


@register
class ZeroBubble(Schedule):
    """1F1B with a backward in two parts, of which the second fills the bubbles."""

    name: ClassVar[str] = "zero_bubble"
    order: ClassVar[int] = 30
    postpones_weights: ClassVar[bool] = True

    @staticmethod
    def compute_order(stage: int, stages: int, micros: int, virtual: int = 1) -> Iterator[Action]:
        """As 1F1B, with the input gradient in the place of the backward, and weight gradients later."""
        ahead, weights = min(stages - stage - 1, micros), 0
        yield from map(Forward, range(ahead))
        for micro in range(micros):
            if ahead + micro < micros:
                yield Forward(ahead + micro)
            yield BackwardInput(micro)
            # Once the forwards are over, a weight gradient fits into every gap before the next input gradient arrives.
            if micro >= stage:
                yield BackwardWeight(weights)
                weights += 1
        yield from map(BackwardWeight, range(weights, micros))
