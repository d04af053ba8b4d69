"""Hybrid parallelism: any mesh of pipeline x data x sequence x tensor, by composition.

    mesh 2 x 2 (pipeline x data):   replica 0:  rank 0 --> rank 2        rank 0 and 1 sum the gradients of stage 0,
                                    replica 1:  rank 1 --> rank 3        rank 2 and 3 those of stage 1

Nothing of its own: the parts of the four axes, and the sum of their traffic, with a replica's samples, a rank's tokens
and a shard's parameters in the formulas. ``mesh.*`` must be given; the product must be ``ranks``. All options of
``data.py``, ``sequence.py``, ``tensor.py`` and ``pipeline.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from strategies.base import register
from strategies.common.appearance import Appearance
from strategies.common.plan_error import PlanError
from strategies.plan.shapes import MeshShape
from strategies.plan.step_options import StepOptions
from strategies.step.composition import ComposedStrategy


@register
class HybridParallel(ComposedStrategy):
    """A mesh of all four axes."""

    name: ClassVar[str] = "hybrid"
    axes: ClassVar[tuple[str, ...]] = ("pipeline", "data", "sequence", "tensor")
    appearance: ClassVar[Appearance | None] = Appearance(60, "#CC79A7", "P", "++++", "hybrid")
    default_micro_batches: ClassVar[int | Literal["stages"]] = "stages"
    option_class: ClassVar[type] = StepOptions

    @classmethod
    def mesh_for(cls, ranks: int, axis_sizes: Mapping[str, int | None]) -> MeshShape:
        """The mesh as given; there is no default.

        Raises:
            PlanError: No axis has a size, or the product is not ``ranks``.
        """
        if all(size is None for size in axis_sizes.values()):
            raise PlanError(
                f"<strategy hybrid> needs a mesh, such as <mesh pipeline>=2 <mesh data>=2, whose product is ranks={ranks}"
            )
        return super().mesh_for(ranks, axis_sizes)

    @classmethod
    def micro_batches(cls, requested: int | None, mesh: MeshShape, batch: int | None = None) -> int:
        """As given; else two for each stage of a pipeline, or one where there is none."""
        return super().micro_batches(requested, mesh, batch) if requested or mesh.pipeline > 1 else 1
