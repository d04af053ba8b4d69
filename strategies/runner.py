"""Forward and backward of a replica's micro-batches on one process. ``pipeline.py`` has the one for stages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

from strategies.base import Batch, Scores
from strategies.comm.ledger import Ledger
from strategies.models.transformer import Transformer


class Runner(Protocol):
    """Carries the micro-batches of one replica through the model."""

    def train(self, micros: Sequence[Batch], count: int, before_last: Callable[[], None]) -> Tensor:
        """Forward and backward of all micro-batches; gradients add up in ``.grad``.

        ``count`` is the number of valid targets of the global batch. ``before_last`` is called when only the last
        backward is left, after which gradients are final. Returns the loss where it is known, else zero (float64).
        """

    def evaluate(self, micros: Sequence[Batch]) -> Scores:
        """Forward only."""

    def close(self) -> None:
        """End what runs beside the computation."""


class LocalRunner:
    """All layers are here: one micro-batch after the other."""

    def __init__(self, module: Transformer, ledger: Ledger) -> None:
        self.module, self.ledger = module, ledger

    def train(self, micros: Sequence[Batch], count: int, before_last: Callable[[], None]) -> Tensor:
        total = torch.zeros((), dtype=torch.float64)
        for number, micro in enumerate(micros):
            with self.ledger.during("forward", number):
                x = self.module(micro.ids, micro.mask)
                loss = self.module.loss_sum(x, micro) / count
            if number == len(micros) - 1:
                before_last()
            with self.ledger.during("backward", number):
                loss.backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
        return total

    @torch.no_grad()
    def evaluate(self, micros: Sequence[Batch]) -> Scores:
        found = [self.module.scores(self.module(micro.ids, micro.mask), micro) for micro in micros]
        return total_scores(found, micros)

    def close(self) -> None:
        pass


def total_scores(found: Sequence[tuple[Tensor, Tensor]], micros: Sequence[Batch]) -> Scores:
    """The sums over micro-batches of (loss sum, right answers)."""
    return Scores(
        loss_sum=sum(float(loss) for loss, _ in found),
        correct=sum(int(correct) for _, correct in found),
        count=sum(micro.valid() for micro in micros),
    )
