"""One process that trains the twin; every peer is this with the model wrapped in another way."""

from __future__ import annotations

import itertools
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from benchmarks.peers.torch_side.twin_model import IGNORED, Twin, loss_part
from strategies.plan.model_spec import ModelSpec
from strategies.plan.partition import Span, even

WEIGHT_DECAY = 0.01


class PeerRefused(Exception):
    """A peer cannot do this: torch lacks it here, or the model does not fit it. The message is one line."""


@dataclass(frozen=True)
class PeerWork:
    """What a peer is to train: the batch is the global one; ``stages`` are layers of every virtual stage of a pipeline."""

    spec: ModelSpec
    batch: int
    seq: int
    micro_batches: int
    lr: float
    stages: tuple[Span, ...] = ()


class TorchPeer:
    """One process, without communication.

    ``step`` is a whole step with the optimizer's. It returns what this rank adds to the loss, or None where that is not
    known: the sum over ranks is the loss, and no peer communicates it, as the project's strategies do not either.
    """

    name: ClassVar[str] = "single"

    def __init__(self, work: PeerWork) -> None:
        self.work = work
        self.begin, self.end = 0, work.batch
        self.scale = 1.0
        self.model: Any = self.build()
        self.optimizer = self.make_optimizer(work.lr)

    def build(self) -> nn.Module:
        """The model of this rank, wrapped as the peer does it. Collective."""
        return Twin(self.work.spec)

    def groups(self) -> list[dict[str, Any]]:
        """Weight decay spares biases and norms. A fused kernel does not mix distributed and plain tensors."""
        groups = []
        for matrix, distributed in itertools.product((True, False), repeat=2):
            kind = (matrix, distributed)
            members = [p for p in self.model.parameters() if (p.ndim > 1, isinstance(p, DTensor)) == kind]
            if members:
                groups.append({"params": members, "weight_decay": WEIGHT_DECAY if matrix else 0.0})
        return groups

    def make_optimizer(self, lr: float) -> torch.optim.Optimizer:
        """The optimizer of this rank's parameters, with torch's fused kernel, as ours has it.

        Args:
            lr: The learning rate.

        Returns:
            AdamW over ``groups``.
        """
        return torch.optim.AdamW(self.groups(), lr=lr, fused=True)

    def step(self, ids: Tensor, mask: Tensor, targets: Tensor) -> float | None:
        """One training step with the optimizer's. Collective.

        Args:
            ids: int64 [B, S] of the global batch, on every rank.
            mask: bool [B, S], True for a real token.
            targets: int64 [B] or [B, S].

        Returns:
            What this rank adds to the loss; None where it does not know.
        """
        self.optimizer.zero_grad()
        loss = self.train(ids, mask, targets, int((targets != IGNORED).sum()))
        self.optimizer.step()
        return loss

    def train(self, ids: Tensor, mask: Tensor, targets: Tensor, count: int) -> float | None:
        """Forward, backward and synchronisation of this rank's samples, micro-batch by micro-batch.

        Args:
            ids: As of ``step``.
            mask: As of ``step``.
            targets: As of ``step``.
            count: Targets of the global batch that count.

        Returns:
            As ``step``.
        """
        total = 0.0
        for number, (begin, end) in enumerate(even(self.end - self.begin, self.work.micro_batches)):
            mine = slice(self.begin + begin, self.begin + end)
            with self.during(last=number == self.work.micro_batches - 1):
                loss = loss_part(self.model(ids[mine], mask[mine]), targets[mine], count)
                (loss * self.scale).backward()
            total += loss.item()
        return total

    def during(self, last: bool) -> AbstractContextManager[Any]:
        """Around forward and backward of a micro-batch; gradients are synchronised in the last one only.

        Args:
            last: Whether it is the last one.

        Returns:
            A context.
        """
        return nullcontext()

    def gradients(self) -> dict[str, Tensor]:
        """Whole gradients of the last step, of the parameters that this rank holds, by canonical name. Collective."""
        named = ((name.removeprefix("module."), p.grad) for name, p in self.model.named_parameters())
        return {name: grad.full_tensor() if isinstance(grad, DTensor) else grad for name, grad in named}
