"""The step that all synchronous strategies share, put together from three exchangeable parts.

    the global batch -> this replica's samples -> micro-batches
        cut     how layers split over the tensor axis talk        (tensor.py, or nothing)
        runner  carries micro-batches through the stages          (pipeline.py, or one process)
        sync    adds the gradients of the replicas up             (data.py, or nothing)

A strategy says which parts it brings; a hybrid brings several. The loss is divided by the number of valid targets of
the global batch before backward, and every reduction is a sum: so uneven replicas, accumulation and pipelining give
the same gradients as one process.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

from strategies.base import Batch, Scores, Strategy
from strategies.models.checkpoint import WeightLoader, fill
from strategies.models.layers import Cut, Whole
from strategies.models.spec import ModelSpec, Parameter, parameters
from strategies.models.transformer import Transformer
from strategies.partition import even
from strategies.plan import MeshShape, Plan, StepShape, Volume, memory, merge, place
from strategies.runner import LocalRunner, Runner


class Sync(Protocol):
    """Makes the gradients of a step whole."""

    def begin(self) -> None:
        """Before the first forward: there are no gradients yet."""

    def arm(self) -> None:
        """Before the last backward: gradients that appear from now on are final."""

    def finish(self) -> None:
        """After the last backward: returns when all gradients are whole."""

    def close(self) -> None:
        """End what runs beside the computation."""


class NoSync:
    """Gradients are whole as they are."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module

    def begin(self) -> None:
        self.module.zero_grad(set_to_none=True)

    def arm(self) -> None:
        pass

    def finish(self) -> None:
        pass

    def close(self) -> None:
        pass


class Composed(Strategy):
    """A strategy made of a cut, a runner and a sync. Subclasses give ``volumes`` and the parts that differ."""

    module: Transformer

    @classmethod
    @abstractmethod
    def volumes(cls, model: ModelSpec, shape: StepShape, mesh: MeshShape, options: Mapping[str, Any]) -> list[Volume]:
        """Traffic of one step, from the formulas at the head of each strategy's file."""

    @classmethod
    def live(cls, shape: StepShape, mesh: MeshShape, options: Mapping[str, Any]) -> dict[int, int]:
        """Micro-batches whose activations are kept at once, by stage."""
        return {0: 1}

    @classmethod
    def plan(cls, model: ModelSpec, shape: StepShape, mesh: MeshShape, options: Mapping[str, Any]) -> Plan:
        placement = place(model, shape, mesh, options.get("stages"), options.get("shares"))
        return Plan(
            strategy=cls.name,
            model=model,
            shape=shape,
            mesh=mesh,
            options=dict(options),
            placement=placement,
            memory=memory(model, shape, placement, cls.live(shape, mesh, options)),
            volumes=tuple(merge(cls.volumes(model, shape, mesh, options))),
            notes=("activations are an estimate",),
        )

    def make_cut(self) -> Cut:
        return Whole()

    def make_runner(self) -> Runner:
        return LocalRunner(self.module, self.mesh.ledger)

    def make_sync(self) -> Sync:
        return NoSync(self.module)

    def build(self, load: WeightLoader, dtype: torch.dtype) -> nn.Module:
        with torch.device("meta"):
            module = Transformer(self.spec, self.at, self.make_cut()).to(dtype)
        self.module = module.to_empty(device="cpu")
        fill(self.module, [(p, self.at.shard(p, self.spec)) for p in self._held()], load)
        self.runner, self.sync = self.make_runner(), self.make_sync()
        return self.module

    def step(self, batch: Batch) -> Tensor:
        count = batch.valid()
        micros = self._micros(batch.span(*self.at.samples), self.shape.micro_batches)
        self.sync.begin()
        loss = self.runner.train(micros, count, self.sync.arm)
        with self.mesh.ledger.during("backward"):
            self.sync.finish()
        return loss if self._reports() else torch.zeros_like(loss)

    def evaluate(self, batch: Batch) -> Scores:
        mine = batch.span(*even(len(batch), self.mesh.shape.data)[self.at.coordinates["data"]])
        if not len(mine):
            return Scores(0.0, 0, 0)
        scores = self.runner.evaluate(self._micros(mine, min(self.shape.micro_batches, len(mine))))
        return scores if self._reports() else Scores(0.0, 0, 0)

    def export(self, what: Literal["weights", "gradients"]) -> Iterator[tuple[str, Tensor]]:
        own = dict(self.module.named_parameters())
        for number, parameter in enumerate(parameters(self.spec)):
            held, local = own.get(parameter.name), None
            if held is not None:
                local = held.detach() if what == "weights" else held.grad
            whole = self._gather(parameter, local, number)
            if whole is not None:
                yield parameter.name, whole

    def close(self) -> None:
        self.runner.close()
        self.sync.close()

    def _held(self) -> Iterator[Parameter]:
        return (p for p in parameters(self.spec) if self.at.holds(p, self.spec))

    def _reports(self) -> bool:
        """Whether this rank's loss and scores count: one rank of each replica, on the last stage."""
        at = self.at.coordinates
        return self.at.last and at["tensor"] == 0 and at["sequence"] == 0

    @staticmethod
    def _micros(batch: Batch, number: int) -> list[Batch]:
        return [batch.span(*span) for span in even(len(batch), number)]

    def _gather(self, parameter: Parameter, local: Tensor | None, tag: int) -> Tensor | None:
        """The whole tensor on rank 0, from the shards of the first replica's first holder."""
        first: dict[int, int] = {}
        for at in self.made_by.placement:
            home = at.coordinates["data"] == 0 and at.coordinates["sequence"] == 0
            if home and at.holds(parameter, self.spec):
                first.setdefault(at.tensor[0], at.rank)
        owners = [first[index] for index in sorted(first)]
        if self.made_by.placement[owners[0]].shard(parameter, self.spec) is None:
            owners = owners[:1]
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
        shape, span = list(parameter.shape), self.made_by.placement[owner].shard(parameter, self.spec)
        if span is not None and parameter.split is not None:
            shape[parameter.split] = span[1] - span[0]
        dtype = next(self.module.parameters()).dtype
        return self.mesh.world.receive(torch.empty(shape, dtype=dtype), owner, tag).finish()
