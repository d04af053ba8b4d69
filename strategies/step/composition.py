"""The step that all synchronous strategies share, put together from four exchangeable parts.

    the global batch -> this replica's samples -> micro-batches -> this rank's tokens
        tensor layers       exchange of layers split over the tensor axis    tensor_parallel_layers.py, or nothing
        sequence attention  over tokens split over the sequence axis         ring_attention.py, ulysses_attention.py, or nothing
        runner              carries micro-batches through the stages         pipeline_stage.py, or local_runner.py
        gradients           sums those of ranks with the same weights        gradient_sync.py

A strategy names its axes and options; the mesh decides which parts it brings. The loss is divided by the number of valid
targets of the global batch before backward, and every reduction is a sum: so uneven shares, accumulation and pipelining
give the same gradients as one process. Planning needs no torch: the parts are imported when they are built.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Literal

from strategies.base import Batch, Scores, Strategy, WeightSource
from strategies.common.plan_error import PlanError
from strategies.plan import gradient_buckets, pipeline_messages, sequence_volumes, tensor_volumes
from strategies.plan.batch_halves import why_no_halves
from strategies.plan.model_spec import ModelSpec, parameters
from strategies.plan.partition import even
from strategies.plan.placement import place
from strategies.plan.predicted_memory import memory
from strategies.plan.rank_placement import RankPlacement
from strategies.plan.shapes import MeshShape, Plan, StepShape
from strategies.plan.step_options import OVERLAPS, WIRES, StepOptions
from strategies.plan.traffic import Volume, merge
from strategies.schedules import check as check_schedule
from strategies.schedules import live_micro_batches

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from strategies.models.layers import SequenceAttention, TensorParallelLayers
    from strategies.models.transformer import MicroBatch, Transformer
    from strategies.step.alternating_halves import Turns
    from strategies.step.gradient_sync import GradientSync
    from strategies.step.runner import Runner


class ComposedStrategy(Strategy):
    """A strategy made of tensor layers, sequence attention, a runner and a gradient sync. Subclasses name axes and options."""

    module: Transformer

    @classmethod
    def plan(cls, model: ModelSpec, shape: StepShape, mesh: MeshShape, options: Mapping[str, object]) -> Plan:
        """The prediction from the parts of every axis."""
        step_options = StepOptions.of(options)
        _check(step_options, mesh, shape)
        placements = place(model, shape, mesh, step_options)
        updated = gradient_buckets.updated_elements(model, shape, placements, step_options)
        return Plan(
            strategy=cls.name,
            model=model,
            shape=shape,
            mesh=mesh,
            options={**vars(step_options), **options},
            placements=placements,
            memory=memory(model, shape, placements, _live(placements, shape, step_options), updated),
            volumes=tuple(merge(cls.volumes(model, shape, placements, step_options))),
            notes=("activations are an estimate", *_uneven(model, placements, step_options)),
        )

    @classmethod
    def volumes(
        cls, spec: ModelSpec, shape: StepShape, placements: tuple[RankPlacement, ...], options: StepOptions
    ) -> Iterator[Volume]:
        """Traffic of every rank in one step: the sum of that of the parts.

        Args:
            spec: The model.
            shape: The step.
            placements: Of all ranks.
            options: The options with every default.

        Returns:
            In any order; several may have the same key.
        """
        yield from gradient_buckets.volumes(spec, shape, placements, options)
        yield from tensor_volumes.volumes(spec, shape, placements)
        yield from sequence_volumes.volumes(spec, shape, placements, options)
        yield from pipeline_messages.volumes(spec, shape, placements)

    def make_gradients(self) -> GradientSync:
        """How gradients are added up. Collective."""
        from strategies.step.gradient_sync import GradientSync

        return GradientSync.of(self.module, self.mesh, self.shape, self.step_plan.placements, self.step_plan.step_options)

    def make_runner(self) -> Runner:
        """The runner that carries micro-batches through this rank's layers."""
        if self.turns is not None:
            from strategies.step.halves_runner import HalvesRunner

            return HalvesRunner(self.module, self.mesh.ledger, self.turns)
        if self.placement.stage[1] == 1:
            from strategies.step.local_runner import LocalRunner

            return LocalRunner(self.module, self.mesh.ledger)
        from strategies.step.pipeline_stage import StageRunner

        placements, schedule = self.step_plan.placements, self.step_plan.step_options.schedule
        return StageRunner(self.module, self.mesh.stages, self.placement, placements, schedule)

    def build(self, weights: WeightSource, dtype: torch.dtype, device: str = "cpu") -> nn.Module:
        """Build this rank's layers, fill them from ``weights``, and make the parts that the mesh brings. Collective."""
        import torch

        from strategies.comm.progress_thread import Pump
        from strategies.models.pretrained_weights import fill
        from strategies.models.transformer import Transformer

        self.device = torch.device(device)
        self.turns = self._make_turns(dtype)
        with torch.device("meta"):
            recompute = self.shape.recompute == "blocks"
            module = Transformer(self.spec, self.placement, *self._exchanges(), recompute).to(dtype)
        # As to_empty, whose empty_like of a meta tensor first loads torch's reference implementations (0.4 s).
        self.module = module._apply(lambda meta: torch.empty(meta.shape, dtype=meta.dtype, device=self.device))
        held = [parameter for parameter in parameters(self.spec) if self.placement.holds(parameter, self.spec)]
        fill(self.module, [(parameter, self.placement.shard(parameter, self.spec)) for parameter in held], weights)
        self.runner = self.make_runner()
        self.gradients = self.make_gradients()
        stages = self.placement.stage[1] > 1 and self.mesh.progress("pipeline") == "thread"
        tokens = self.mesh.shape.sequence > 1 and self.mesh.progress("sequence") == "thread"
        self.pump = Pump(self.mesh.stages) if stages or tokens else None
        return self.module

    def step(self, batch: Batch) -> Tensor:
        """Run all micro-batches through the stages, then finish the sum of the gradients."""
        count = batch.valid()
        micros = [self._micro_batch(batch, *span) for span in self.placement.micros]
        self.gradients.begin(self.runner.passes(micros))
        with self.pump or nullcontext():
            loss = self.runner.train(micros, count)
        with self.mesh.ledger.during("backward", op="gradients"):
            self.gradients.finish(batch)
        return loss if self._reports() else loss.new_zeros(())

    def trainable(self) -> list[tuple[nn.Parameter, bool]]:
        """This rank's parameters; under ZeRO its shards of them."""
        return self.gradients.trainable()

    def sharded(self, values: Mapping[str, Tensor]) -> dict[nn.Parameter, Tensor]:
        """As ``trainable`` has them."""
        return self.gradients.sharded(values)

    def local(self, values: Mapping[nn.Parameter, Tensor]) -> dict[str, Tensor]:
        """As this rank's parameters have them."""
        return self.gradients.whole(values)

    def updated(self) -> None:
        """Under ZeRO, gather the weights that other ranks have updated. Collective."""
        self.gradients.updated()

    def evaluate(self, batch: Batch) -> Scores:
        """Forward through all stages."""
        begin, end = even(len(batch), self.placement.replica[1])[self.placement.replica[0]]
        if begin == end:
            return Scores(0.0, 0, 0)
        spans = self.placement.spans(len(batch), min(self.shape.micro_batches, end - begin))
        scores = self.runner.evaluate([self._micro_batch(batch, *span) for span in spans], len(batch))
        return scores if self._reports() else Scores(0.0, 0, 0)

    def export(self, what: Literal["weights", "gradients"] | Mapping[nn.Parameter, Tensor]) -> Iterator[tuple[str, Tensor]]:
        """Gather one tensor after the other on rank 0. Collective."""
        from strategies.step.whole_tensors import gathered_on_first_rank

        if what == "weights":
            local = {name: p.detach() for name, p in self.module.named_parameters()}
        else:
            local = self.gradients.whole(self.gradients.gradients() if what == "gradients" else what)
        like = next(self.module.parameters())
        yield from gathered_on_first_rank(local, like, self.spec, self.step_plan.placements, self.mesh.world)

    def close(self) -> None:
        """End the communication thread and the progress pump."""
        self.gradients.close()
        if self.pump is not None:
            self.pump.close()
        if self.turns is not None:
            self.turns.close()

    def _exchanges(self) -> tuple[TensorParallelLayers | None, SequenceAttention | None]:
        """How this rank's layers communicate; None along an axis of one rank."""
        placements, tensor_layers, attention = self.step_plan.placements, None, None
        if self.mesh.shape.tensor > 1:
            from strategies.step.tensor_parallel_layers import split_layers_of

            tensor_layers = split_layers_of(self.placement, placements, self.mesh, self.turns)
        if self.mesh.shape.sequence > 1:
            from strategies.step.sequence_attention import sequence_attention_of

            attention = sequence_attention_of(placements, self.mesh, self.step_plan.step_options)
        return tensor_layers, attention

    def _make_turns(self, dtype: torch.dtype) -> Turns | None:
        """The turns of two halves of each micro-batch, where tensor ranks hide their reductions behind them. Collective."""
        if self.mesh.shape.tensor == 1:
            return None
        from strategies.step.alternating_halves import Turns
        from strategies.step.overlap_choice import choose_overlap
        from strategies.step.overlap_facts import overlap_facts

        axis, asked = tensor_volumes.AXIS, self.step_plan.step_options.overlap
        overlap, choice = choose_overlap(axis, asked, overlap_facts(self.step_plan, self.mesh, self.device, dtype))
        self.mesh.choices.append(choice)
        return Turns(self.mesh.ledger, axis) if overlap == "halves" else None

    def _micro_batch(self, batch: Batch, begin: int, end: int) -> MicroBatch:
        return self.module.micro_batch(batch.span(begin, end).to(self.device))

    def _reports(self) -> bool:
        """Whether this rank's loss and scores count.

        Those of the last stage and one tensor rank do, and of a classifier, whose sequence ranks all compute the same loss,
        those of one of these.
        """
        coordinates = self.placement.coordinates
        one_of_sequence = coordinates["sequence"] == 0 or self.spec.head == "lm"
        return self.placement.last and coordinates["tensor"] == 0 and one_of_sequence


