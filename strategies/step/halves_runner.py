"""Forward and backward of a replica's micro-batches in two halves that take turns, so that reductions hide behind products."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from strategies.comm.ledger import Ledger
from strategies.models.transformer import MicroBatch, Transformer
from strategies.step.alternating_halves import Turns
from strategies.step.local_runner import LocalRunner


class HalvesRunner(LocalRunner):
    """All layers are here, cut over tensor ranks; a micro-batch of one sample has no halves and is run whole.

    Args:
        module: The layers.
        ledger: Of this rank.
        turns: Of the halves; the tensor layers communicate through it.
    """

    def __init__(self, module: Transformer, ledger: Ledger, turns: Turns) -> None:
        super().__init__(module, ledger)
        self.turns = turns

    def passes(self, micros: Sequence[MicroBatch]) -> int:
        """Two for each micro-batch that has halves."""
        return sum(1 if len(micro) < 2 else 2 for micro in micros)

    def train(self, micros: Sequence[MicroBatch], count: int) -> Tensor:
        """The halves of one micro-batch after the other."""
        total = torch.zeros((), dtype=torch.float64, device=next(self.module.parameters()).device)
        for number, micro in enumerate(micros):
            if len(micro) < 2:
                total += super().train([micro], count)
                continue
            middle, losses = (len(micro) + 1) // 2, list[Tensor]()
            first, second = micro.span(0, middle), micro.span(middle, len(micro))
            self.turns.run(self._half(first, count, losses), self._half(second, count, losses), number)
            total += torch.stack(losses).sum()
        return total.cpu()

    def _half(self, micro: MicroBatch, count: int, losses: list[Tensor]) -> Callable[[], None]:
        def compute() -> None:
            self.turns.enter("forward")
            loss = self.module.loss_sum(self.module(None, micro), micro) / count
            losses.append(loss.detach().double())
            self.turns.enter("backward")
            loss.backward()  # type: ignore[no-untyped-call]

        return compute
