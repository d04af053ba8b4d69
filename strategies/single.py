"""One process: the reference that every other strategy must equal.

    batch -> [embed, blocks, head] -> loss / global count -> backward        no traffic

Micro-batches are gradient accumulation: the loss of each is divided by the number of valid targets of the whole
batch, so their gradients add up to the same sum whatever their number.
"""

from __future__ import annotations

from typing import ClassVar

from strategies.base import register
from strategies.common.appearance import Appearance
from strategies.step.composition import ComposedStrategy


@register
class SingleProcess(ComposedStrategy):
    """One process that holds and computes everything."""

    name: ClassVar[str] = "single"
    axes: ClassVar[tuple[str, ...]] = ()
    appearance: ClassVar[Appearance | None] = Appearance(0, "#000000", "s", "", "single")
