"""Hybrid parallelism: stages of a pipeline, each a tensor-parallel group, replicated for data parallelism.

    mesh 2 x 2 (pipeline x data):   replica 0:  rank 0 --> rank 2        rank 0 and 1 sum the gradients of stage 0,
                                    replica 1:  rank 1 --> rank 3        rank 2 and 3 those of stage 1

Nothing of its own: the cut of ``tensor.py``, the runner of ``pipeline.py``, the sync of ``data.py``, and the sum of
their traffic. ``mesh.*`` must be given; the product must be ``ranks``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from strategies import data, pipeline, tensor
from strategies.base import register
from strategies.composed import Composed, NoSync, Sync
from strategies.errors import PlanError
from strategies.models.layers import Cut
from strategies.models.spec import ModelSpec
from strategies.plan import MeshShape, StepShape, Volume, place
from strategies.runner import Runner


@register
class Hybrid(Composed):
    name: ClassVar[str] = "hybrid"
    axes: ClassVar[tuple[str, ...]] = ("pipeline", "data", "tensor")
    default_micro_batches: ClassVar[int | Literal["stages"]] = "stages"
    options: ClassVar[Mapping[str, Any]] = {**pipeline.Pipeline.options, **data.Data.options}

    @classmethod
    def mesh_for(cls, ranks: int, given: Mapping[str, int | None]) -> MeshShape:
        if all(size is None for size in given.values()):
            raise PlanError(
                f"strategy=hybrid needs a mesh, such as mesh.pipeline=2 mesh.data=2, whose product is ranks={ranks}"
            )
        return super().mesh_for(ranks, given)

    @classmethod
    def micro_batches(cls, given: int | None, mesh: MeshShape) -> int:
        return super().micro_batches(given, mesh) if given or mesh.pipeline > 1 else 1

    @classmethod
    def volumes(cls, model: ModelSpec, shape: StepShape, mesh: MeshShape, options: Mapping[str, Any]) -> list[Volume]:
        pipeline.check_schedule(options)
        placement = place(model, shape, mesh, options["stages"], options["shares"])
        return [
            *data.volumes(model, shape, mesh, placement, options["bucket_bytes"]),
            *tensor.volumes(model, shape, mesh, placement),
            *pipeline.volumes(model, shape, mesh, placement),
        ]

    @classmethod
    def live(cls, shape: StepShape, mesh: MeshShape, options: Mapping[str, Any]) -> dict[int, int]:
        pipeline.check_schedule(options)
        return pipeline.live(shape, mesh, options["schedule"])

    def make_cut(self) -> Cut:
        if self.mesh.shape.tensor == 1:
            return super().make_cut()
        return tensor.cut_for(self.at, self.spec, self.mesh.groups["tensor"])

    def make_runner(self) -> Runner:
        return super().make_runner() if self.mesh.shape.pipeline == 1 else pipeline.stage_runner(self)

    def make_sync(self) -> Sync:
        return pipeline.tied(self, data.gradient_sync(self) if self.mesh.shape.data > 1 else NoSync(self.module))
