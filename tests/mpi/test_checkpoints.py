"""What was saved under one strategy goes on under another as if nothing had happened; a failed save changes nothing."""

from __future__ import annotations

import functools
import os
import re
import resource
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from cases import BATCH, DEVICE, MODELS, SEQ, Case, make_batch, meshes, variants, worst_error
from mpi4py import MPI

from bench.point.plan_errors import in_command_line_words
from bench.training.trainer import make_optimizer
from strategies.base import Strategy, check_options, registered
from strategies.comm.comm_options import CommOptions
from strategies.comm.ledger import Ledger
from strategies.comm.mesh import Mesh
from strategies.common.plan_error import PlanError
from strategies.models.pretrained_weights import WeightLoader
from strategies.plan.checkpoint_manifest import Checkpoint
from strategies.plan.model_spec import ModelSpec
from strategies.plan.shapes import MeshShape, StepShape
from strategies.step.training_checkpoint import resume, save

BEFORE, AFTER = 3, 2
TRAIN = {"lr": 0.01, "weight_decay": 0.1}
# The gradient of a key bias is zero but for rounding, and AdamW divides it by its own size: 1e-17 would become 1e-9 of
# the learning rate. With an epsilon far above the rounding it stays as small as it is.
EPSILON = 1e-3
TOLERANCE = 1e-9  # as in test_equality.py
SINGLE = Case("single", MeshShape(), {}, 1, progress="inline")
# Options that change what a rank holds of the weights or of the optimizer's states.
HOLDINGS = {"stages", "groups", "virtual_stages", "tensor_shares", "zero"}


def pairs() -> list[tuple[Case, Case, str]]:
    """Every way of holding a model is saved once and resumed once, with something different at the other end."""
    found = [SINGLE]
    for name, strategy in registered().items():
        for mesh in meshes(MPI.COMM_WORLD.Get_size(), strategy) if strategy.axes else []:
            if len(strategy.axes) > 1 and max(mesh.dims) == mesh.size:
                continue  # a hybrid on one axis holds what the pure strategy does
            plain, *others = variants(strategy, mesh)
            others = [given for given in others if holds_otherwise(given, plain)]
            for options in (plain, *(others[-1:] if len(strategy.axes) > 1 else others)):  # of a hybrid the richest will do
                micros = 2 * mesh.pipeline if options.get("schedule") == "interleaved" else strategy.micro_batches(2, mesh)
                found.append(Case(name, mesh, check_options(strategy, options), micros, progress="inline"))
    half, families = len(found) // 2, list(MODELS)
    return [(case, found[i - half], families[i % len(families)]) for i, case in enumerate(found)]


def holds_otherwise(options: Mapping[str, Any], plain: Mapping[str, Any]) -> bool:
    changed = {name for name in options if options[name] != plain.get(name)}
    return bool(changed & HOLDINGS) and "token_table" not in changed  # which not every model can


@dataclass
class Training:
    """A strategy over ``comm`` with its optimizer, after ``done`` steps."""

    case: Case
    spec: ModelSpec
    comm: MPI.Intracomm
    kind: str = "adamw"
    done: int = 0

    def __post_init__(self) -> None:
        cls, ledger = registered()[self.case.strategy], Ledger()
        shape = StepShape(BATCH, SEQ, self.case.micro_batches, "float64", self.kind)
        mesh = Mesh(self.comm, self.case.mesh, ledger, CommOptions(progress="inline"))
        self.strategy: Strategy = cls(cls.plan(self.spec, shape, self.case.mesh, self.case.options), mesh)
        with WeightLoader(self.spec, None, seed=1) as load:
            self.strategy.build(load, torch.float64, DEVICE)
        self.optimizer = make_optimizer(self.strategy.trainable(), **TRAIN, optimizer=self.kind)
        for group in self.optimizer.param_groups:
            group["eps"] = EPSILON

    def steps(self, count: int) -> list[float]:
        losses = []
        for _ in range(count):
            losses.append(self.comm.allreduce(float(self.strategy.step(make_batch(self.spec, self.done)))))
            self.optimizer.step()
            self.strategy.updated()
            self.done += 1
        return losses

    def save(self, folder: Path) -> None:
        save(self.strategy, self.optimizer, self.done, folder, self.comm)

    def weights(self) -> dict[str, torch.Tensor]:
        return {name: found.cpu() for name, found in self.strategy.export("weights")}


