"""T4: the equality test sees the classic mistakes. Each is planted in the library, and must break it by far."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from cases import MODELS, Case, reference, train, worst_error
from mpi4py import MPI

from strategies.base import check_options, get
from strategies.comm import collectives
from strategies.comm.group import Group
from strategies.models.layers import Linear
from strategies.models.transformer import MicroBatch
from strategies.plan import gradient_buckets
from strategies.plan.rank_placement import RankPlacement
from strategies.plan.shapes import MeshShape
from strategies.step import (
    alternating_halves,
    bucket_buffer,
    embedding_gradient,
    gradient_sync,
    local_runner,
    pipeline_stage,
    ring_attention,
    ulysses_attention,
)
from strategies.step.composition import ComposedStrategy

# Five orders above the tolerance of the equality test: a fault must not hide near it.
FAR = 1e-4
Plant = Callable[[pytest.MonkeyPatch], None]


def missing_copy_in(patch: pytest.MonkeyPatch) -> None:
    """The input gradient of column-parallel layers is not summed."""
    patch.setattr(collectives._CopyIn, "backward", staticmethod(lambda ctx, gradient: (gradient, None)))


def missing_gradient_sync(patch: pytest.MonkeyPatch) -> None:
    """Replicas keep their own gradients."""
    patch.setattr(bucket_buffer.Bucket, "reduce", lambda self, group, wire: None)


def averaged_gradients(patch: pytest.MonkeyPatch) -> None:
    """Replicas average where they should sum: a loss normalised twice."""
    real = Group.all_reduce_

    def average(self: Group, tensor: torch.Tensor, phase: str | None = None) -> None:
        real(self, tensor, phase)
        tensor /= self.size

    patch.setattr(Group, "all_reduce_", average)


def scaled_by_micro_batches(patch: pytest.MonkeyPatch) -> None:
    """Each micro-batch divides by its own count: gradients grow with their number."""
    for kind in (pipeline_stage.StageRunner, local_runner.LocalRunner):
        real = kind.train

        def scaled(self: Any, micros: Any, count: int, real: Any = real) -> torch.Tensor:
            return real(self, micros, count // len(micros))

        patch.setattr(kind, "train", scaled)


def row_bias_twice(patch: pytest.MonkeyPatch) -> None:
    """Every rank adds the bias of a row-parallel layer before the sum."""

    def row_parallel(self: Linear, x: torch.Tensor, cut: Any) -> torch.Tensor:
        return cut.reduce_out(self(x))

    patch.setattr(Linear, "row_parallel", row_parallel)


def partial_gradients_not_summed(patch: pytest.MonkeyPatch) -> None:
    """Tensor ranks keep their own part of gradients that each has only a part of: norms of a split stream, shared
    key/value heads."""
    patch.setattr(RankPlacement, "partial", lambda self, parameter, spec: False)


def tied_tables_not_summed(patch: pytest.MonkeyPatch) -> None:
    """Both ends of the pipeline keep their own part of the token table's gradient."""
    real = gradient_buckets.summed_over

    def own_stage(parameter: Any, at: RankPlacement, placement: Any, spec: Any) -> Any:
        return tuple(r for r in real(parameter, at, placement, spec) if placement[r].stage == at.stage)

    patch.setattr(gradient_buckets, "summed_over", own_stage)


def last_micro_batch_skipped(patch: pytest.MonkeyPatch) -> None:
    """The last micro-batch is the first one again."""
    real = ComposedStrategy._micro_batch

    def skipped(self: Any, batch: Any, begin: int, end: int) -> Any:
        if end == self.placement.micros[-1][1]:
            begin = self.placement.micros[0][0]
            end = begin + self.placement.micro_samples[-1]
        return real(self, batch, begin, end)

    patch.setattr(ComposedStrategy, "_micro_batch", skipped)


def ring_gradients_stay(patch: pytest.MonkeyPatch) -> None:
    """What other ranks find for my keys and values is lost."""
    real = ring_attention._add_paired

    def only_home(total: torch.Tensor, dk: torch.Tensor, dv: torch.Tensor, context: Any) -> None:
        if float(total.abs().sum()) or not only_home.seen:  # type: ignore[attr-defined]
            real(total, dk, dv, context)
        only_home.seen = True  # type: ignore[attr-defined]

    only_home.seen = False  # type: ignore[attr-defined]
    patch.setattr(ring_attention, "_add_paired", only_home)


def ring_starts_anew(patch: pytest.MonkeyPatch) -> None:
    """The last block's softmax takes the place of the merged one."""

    def replace(out: torch.Tensor, lse: torch.Tensor, part: torch.Tensor, part_lse: torch.Tensor) -> None:
        out.copy_(part)
        lse.copy_(part_lse)

    patch.setattr(ring_attention, "_merge", replace)


def head_counted_by_every_rank(patch: pytest.MonkeyPatch) -> None:
    """Sequence ranks compute the same classifier, and each counts its whole gradient."""
    for kind in (ring_attention.RingAttention, ulysses_attention.UlyssesAttention):
        patch.setattr(kind, "count_once", lambda self, weight: weight)


def weight_gradients_forgotten(patch: pytest.MonkeyPatch) -> None:
    """A zero-bubble schedule never computes some of the weight gradients that it put off."""
    from strategies.models.layers import PostponedGradients

    real, seen = PostponedGradients.take, []

    def take(self: PostponedGradients) -> Any:
        seen.append(self)
        return real(self)[len(seen) % 2 :]

    patch.setattr(PostponedGradients, "take", take)