def _uneven(model: ModelSpec, placements: tuple[RankPlacement, ...], options: StepOptions) -> list[str]:
    """The note for a reader of the plan where stages got different numbers of layers without having been told to."""
    layers = {placement.stage[0]: placement.layer_count for placement in placements}
    if options.stages or len(set(layers.values())) == 1:
        return []
    each = ", ".join(str(layers[stage]) for stage in sorted(layers))
    return [f"{model.layers} layers over {len(layers)} stages are not even: {each} (strategy.stages=[...] gives others)"]


def _check(options: StepOptions, mesh: MeshShape, shape: StepShape) -> None:
    """Raise PlanError for options, names or small numbers, that have no meaning."""
    stages_count = len(options.groups) if options.groups else mesh.pipeline
    if stages_count > 1:
        check_schedule(options.schedule, stages_count, shape.micro_batches, options.virtual_stages)
    sequence_volumes.check(options)
    _check_overlap(options, mesh, shape)
    if options.zero not in (0, 1):
        raise PlanError(f"<option zero>={options.zero} is not supported; use 0 or 1 (optimizer states are shared)")
    if options.wire is not None and options.wire not in WIRES:
        raise PlanError(f"<option wire>={options.wire} is unknown; use null, {' or '.join(WIRES)}")
    if not isinstance(options.bucket_bytes, int) or options.bucket_bytes < 1:
        raise PlanError(f"<option bucket_bytes>={options.bucket_bytes} must be a positive number of bytes")


def _check_overlap(options: StepOptions, mesh: MeshShape, shape: StepShape) -> None:
    """Raise PlanError where halves of a batch are asked for and cannot be."""
    if options.overlap not in OVERLAPS:
        raise PlanError(f"<option overlap>={options.overlap} is unknown; use {', '.join(OVERLAPS[:-1])} or {OVERLAPS[-1]}")
    if options.overlap != "halves":
        return
    why_not = why_no_halves(mesh, shape)
    if why_not:
        raise PlanError(f"<option overlap>=halves cannot be: {why_not}; use auto or none")


def _live(placements: tuple[RankPlacement, ...], shape: StepShape, options: StepOptions) -> dict[int, int]:
    """Micro-batches that each stage keeps at once."""
    if placements[0].stage[1] == 1:
        return {0: 1}
    by_stage = {placement.stage[0]: placement for placement in placements}
    return {
        stage: live_micro_batches(options.schedule, *placement.stage, shape.micro_batches, len(placement.layers))
        for stage, placement in by_stage.items()
    }
