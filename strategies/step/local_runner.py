"""Forward and backward of a replica's micro-batches on one process. ``stages.py`` has the one for pipelines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from strategies.base import Scores
from strategies.comm.ledger import Ledger
from strategies.models.transformer import Micro, Transformer


class Runner(Protocol):
    """Carries the micro-batches of one replica through the model."""

    def train(self, micros: Sequence[Micro], count: int) -> Tensor:
        """Forward and backward of all micro-batches; gradients add up in ``.grad``.

        ``count`` is the number of valid targets of the global batch. Returns the loss where it is known, else zero
        (float64).
        """

    def evaluate(self, micros: Sequence[Micro]) -> Scores:
        """Forward only."""


class LocalRunner:
    """All layers are here: one micro-batch after the other."""

    def __init__(self, module: Transformer, ledger: Ledger) -> None:
        self.module, self.ledger = module, ledger

    def train(self, micros: Sequence[Micro], count: int) -> Tensor:
        total = torch.zeros((), dtype=torch.float64, device=next(self.module.parameters()).device)
        for number, micro in enumerate(micros):
            with self.ledger.during("forward", number):
                loss = self.module.loss_sum(self.module(None, micro), micro) / count
            with self.ledger.during("backward", number):
                loss.backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
        return total.cpu()

    @torch.no_grad()
    def evaluate(self, micros: Sequence[Micro]) -> Scores:
        found = [self.module.scores(self.module(None, micro), micro) for micro in micros]
        return total_scores(found, micros)


def total_scores(found: Sequence[tuple[Tensor, Tensor]], micros: Sequence[Micro]) -> Scores:
    """The sums over micro-batches of (loss sum, right answers)."""
    return Scores(
        loss_sum=sum(float(loss) for loss, _ in found),
        correct=sum(int(correct) for _, correct in found),
        count=sum(micro.valid() for micro in micros),
    )
