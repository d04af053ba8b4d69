"""Forward and backward of a replica's micro-batches where one process holds all layers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from strategies.base import Scores
from strategies.comm.ledger import Ledger
from strategies.models.transformer import MicroBatch, Transformer
from strategies.step.runner import Runner, total_scores


class LocalRunner(Runner):
    """All layers are here: one micro-batch after the other."""

    def __init__(self, module: Transformer, ledger: Ledger) -> None:
        self.module, self.ledger = module, ledger

    def train(self, micros: Sequence[MicroBatch], count: int) -> Tensor:
        """Forward and backward of each, one after the other."""
        total = torch.zeros((), dtype=torch.float64, device=next(self.module.parameters()).device)
        for number, micro in enumerate(micros):
            with self.ledger.during("forward", number):
                loss = self.module.loss_sum(self.module(None, micro), micro) / count
            with self.ledger.during("backward", number):
                loss.backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
        return total.cpu()

    @torch.no_grad()
    def evaluate(self, micros: Sequence[MicroBatch], samples: int) -> Scores:
        """Forward of each."""
        return total_scores([self.module.scores(self.module(None, micro), micro) for micro in micros], micros)