@functools.cache
def uninterrupted(family: str) -> tuple[list[float], dict[str, torch.Tensor]]:
    """Losses and weights of all steps on one process."""
    training = Training(SINGLE, MODELS[family], MPI.COMM_SELF)
    return training.steps(BEFORE + AFTER), training.weights()


@pytest.fixture
def folder(comm: MPI.Intracomm) -> Iterator[Path]:
    """A folder that every rank sees."""
    with ExitStack() as stack:
        made = stack.enter_context(tempfile.TemporaryDirectory()) if comm.Get_rank() == 0 else None
        yield Path(comm.bcast(made))
        comm.Barrier()


def where(case: Case, comm: MPI.Intracomm) -> MPI.Intracomm | None:
    """The ranks that a case runs on: all, or rank 0 alone."""
    if case.mesh.size > 1:
        return comm
    return MPI.COMM_SELF if comm.Get_rank() == 0 else None


@pytest.mark.parametrize(("first", "second", "family"), pairs(), ids=str)
def test_goes_on_under_another_strategy(first: Case, second: Case, family: str, comm: MPI.Intracomm, folder: Path) -> None:
    expected_losses, expected_weights = uninterrupted(family)
    if (ranks := where(first, comm)) is not None:
        training = Training(first, MODELS[family], ranks)
        assert training.steps(BEFORE) == pytest.approx(expected_losses[:BEFORE], rel=TOLERANCE)
        training.save(folder / "checkpoint")
        training.strategy.close()
    comm.Barrier()
    if (ranks := where(second, comm)) is None:
        return
    training = Training(second, MODELS[family], ranks)
    training.done = resume(training.strategy, training.optimizer, folder / "checkpoint")
    assert training.done == BEFORE
    assert training.steps(AFTER) == pytest.approx(expected_losses[BEFORE:], rel=TOLERANCE)
    weights = training.weights()
    training.strategy.close()
    if ranks.Get_rank() == 0:
        assert worst_error(weights, expected_weights) < (TOLERANCE, "")


def test_a_failed_save_leaves_the_older_checkpoint(comm: MPI.Intracomm, folder: Path) -> None:
    """The disk is full on rank 0 in the middle of a tensor: every rank is told, and no rank waits for another."""
    training = Training(Case("data", MeshShape(data=comm.Get_size()), registered()["data"].options, 1), MODELS["bert"], comm)
    target = folder / "checkpoint"
    training.steps(1)
    training.save(target)
    before = Checkpoint.read(target)
    training.steps(1)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    if comm.Get_rank() == 0:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    with pytest.raises(PlanError) as caught:
        training.save(target)
    expected = f"checkpoint {target} cannot be written .File too large.; give another train.save"
    assert re.fullmatch(expected, in_command_line_words(caught.value))
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    if comm.Get_rank() == 0:
        assert Checkpoint.read(target) == before
        assert os.listdir(folder) == ["checkpoint"]
    training.save(target)
    training.strategy.close()
    assert Checkpoint.read(target).steps == 2
    assert sorted(os.listdir(target)) == ["model.safetensors", "optimizer.safetensors", "training.json"]


def test_an_optimizer_without_states(comm: MPI.Intracomm, folder: Path) -> None:
    case = Case("data", MeshShape(data=comm.Get_size()), check_options(registered()["data"], {"zero": 1}), 1)
    first, second = (Training(case, MODELS["bert"], comm, "sgd") for _ in range(2))
    first.steps(1)
    first.save(folder / "checkpoint")
    assert resume(second.strategy, second.optimizer, folder / "checkpoint") == 1
    found, expected = second.weights(), first.weights()
    for training in (first, second):
        training.strategy.close()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_states_that_a_checkpoint_does_not_hold_are_refused(comm: MPI.Intracomm, folder: Path) -> None:
    training = Training(Case("data", MeshShape(data=comm.Get_size()), registered()["data"].options, 1), MODELS["bert"], comm)
    training.optimizer = torch.optim.SGD(training.strategy.module.parameters(), lr=0.1, momentum=0.9)
    with pytest.raises(PlanError, match="plain sgd and adamw, found sgd with momentum"):
        training.save(folder / "checkpoint")
    training.strategy.close()
