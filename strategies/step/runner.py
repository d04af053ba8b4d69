"""The interface of what carries micro-batches through a model, for one process and for a pipeline stage."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Tensor

from strategies.base import Scores
from strategies.models.transformer import MicroBatch


class Runner(ABC):
    """Carries the micro-batches of one replica through this rank's part of the model."""

    def passes(self, micros: Sequence[MicroBatch]) -> int:
        """How often a step adds to every gradient.

        Args:
            micros: This rank's parts of the micro-batches.

        Returns:
            Once for each, where it is not run in parts.
        """
        return len(micros)

    @abstractmethod
    def train(self, micros: Sequence[MicroBatch], count: int) -> Tensor:
        """Forward and backward of all micro-batches; gradients add up in ``.grad``.

        Args:
            micros: This rank's parts of the micro-batches.
            count: Valid targets of the global batch, by which the loss is divided.

        Returns:
            The loss where it is computed, else zero; a float64 scalar on the CPU.
        """

    @abstractmethod
    def evaluate(self, micros: Sequence[MicroBatch], samples: int) -> Scores:
        """Forward only.

        Args:
            micros: This rank's parts of an evaluation batch; in a pipeline some may be empty.
            samples: Samples of the whole evaluation batch.

        Returns:
            Sums where the scores are computed, else zeros.
        """


def total_scores(scores: Sequence[tuple[Tensor, Tensor]], micros: Sequence[MicroBatch]) -> Scores:
    """Add up the scores of micro-batches.

    Args:
        scores: (loss sum, right answers) of each, scalars.
        micros: The micro-batches, for the number of their targets.

    Returns:
        The sums.
    """
    return Scores(
        loss_sum=sum(float(loss) for loss, _ in scores),
        correct=sum(int(correct) for _, correct in scores),
        count=sum(micro.valid() for micro in micros),
    )
