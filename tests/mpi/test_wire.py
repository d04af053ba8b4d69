"""Gradients in 16 bits on the wire: as close as such numbers allow and not closer, and the replicas stay equal.

The gradient of rank r is g_r. It is rounded when it leaves, the parts are added up in full precision, and without ZeRO the
sum is rounded once more to come back:

    found = R(R(g_0) + ... + R(g_n-1)),   |R(x) - x| <= u |x| + t,   so in any norm
    |found - sum g_r| <= u sum |g_r| + u (1 + u) sum |g_r| = (2 u + u^2) sum |g_r|, and t for each rounding

with the unit roundoff u = 2^-8 of bfloat16 (8 significant bits, to nearest) and 2^-11 of float16; t is half of the
smallest number: 2^-25 of float16, nothing (2^-134) of bfloat16, which has the exponents of float32. Rows of a token table
are rounded when they leave, each of them, and their sum stays where it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cases
import pytest
import torch
from cases import MODELS, Case, Trained, train
from mpi4py import MPI
from test_training import losses, save_checkpoint

from strategies.base import check_options, get
from strategies.comm.group import Group
from strategies.comm.ledger import Ledger
from strategies.plan.model_spec import parameter_count
from strategies.plan.shapes import MeshShape
from strategies.plan.token_table import TABLE
from strategies.step.bucket_buffer import Bucket
from strategies.step.gradient_sync import GradientSync

UNIT = {"bfloat16": 2.0**-8, "float16": 2.0**-11}
TINY = {"bfloat16": 2.0**-134, "float16": 2.0**-25}
WIRES = pytest.mark.parametrize("wire", sorted(UNIT))
WAYS = pytest.mark.parametrize("way", [{"zero": 0}, {"zero": 1}, {"token_table": "rows"}], ids=str)


def case_of(comm: MPI.Intracomm, progress: str = "inline", micro_batches: int = 1, **options: Any) -> Case:
    filled = check_options(get("data"), {"bucket_bytes": 4096, "token_table": "dense", **options})
    return Case("data", MeshShape(data=comm.Get_size()), filled, micro_batches, progress=progress)


_single: dict[str, Trained] = {}


def one_step(family: str) -> Trained:
    """One process, one step: of several, the later ones would start from weights that rounding has already moved."""
    assert cases.STEPS == 1
    if family not in _single:
        _single[family] = train(Case("single", MeshShape(), {}, 1), MODELS[family], MPI.COMM_SELF)
    return _single[family]


def keep_local_norms(patch: pytest.MonkeyPatch) -> dict[str, float]:
    """The norm of this rank's own gradient of every parameter, before it leaves, or of its rows: filled in by a step."""
    real, norms = GradientSync.finish, dict[str, float]()

    def finish(self: GradientSync, *given: Any) -> None:
        norms.update({name: float(p.grad.norm()) for name, p in self.module.named_parameters() if p.grad is not None})
        if self.rows is not None:
            norms[TABLE] = sum(float(found.norm(dim=-1).sum()) for found in self.rows.row_gradients)
        real(self, *given)

    patch.setattr(GradientSync, "finish", finish)
    return norms