def positions_from_zero(patch: pytest.MonkeyPatch) -> None:
    """Every rank numbers its own tokens from 0."""
    from dataclasses import replace

    real = MicroBatch.of.__func__  # type: ignore[attr-defined]

    def of(cls: Any, batch: Any, at: RankPlacement) -> MicroBatch:
        micro = real(cls, batch, at)
        return replace(micro, positions=torch.arange(len(micro.positions)))

    patch.setattr(MicroBatch, "of", classmethod(of))


def weights_not_gathered(patch: pytest.MonkeyPatch) -> None:
    """Under ZeRO every rank keeps the old values of what others have updated."""
    patch.setattr(gradient_sync.GradientSync, "updated", lambda self: None)


def looked_up_rows_pile_up(patch: pytest.MonkeyPatch) -> None:
    """The token table's gradient keeps the rows of the step before."""
    patch.setattr(embedding_gradient.LocalTokenRows, "begin", lambda self: None)


def second_half_not_reduced(patch: pytest.MonkeyPatch) -> None:
    """Of the halves that take turns only the first one's partial results are summed."""
    real = Group.all_reduce

    def forgetful(self: Group, tensor: torch.Tensor, phase: str | None = None) -> torch.Tensor:
        second = isinstance(self, alternating_halves.HiddenGroup) and self.turns.active and self.turns._turn == 1
        return tensor.clone() if second else real(self, tensor, phase)

    patch.setattr(Group, "all_reduce", forgetful)


def half_does_not_wait(patch: pytest.MonkeyPatch) -> None:
    """A half goes on before its reduction: what it was to wait for has not been written."""
    real = Group._counted

    def hasty(self: Group, op: str, call: Callable[[], object], payload: int, phase: str | None) -> None:
        late = isinstance(self, alternating_halves.HiddenGroup) and self.turns.active and op == "reduce_scatter"
        real(self, op, (lambda: None) if late else call, payload, phase)

    patch.setattr(Group, "_counted", hasty)


def halves_are_the_same(patch: pytest.MonkeyPatch) -> None:
    """Both halves compute the first samples."""
    real = MicroBatch.span
    patch.setattr(MicroBatch, "span", lambda self, begin, end: real(self, 0, end - begin))


FAULTS: list[tuple[Plant, str, str, int, dict[str, Any]]] = [
    (missing_copy_in, "tensor", "bert", 1, {}),
    (missing_copy_in, "tensor", "llama", 1, {}),
    (missing_gradient_sync, "data", "bert", 1, {}),
    (missing_gradient_sync, "sequence", "gpt2", 1, {}),
    (averaged_gradients, "data", "gpt2", 1, {}),
    (scaled_by_micro_batches, "pipeline", "bert", 4, {}),
    (scaled_by_micro_batches, "data", "bert", 4, {}),
    (row_bias_twice, "tensor", "gpt2", 1, {}),
    (partial_gradients_not_summed, "tensor", "bert", 1, {"norms": "split"}),
    (partial_gradients_not_summed, "tensor", "multi-query", 1, {}),
    (tied_tables_not_summed, "pipeline", "gpt2", 2, {}),
    (last_micro_batch_skipped, "data", "bert", 2, {}),
    (last_micro_batch_skipped, "pipeline", "llama", 3, {}),
    (ring_gradients_stay, "sequence", "bert", 1, {}),
    (ring_starts_anew, "sequence", "llama", 1, {}),
    (head_counted_by_every_rank, "sequence", "bert", 1, {}),
    (head_counted_by_every_rank, "sequence", "bert", 1, {"attention": "ulysses"}),
    (positions_from_zero, "sequence", "gpt2", 1, {}),
    (positions_from_zero, "sequence", "llama", 1, {"attention": "ulysses"}),
    (weights_not_gathered, "data", "bert", 1, {"zero": 1}),
    (weight_gradients_forgotten, "pipeline", "bert", 3, {"schedule": "zero_bubble"}),
    (looked_up_rows_pile_up, "pipeline", "bert", 3, {"token_table": "rows"}),
    (second_half_not_reduced, "tensor", "bert", 1, {"overlap": "halves"}),
    (second_half_not_reduced, "tensor", "gpt2", 3, {"overlap": "halves"}),
    (half_does_not_wait, "tensor", "llama", 1, {"overlap": "halves", "norms": "split"}),
    (halves_are_the_same, "tensor", "bert", 2, {"overlap": "halves"}),
    (missing_copy_in, "tensor", "llama", 1, {"overlap": "halves"}),
]


@pytest.mark.parametrize(
    ("plant", "strategy", "family", "micros", "options"), FAULTS, ids=lambda value: getattr(value, "__name__", str(value))
)
def test_a_planted_fault_is_caught(
    plant: Plant,
    strategy: str,
    family: str,
    micros: int,
    options: dict[str, Any],
    comm: MPI.Comm,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cls, spec = get(strategy), MODELS[family]
    expected = reference(spec)
    plant(monkeypatch)
    if strategy == "pipeline" and comm.Get_size() == 3:
        options = {**options, "stages": [2, 1, 1]}
    mesh = MeshShape(**{cls.axes[0]: comm.Get_size()})
    case = Case(strategy, mesh, check_options(cls, options), micros, progress="inline")
    found = train(case, spec, comm)
    if comm.Get_rank() == 0:
        worst = max(worst_error(found.gradients, expected.gradients)[0], worst_error(found.weights, expected.weights)[0])
        assert not worst <= FAR  # NaN is caught as well
