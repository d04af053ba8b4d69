"""One process: the reference that every other strategy must equal.

    batch -> [embed, blocks, head] -> loss / global count -> backward        no traffic

Micro-batches are gradient accumulation: the loss of each is divided by the number of valid targets of the whole
batch, so their gradients add up to the same sum whatever their number.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from strategies.base import register
from strategies.composed import Composed
from strategies.models.spec import ModelSpec
from strategies.plan import MeshShape, StepShape, Volume


@register
class Single(Composed):
    name: ClassVar[str] = "single"
    axes: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def volumes(cls, model: ModelSpec, shape: StepShape, mesh: MeshShape, options: Mapping[str, Any]) -> list[Volume]:
        return []
