"""The step that all synchronous strategies share, put together from four exchangeable parts.

    the global batch -> this replica's samples -> micro-batches -> this rank's tokens
        cut        how layers split over the tensor axis talk         parts/cut.py, or nothing
        spread     how tokens split over the sequence axis meet       parts/ring.py, parts/ulysses.py, or nothing
        runner     carries micro-batches through the stages           parts/stages.py, or parts/runner.py
        gradients  adds up what ranks with the same weights found     parts/gradients.py

A strategy names its axes and options; the mesh decides which parts it brings. The loss is divided by the number of valid
targets of the global batch before backward, and every reduction is a sum: so uneven shares, accumulation and pipelining
give the same gradients as one process.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from typing import Any, Literal

import torch
from torch import Tensor, nn

from strategies.base import Batch, Scores, Strategy
from strategies.comm.progress_thread import Pump
from strategies.common.plan_error import PlanError
from strategies.models.layers import Cut, Spread, Whole
from strategies.models.pretrained_weights import WeightLoader, fill
from strategies.models.transformer import Micro, Transformer
from strategies.plan import gradient_buckets
from strategies.plan.model_spec import ModelSpec, Parameter, parameters
from strategies.plan.partition import even
from strategies.plan.placement import Placement, place
from strategies.plan.predicted_memory import memory
from strategies.plan.shapes import MeshShape, Plan, StepShape, Volume, merge
from strategies.schedules import check as check_schedule
from strategies.schedules import live_micro_batches
from strategies.step import gradient_sync, pipeline_stage, sequence_attention, tensor_parallel_layers
from strategies.step.local_runner import LocalRunner

DATA_OPTIONS: Mapping[str, Any] = {"shares": None}
TENSOR_OPTIONS: Mapping[str, Any] = {"tensor_shares": None, "norms": "replicated"}
OPTIONS: Mapping[str, Any] = {
    **DATA_OPTIONS,
    **gradient_buckets.OPTIONS,
    **TENSOR_OPTIONS,
    **sequence_attention.OPTIONS,
    **pipeline_stage.OPTIONS,
}


class Composed(Strategy):
    """A strategy made of a cut, a spread, a runner and a gradient sync. Subclasses name their axes and options."""

    module: Transformer

    @classmethod
    def plan(cls, model: ModelSpec, shape: StepShape, mesh: MeshShape, options: Mapping[str, Any]) -> Plan:
        given = {**OPTIONS, **options}
        _check(given, mesh, shape)
        placement = place(model, shape, mesh, given)
        return Plan(
            strategy=cls.name,
            model=model,
            shape=shape,
            mesh=mesh,
            options=given,
            placement=placement,
            memory=memory(
                model,
                shape,
                placement,
                _live(placement, shape, given),
                gradient_buckets.updated_elements(model, shape, placement, given),
            ),
            volumes=tuple(merge(cls.volumes(model, shape, placement, given))),
            notes=("activations are an estimate", *_uneven(model, placement, given)),
        )

    @classmethod
    def volumes(
        cls, spec: ModelSpec, shape: StepShape, placement: tuple[Placement, ...], options: Mapping[str, Any]
    ) -> Iterator[Volume]:
        """Traffic of every rank in one step: the sum of the parts'."""
        yield from gradient_buckets.volumes(spec, shape, placement, options)
        yield from tensor_parallel_layers.volumes(spec, shape, placement)
        yield from sequence_attention.volumes(spec, shape, placement, options)
        yield from pipeline_stage.volumes(spec, shape, placement)

    def make_gradients(self) -> gradient_sync.GradientSync:
        """How gradients are added up. Collective."""
        return gradient_sync.GradientSync.of(self.module, self.mesh, self.shape, self.made_by.placement, self.made_by.options)

    def build(self, load: WeightLoader, dtype: torch.dtype, device: str = "cpu") -> nn.Module:
        self.device = torch.device(device)
        with torch.device("meta"):
            recompute = self.shape.recompute == "blocks"
            module = Transformer(self.spec, self.at, self._cut(), self._spread(), recompute).to(dtype)
        self.module = module.to_empty(device=self.device)
        fill(
            self.module, [(p, self.at.shard(p, self.spec)) for p in parameters(self.spec) if self.at.holds(p, self.spec)], load
        )
        placement = self.made_by.placement
        self.runner: LocalRunner | pipeline_stage.StageRunner
        if self.at.stage[1] > 1:
            self.runner = pipeline_stage.StageRunner(self.module, self.mesh.stages, self.at, placement, self.made_by.options)
        else:
            self.runner = LocalRunner(self.module, self.mesh.ledger)
        self.gradients = self.make_gradients()
        talks = self.at.stage[1] > 1 or self.mesh.shape.sequence > 1
        self.pump = Pump(self.mesh.stages) if talks and self.mesh.progress == "thread" else None
        return self.module

    def step(self, batch: Batch) -> Tensor:
        count = batch.valid()
        micros = [self._micro(batch, *span) for span in self.at.micros]
        self.gradients.begin(len(micros))
        with self.pump or nullcontext():
            loss = self.runner.train(micros, count)
        with self.mesh.ledger.during("backward", op="gradients"):
            self.gradients.finish(batch)
        return loss if self._reports() else torch.zeros_like(loss)

    def trainable(self) -> list[tuple[nn.Parameter, bool]]:
        return self.gradients.trainable()

    def sharded(self, values: Mapping[str, Tensor]) -> dict[nn.Parameter, Tensor]:
        return self.gradients.sharded(values)

    def local(self, values: Mapping[nn.Parameter, Tensor]) -> dict[str, Tensor]:
        return self.gradients.whole(values)

    def updated(self) -> None:
        self.gradients.updated()

    def evaluate(self, batch: Batch) -> Scores:
        begin, end = even(len(batch), self.at.replica[1])[self.at.replica[0]]
        if begin == end:
            return Scores(0.0, 0, 0)
        spans = self.at.spans(len(batch), min(self.shape.micro_batches, end - begin))
        micros = [self._micro(batch, *span) for span in spans]
        if isinstance(self.runner, LocalRunner):
            scores = self.runner.evaluate(micros)
        else:
            scores = self.runner.evaluate(micros, len(batch))
        return scores if self._reports() else Scores(0.0, 0, 0)

    def export(self, what: Literal["weights", "gradients"] | Mapping[nn.Parameter, Tensor]) -> Iterator[tuple[str, Tensor]]:
        if what == "weights":
            own = {name: p.detach() for name, p in self.module.named_parameters()}
        else:
            own = self.gradients.whole(self.gradients.gradients() if what == "gradients" else what)
        for number, parameter in enumerate(parameters(self.spec)):
            whole = self._gather(parameter, own.get(parameter.name), number)
            if whole is not None:
                yield parameter.name, whole

    def close(self) -> None:
        self.gradients.close()
        if self.pump is not None:
            self.pump.close()

    def _cut(self) -> Cut:
        return (
            Whole()
            if self.mesh.shape.tensor == 1
            else tensor_parallel_layers.cut_of(self.at, self.made_by.placement, self.mesh)
        )

    def _spread(self) -> Spread:
        if self.mesh.shape.sequence == 1:
            return Whole()
        return sequence_attention.spread_of(self.made_by.placement, self.mesh, self.made_by.options)

    def _micro(self, batch: Batch, begin: int, end: int) -> Micro:
        return Micro.of(batch.span(begin, end).to(self.device), self.at)

    def _reports(self) -> bool:
        """Whether this rank's loss and scores count: the last stage, one tensor rank, and of a classifier, whose
        sequence ranks all compute the same loss, one of these."""
        at = self.at.coordinates
        return self.at.last and at["tensor"] == 0 and (at["sequence"] == 0 or self.spec.head == "lm")

    def _gather(self, parameter: Parameter, local: Tensor | None, tag: int) -> Tensor | None:
        """The whole tensor on rank 0, from the first rank that holds each piece."""
        first: dict[int, int] = {}
        for at in self.made_by.placement:
            if at.holds(parameter, self.spec):
                piece = at.shard(parameter, self.spec)
                first.setdefault(piece[0] if piece else 0, at.rank)
        owners = [first[begin] for begin in sorted(first)]
        if self.mesh.rank in owners and self.mesh.rank != 0:
            assert local is not None
            self.mesh.world.send(local.contiguous(), 0, tag).finish()
        if self.mesh.rank != 0:
            return None
        shards = [self._shard_from(owner, parameter, local, tag) for owner in owners]
        return shards[0] if len(shards) == 1 else torch.cat(shards, dim=parameter.split or 0)

    def _shard_from(self, owner: int, parameter: Parameter, local: Tensor | None, tag: int) -> Tensor:
        if owner == 0:
            assert local is not None
            return local.clone()
        shape = parameter.part(self.made_by.placement[owner].shard(parameter, self.spec))
        like = next(self.module.parameters())
        return self.mesh.world.receive(like.new_empty(shape), owner, tag).finish()