def keep_weights(patch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """The last weights of this rank, bit by bit: filled in when its training ends."""
    real, weights = GradientSync.close, dict[str, bytes]()

    def close(self: GradientSync) -> None:
        weights.update({name: p.detach().numpy().tobytes() for name, p in self.module.named_parameters()})
        real(self)

    patch.setattr(GradientSync, "close", close)
    return weights


def overstepped(
    found: Trained, norms: Mapping[str, float], family: str, wire: str, way: Mapping[str, Any], comm: MPI.Comm
) -> float:
    """The largest error of a gradient as a part of what this file's head allows it, in Frobenius norms (on rank 0).

    ``norms`` are this rank's of its own gradients.
    """
    u, expected = UNIT[wire], one_step(family).gradients
    summed = {name: comm.allreduce(norms[name]) for name in norms}
    if comm.Get_rank():
        return 0.0
    assert list(found.gradients) == list(expected)
    # Both sides carry the rounding of fp64, about 1e-15 of the whole; the gradient of a key bias is nothing else.
    floor = 1e-13 * norm_of(expected)
    parts = []
    for name, gradient in expected.items():
        rows = name == TABLE and way.get("token_table") == "rows"
        t = TINY[wire] * gradient.numel() ** 0.5
        allowed = u * summed[name] + (cases.BATCH * cases.SEQ if rows else comm.Get_size()) * t
        if not rows and not way.get("zero"):  # the sum comes back in 16 bits too
            allowed += u * (summed[name] + allowed) + t
        allowed *= 1 + 1e-6  # float64 goes to 16 bits by way of float32
        parts.append((found.gradients[name] - gradient).norm() / (allowed + floor))
    return float(torch.stack(parts).max())


def norm_of(gradients: Mapping[str, torch.Tensor]) -> float:
    return float(torch.stack([gradient.norm() for gradient in gradients.values()]).norm())


@WIRES
@WAYS
@pytest.mark.parametrize("family", ["bert", "llama"])
def test_gradients_are_as_close_as_16_bits_allow(
    wire: str, way: dict[str, Any], family: str, comm: MPI.Intracomm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Protects every gradient of a model, and that the wire has 16 bits at all: the error is also at least a tenth of what
    rounding random numbers gives, far from the 1e-16 of float64."""
    monkeypatch.setattr(cases, "STEPS", 1)
    expected, norms = one_step(family).gradients, keep_local_norms(monkeypatch)
    found = train(case_of(comm, wire=wire, **way), MODELS[family], comm)
    assert overstepped(found, norms, family, wire, way, comm) <= 1
    if comm.Get_rank() == 0:
        error = norm_of({name: found.gradients[name] - gradient for name, gradient in expected.items()})
        # Errors lie anywhere within u/2 to u of a number, both ways: about u/3 of it in the mean square.
        assert error > UNIT[wire] / 30 * norm_of(expected)


@WIRES
@pytest.mark.parametrize("zero", [False, True])
def test_sums_are_rounded_once_each_way(wire: str, zero: bool, comm: MPI.Intracomm) -> None:
    """Bit by bit what this file's head says, with magnitudes from 1e-6 to 1e2 and sums that cancel, and the same on every
    rank. Protects the parts' offsets (every element has its own size), and against sums in 16 bits, which round more often:
    in float64 a sum of a few numbers of 8 or 11 bits is exact in any order."""
    size, dtype, comm = 1001, getattr(torch, wire), comm.Dup()
    scale = torch.logspace(-6, 2, size, dtype=torch.float64)

    def local(number: int) -> torch.Tensor:
        noise = torch.randn(size, generator=torch.Generator().manual_seed(number), dtype=torch.float64)
        return scale * (noise + (10.0 if number == 0 else -10.0 if number == 1 else 0.0))

    everyone = torch.stack([local(number) for number in range(comm.Get_size())])
    expected = everyone.to(dtype).double().sum(0)
    expected = expected if zero else expected.to(dtype).double()
    group = Group(comm, "gradients", tuple(range(comm.Get_size())), Ledger())
    members = [torch.nn.Parameter(torch.zeros(count, dtype=torch.float64)) for count in (1, 600, 400)]
    bucket = Bucket.of(members, group, zero)
    bucket.flat.copy_(local(comm.Get_rank()))
    bucket.reduce(group, dtype)
    begin, end = bucket.parts[comm.Get_rank()] if zero else (0, size)
    assert torch.equal(bucket.flat[begin:end], expected[begin:end])
    # The closed form itself, element by element against the sum of this file's head.
    bound = UNIT[wire] * (2 + UNIT[wire]) * everyone.abs().sum(0) + (comm.Get_size() + 1.01) * TINY[wire]
    assert bool(((expected - everyone.sum(0)).abs() <= bound * (1 + 1e-6)).all())


@WIRES
@WAYS
@pytest.mark.parametrize("progress", ["inline", "thread"])
def test_replicas_stay_equal_and_bytes_are_planned(
    wire: str, way: dict[str, Any], progress: str, comm: MPI.Intracomm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After three steps every rank has the same weights to the last bit. Two bytes an element leave each rank and come
    back; under ZeRO the weights come back instead, in full; rows leave once."""
    spec, weights = MODELS["llama"], keep_weights(monkeypatch)
    found = train(case_of(comm, progress, 2, wire=wire, **way), spec, comm)
    everyone = comm.allgather(weights)
    assert len(weights) > 30
    assert all(other == weights for other in everyone)
    rows = way.get("token_table") == "rows"
    count = parameter_count(spec) - rows * spec.vocab * spec.hidden
    leaving = {"gradients.all_to_all.backward": 2 * count * comm.Get_size()}
    back = {"gradients.all_gather.backward": 2 * count + rows * 2 * cases.BATCH * cases.SEQ * spec.hidden}
    if way.get("zero"):
        back = {"gradients.all_gather.optimizer": 8 * count}
    assert found.measured == found.predicted == {key: cases.STEPS * size for key, size in (leaving | back).items()}


def test_the_thread_sends_what_the_main_thread_sends(comm: MPI.Intracomm) -> None:
    """Buckets that go out while backward computes hold whole gradients: two micro-batches, the same bits either way."""
    inline, thread = (train(case_of(comm, how, 2, wire="bfloat16"), MODELS["bert"], comm) for how in ("inline", "thread"))
    assert inline.losses == thread.losses
    assert list(inline.gradients) == list(thread.gradients)
    assert all(torch.equal(thread.gradients[name], gradient) for name, gradient in inline.gradients.items())


def sum_of_bits(self: Bucket, group: Group, wire: torch.dtype) -> None:
    """What MPI would do with 16-bit floats that it takes for 16-bit integers."""
    total = self.flat.to(wire).view(torch.int16).to(torch.int32)
    group.all_reduce_(total, "backward")
    self.flat.copy_(total.to(torch.int16).view(wire))


@WIRES
def test_summed_bit_patterns_are_caught(wire: str, comm: MPI.Intracomm, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fault that this wire avoids, planted: the bound of the first test must see it by far."""
    monkeypatch.setattr(cases, "STEPS", 1)
    one_step("bert")
    norms = keep_local_norms(monkeypatch)
    monkeypatch.setattr(Bucket, "_sum_in_16_bits", sum_of_bits)
    found = train(case_of(comm, wire=wire), MODELS["bert"], comm)
    worst = overstepped(found, norms, "bert", wire, {}, comm)
    assert comm.Get_rank() or not worst <= 100  # NaN is caught as well


@WAYS
def test_adamw_learns_with_a_16_bit_wire(way: dict[str, Any], comm: MPI.Intracomm, tmp_path: Path) -> None:
    """As people train: float32 and AdamW from a checkpoint. Protects the use of the option, not only its arithmetic."""
    folder = Path(comm.bcast(str(tmp_path)))
    if comm.Get_rank() == 0:
        save_checkpoint(folder)
    comm.Barrier()
    expected = losses(Case("single", MeshShape(), {}, 1), MPI.COMM_SELF, folder)
    found = losses(case_of(comm, "thread", wire="bfloat16", **way), comm, folder)
    assert expected[0] - expected[-1] > 0.3
    assert found[0] - found[-1] > 0.3
    # Adam divides gradients by their own size: an error of 2^-8 in a gradient is one of at most that size in its step, and
    # eight such steps are 3 % of one. The losses come out within 5e-4; those of unsummed gradients differ by 0.2.
    assert found == pytest.approx(expected, rel=2e-2)
