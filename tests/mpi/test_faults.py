"""T4: the equality test sees the classic mistakes. Each is planted in the library, and must break it by far."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from cases import MODELS, Case, reference, train, worst_error
from mpi4py import MPI

from strategies import composed, data, pipeline
from strategies.base import check_options, get
from strategies.comm import collectives
from strategies.comm.group import Group
from strategies.models.layers import Linear
from strategies.plan import MeshShape

# Five orders above the tolerance of the equality test: a fault must not hide near it.
FAR = 1e-4
Plant = Callable[[pytest.MonkeyPatch], None]


def missing_copy_in(patch: pytest.MonkeyPatch) -> None:
    """The input gradient of column-parallel layers is not summed."""
    patch.setattr(collectives._CopyIn, "backward", staticmethod(lambda ctx, gradient: (gradient, None)))


def missing_gradient_sync(patch: pytest.MonkeyPatch) -> None:
    """Replicas keep their own gradients."""
    patch.setattr(data.GradientSync, "_ready", lambda self, bucket: lambda _: setattr(bucket, "missing", bucket.missing - 1))
    patch.setattr(data.GradientSync, "finish", lambda self: None)


def averaged_gradients(patch: pytest.MonkeyPatch) -> None:
    """Replicas average where they should sum: a loss normalised twice."""
    real = Group.all_reduce_

    def average(self: Group, tensor: torch.Tensor, phase: str | None = None) -> None:
        real(self, tensor, phase)
        tensor /= self.size

    patch.setattr(Group, "all_reduce_", average)


def scaled_by_micro_batches(patch: pytest.MonkeyPatch) -> None:
    """Each micro-batch divides by its own count: gradients grow with their number."""
    real = pipeline.StageRunner.train

    def scaled(self: Any, micros: Any, count: int, before_last: Any) -> torch.Tensor:
        return real(self, micros, count // len(micros), before_last)

    patch.setattr(pipeline.StageRunner, "train", scaled)


def row_bias_twice(patch: pytest.MonkeyPatch) -> None:
    """Every rank adds the bias of a row-parallel layer before the sum."""

    def after(self: Linear, x: torch.Tensor, cut: Any) -> torch.Tensor:
        return cut.reduce_out(self(x))

    patch.setattr(Linear, "after", after)


def tied_tables_not_summed(patch: pytest.MonkeyPatch) -> None:
    """Both ends of the pipeline keep their own part of the token table's gradient."""
    patch.setattr(pipeline, "tied", lambda strategy, inner: inner)


def last_micro_batch_skipped(patch: pytest.MonkeyPatch) -> None:
    real = composed.Composed._micros

    def skipped(batch: Any, number: int) -> Any:
        micros = real(batch, number)
        return [*micros[:-1], micros[0]]

    patch.setattr(composed.Composed, "_micros", staticmethod(skipped))


FAULTS: list[tuple[Plant, str, str, int]] = [
    (missing_copy_in, "tensor", "bert", 1),
    (missing_copy_in, "tensor", "llama", 1),
    (missing_gradient_sync, "data", "bert", 1),
    (averaged_gradients, "data", "gpt2", 1),
    (scaled_by_micro_batches, "pipeline", "bert", 4),
    (row_bias_twice, "tensor", "gpt2", 1),
    (tied_tables_not_summed, "pipeline", "gpt2", 2),
    (last_micro_batch_skipped, "data", "bert", 2),
    (last_micro_batch_skipped, "pipeline", "llama", 3),
]


@pytest.mark.parametrize(
    ("plant", "strategy", "family", "micros"), FAULTS, ids=lambda value: getattr(value, "__name__", str(value))
)
def test_a_planted_fault_is_caught(
    plant: Plant, strategy: str, family: str, micros: int, comm: MPI.Comm, monkeypatch: pytest.MonkeyPatch
) -> None:
    cls, spec = get(strategy), MODELS[family]
    expected = reference(spec)
    plant(monkeypatch)
    options = check_options(cls, {"stages": [2, 1, 1]} if strategy == "pipeline" and comm.Get_size() == 3 else {})
    case = Case(strategy, MeshShape(**{cls.axes[0]: comm.Get_size()}), options, micros, progress="inline")
    found = train(case, spec, comm)
    if comm.Get_rank() == 0:
        assert worst_error(found.gradients, expected.gradients)[0] > FAR