def _uneven(model: ModelSpec, placement: tuple[Placement, ...], options: Mapping[str, Any]) -> list[str]:
    """What a reader should know where stages got different numbers of layers without having been told to."""
    layers = {at.stage[0]: sum(end - begin for begin, end in at.layers) for at in placement}
    if options["stages"] or len(set(layers.values())) == 1:
        return []
    each = ", ".join(str(layers[stage]) for stage in sorted(layers))
    return [f"{model.layers} layers over {len(layers)} stages are not even: {each} (strategy.stages=[...] gives others)"]


def _check(options: Mapping[str, Any], mesh: MeshShape, shape: StepShape) -> None:
    """Options whose values are names or small numbers. Raises PlanError."""
    stages_count = len(options["groups"]) if options["groups"] else mesh.pipeline
    if stages_count > 1:
        check_schedule(options["schedule"], stages_count, shape.micro_batches, options["virtual_stages"])
    sequence_attention.check(options)
    if options["zero"] not in (0, 1):
        raise PlanError(f"strategy.zero={options['zero']} is not supported; use 0 or 1 (optimizer states are shared)")
    if options["wire"] is not None and options["wire"] not in gradient_buckets.WIRE:
        raise PlanError(f"strategy.wire={options['wire']} is unknown; use null, {' or '.join(gradient_buckets.WIRE)}")
    if not isinstance(options["bucket_bytes"], int) or options["bucket_bytes"] < 1:
        raise PlanError(f"strategy.bucket_bytes={options['bucket_bytes']} must be a positive number of bytes")


def _live(placement: tuple[Placement, ...], shape: StepShape, options: Mapping[str, Any]) -> dict[int, int]:
    """Micro-batches that each stage keeps at once."""
    if placement[0].stage[1] == 1:
        return {0: 1}
    return {
        at.stage[0]: live_micro_batches(options["schedule"], *at.stage, shape.micro_batches, len(at.layers)) for at in placement
    }
