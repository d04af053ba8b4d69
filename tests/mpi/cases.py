"""Tiny models, batches, and what every strategy is compared with: one process."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from unittest import mock

import torch
from mpi4py import MPI

from strategies.base import Batch, Strategy, check_options, registered
from strategies.comm.comm_choice import GroupFacts
from strategies.comm.comm_options import CommOptions
from strategies.comm.ledger import Ledger
from strategies.comm.mesh import Mesh
from strategies.models.pretrained_weights import WeightLoader
from strategies.plan.model_spec import ModelSpec
from strategies.plan.shapes import AXES, MeshShape, StepShape

BERT = ModelSpec(
    "bert-test", "bert", 37, 24, 4, 12, 12, 36, 16, False, "layer", "post", "learned", "gelu", "classifier",
    labels=3, token_types=2,
)  # fmt: skip
GPT2 = ModelSpec(
    "gpt2-test", "gpt2", 37, 24, 4, 12, 12, 36, 16, True, "layer", "pre", "learned", "gelu_tanh", "lm",
    norm_eps=1e-5, tied=True,
)  # fmt: skip
LLAMA = ModelSpec(
    "llama-test", "llama", 37, 48, 4, 24, 12, 36, 16, True, "rms", "pre", "rotary", "silu_gated", "lm",
    norm_eps=1e-6, qkv_bias=False, out_bias=False, mlp_bias=False,
)  # fmt: skip
MODELS = {spec.family: spec for spec in (BERT, GPT2, LLAMA)}
# Fewer key/value heads than ranks: every rank holds the same one.
MODELS["multi-query"] = replace(LLAMA, name="multi-query-test", kv_heads=1)

# tests/strategies/test_ladder.py runs all of this on a GPU too, where there is one.
DEVICE = os.environ.get("EDGEJOULE_TEST_DEVICE", "cpu")
BATCH, SEQ, STEPS, LEARNING_RATE = 17, 8, 3, 0.5


@dataclass(frozen=True)
class Case:
    """One configuration: a strategy on a mesh with its options and micro-batches."""

    strategy: str
    mesh: MeshShape
    options: Mapping[str, Any]
    micro_batches: int
    wait: str = "spin"
    progress: str = "thread"
    recompute: str = "none"
    algorithm: str = "mpi"

    def __str__(self) -> str:
        axes = "".join(f"{axis[0]}{size}" for axis, size in zip(AXES, self.mesh.dims, strict=True) if size > 1)
        defaults = registered()[self.strategy].options
        rest = "".join(f"-{k}={v}" for k, v in self.options.items() if v != defaults[k])
        how = f"{self.wait}-{self.progress}-{self.algorithm}" + ("-recompute" if self.recompute == "blocks" else "")
        return f"{self.strategy}-{axes or 'one'}-m{self.micro_batches}-{how}{rest}"


def cases(ranks: int) -> list[Case]:
    """Every registered strategy, on every mesh of ``ranks`` ranks that its axes allow, with its variants."""
    found = list[Case]()
    for name, strategy in registered().items():
        for mesh in meshes(ranks, strategy):
            plain, *others = variants(strategy, mesh)
            filled = check_options(strategy, plain)
            micros = strategy.micro_batches(None, mesh)
            found += [Case(name, mesh, filled, 1), Case(name, mesh, filled, 3)]
            found.append(Case(name, mesh, filled, 2, wait="poll", progress="inline"))
            found.append(Case(name, mesh, filled, micros, recompute="blocks", algorithm="ring", progress="inline"))
            # What auto decides here, and the other values that it can decide elsewhere, not two of them in the cases above.
            found.append(Case(name, mesh, filled, micros, wait="auto", progress="auto", algorithm="auto"))
            found.append(Case(name, mesh, filled, micros, wait="poll", progress="thread", algorithm="recursive_doubling"))
            for number, options in enumerate(others):
                progress = ("thread", "inline")[number % 2]
                count = 2 * mesh.pipeline if options.get("schedule") == "interleaved" else 3
                found.append(Case(name, mesh, check_options(strategy, options), count, progress=progress))
    return found


def meshes(ranks: int, strategy: type[Strategy]) -> list[MeshShape]:
    if not strategy.axes:
        return [MeshShape()] if ranks == 2 else []  # a single process needs no second world size
    sizes = range(1, ranks + 1)
    every = [{"pipeline": p, "data": d, "sequence": s, "tensor": t} for p in sizes for d in sizes for s in sizes for t in sizes]
    allowed = [MeshShape(**axes) for axes in every if all(size == 1 or axis in strategy.axes for axis, size in axes.items())]
    return [mesh for mesh in allowed if mesh.size == ranks]


def variants(strategy: type[Strategy], mesh: MeshShape) -> list[dict[str, Any]]:
    """The plain options, and one set for every other way of working that the mesh allows: schedules, uneven shares of
    everything, ZeRO, kinds of attention, split streams."""
    has, base = strategy.options, dict[str, Any]()
    if "stages" in has and mesh.pipeline == 3:
        base["stages"] = [2, 1, 1]
    if "bucket_bytes" in has:
        base["bucket_bytes"] = 4096
    found = [base]

    def add(**options: Any) -> None:
        if all(name in has for name in options):
            found.append({**base, **options})

    uneven = lambda count: [2, *[1] * (count - 1)]  # noqa: E731
    if mesh.pipeline > 1:
        add(schedule="gpipe")
        add(schedule="zero_bubble")
        if mesh.pipeline == 2:
            add(schedule="interleaved", virtual_stages=2)
            add(stages=[3, 1])
        else:
            rest = [1] * (mesh.pipeline - 2)
            add(groups=[2, *rest], stages=[4 - len(rest), *rest], group_shares=[[2, 1], *[[1]] * len(rest)])
    if mesh.data > 1:
        add(shares=uneven(mesh.data))
    if mesh.data * mesh.sequence * mesh.pipeline > 1 and mesh.tensor == 1:
        add(token_table="rows", **({"groups": [mesh.pipeline - 1, 1], "stages": [3, 1]} if mesh.pipeline > 2 else {}))
    if mesh.sequence > 1:
        add(attention="ulysses")
        add(sequence_shares=uneven(mesh.sequence))
        add(attention="ulysses", sequence_shares=uneven(mesh.sequence))
    if mesh.tensor > 1:
        add(norms="split")
        if mesh.pipeline == 1:
            add(overlap="halves")
            add(overlap="halves", norms="split", tensor_shares=uneven(mesh.tensor))
        add(tensor_shares=uneven(mesh.tensor))
    if mesh.data * mesh.sequence > 1:
        add(zero=1)
    if mesh.data * mesh.sequence > 1 and mesh.tensor * mesh.pipeline > 1:
        add(zero=1, norms="split")
    return found


def make_batch(spec: ModelSpec, step: int) -> Batch:
    """A batch with padding on the right, and targets that do not count."""
    generator = torch.Generator().manual_seed(1000 + step)
    ids = torch.randint(1, spec.vocab, (BATCH, SEQ), generator=generator)
    lengths = torch.randint(2, SEQ + 1, (BATCH, 1), generator=generator)
    mask = torch.arange(SEQ)[None, :] < lengths
    ids = ids * mask
    if spec.head == "classifier":
        return Batch(ids, mask, torch.randint(0, spec.labels, (BATCH,), generator=generator))
    targets = torch.full_like(ids, -100)
    targets[:, :-1] = torch.where(mask[:, 1:], ids[:, 1:], -100)
    return Batch(ids, mask, targets)


CUT_BYTES = 200
"""Where ranks poll, messages are cut as between nodes: into pieces of 25 numbers, so that the last one is shorter."""


@dataclass
class Trained:
    """What a few steps of SGD gave. Tensors are on rank 0 only."""

    losses: list[float]
    gradients: dict[str, torch.Tensor]
    weights: dict[str, torch.Tensor]
    measured: dict[str, int]
    predicted: dict[str, int]


def train(case: Case, spec: ModelSpec, comm: MPI.Comm, dtype: torch.dtype = torch.float64) -> Trained:
    """Run ``STEPS`` steps; gradients are those of the last step, traffic is that of all of them."""
    ledger = Ledger()
    shape = StepShape(BATCH, SEQ, case.micro_batches, str(dtype).removeprefix("torch."), "sgd", case.recompute)
    cls = registered()[case.strategy]
    plan = cls.plan(spec, shape, case.mesh, case.options)
    comm_options = CommOptions(case.wait, case.progress, case.algorithm)  # type: ignore[arg-type]
    with mock.patch.object(GroupFacts, "segment_bytes", CUT_BYTES if case.wait == "poll" else 0):
        mesh = Mesh(comm, case.mesh, ledger, comm_options, volumes=plan.volumes)
        strategy = cls(plan, mesh)
        with WeightLoader(spec, None, seed=1) as load:
            strategy.build(load, dtype, DEVICE)
    optimizer = torch.optim.SGD([parameter for parameter, _ in strategy.trainable()], lr=LEARNING_RATE)
    losses = []
    for step in range(STEPS):
        ledger.step = step
        losses.append(float(comm.allreduce(float(strategy.step(make_batch(spec, step))))))
        gradients = None
        if step == STEPS - 1:
            ledger.step = -1
            gradients = {name: found.cpu() for name, found in strategy.export("gradients")}
        ledger.step = step
        optimizer.step()
        strategy.updated()
    ledger.step = -1
    weights = {name: found.cpu() for name, found in strategy.export("weights")}
    strategy.close()
    sums = comm.allreduce(ledger.payload_bytes(), op=MPI.SUM)
    predicted = {volume.key: STEPS * volume.payload_bytes for volume in plan.volumes}
    return Trained(losses, gradients or {}, weights, dict(sums), predicted)


_references: dict[tuple[str, torch.dtype], Trained] = {}


def reference(spec: ModelSpec, dtype: torch.dtype = torch.float64) -> Trained:
    """The same steps on one process, in one micro-batch."""
    key = (spec.name, dtype)
    if key not in _references:
        _references[key] = train(Case("single", MeshShape(), {}, 1), spec, MPI.COMM_SELF, dtype)
    return _references[key]


def worst_error(found: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor]) -> tuple[float, str]:
    """The largest relative difference (Frobenius norms) of any tensor, and its name.

    A tensor that is zero but for rounding (the gradient of a key bias is: softmax does not see a shift of all scores)
    is measured against a millionth of the norm of all tensors together.
    """
    assert list(found) == list(expected)
    floor = 1e-6 * float(torch.stack([tensor.norm() for tensor in expected.values()]).norm())
    errors = {name: float((found[name] - e).norm()) / max(float(e.norm()), floor) for name, e in expected.items()}
    name = max(errors, key=lambda key: errors[key])
    return errors[name], name
