"""What a task is: samples as token ids, cut into batches that every rank makes for itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar

import torch
from torch import Tensor

from bench.common.user_error import UserError
from bench.config.point_config import PointConfig
from strategies.base import Batch
from strategies.common.registry import Registry


class Task(ABC):
    """Training and validation samples of fixed length, padded on the right.

    ``train`` and ``held_out`` are whole data sets as a Batch. Batches follow an epoch's permutation that depends only on
    the seed and the epoch, so no data crosses the network and every strategy sees the same samples in the same order.
    """

    name: ClassVar[str]
    train: Batch
    held_out: Batch

    def __init__(self, config: PointConfig) -> None:
        self.batch_size, self.seed = config.train.batch, config.seed
        self.train, self.held_out = self.load(config)
        if self.batch_size > len(self.train):
            raise UserError(
                f"train.batch={self.batch_size} is larger than the {len(self.train)} training samples of {self.name}"
            )
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.int64)

    @abstractmethod
    def load(self, config: PointConfig) -> tuple[Batch, Batch]:
        """Make the samples.

        Args:
            config: The point; further keys of the task are ``config.task.options``.

        Returns:
            Training and validation samples: ids and mask [samples, seq], targets by the head of the model.
        """

    def batch(self, step: int) -> Batch:
        """The global batch of a step. What does not fill a batch at the end of an epoch is left for another epoch.

        Args:
            step: The step, from 0, over all epochs.

        Returns:
            Ids and mask [batch, seq], targets by the head of the model.
        """
        per_epoch = len(self.train) // self.batch_size
        epoch, number = divmod(step, per_epoch)
        if epoch != self._epoch:
            generator = torch.Generator().manual_seed(1_000_003 * self.seed + epoch)
            self._epoch, self._order = epoch, torch.randperm(len(self.train), generator=generator)
        chosen = self._order[number * self.batch_size : (number + 1) * self.batch_size]
        return Batch(self.train.ids[chosen], self.train.mask[chosen], self.train.targets[chosen])

    def validation(self, batch_size: int, limit: int | None = None) -> Iterator[Batch]:
        """The validation split in order.

        Args:
            batch_size: Samples in a batch; the last may have fewer.
            limit: How many samples at most; None: all.

        Yields:
            Batches with ids and mask [batch_size, seq], targets by the head of the model.
        """
        end = len(self.held_out) if limit is None else min(limit, len(self.held_out))
        for begin in range(0, end, batch_size):
            yield self.held_out.span(begin, min(begin + batch_size, end))


_TASKS: Registry[type[Task]] = Registry("task", "bench.tasks", "edgejoule.tasks", error=UserError)
register = _TASKS.register


def make_task(config: PointConfig) -> Task:
    """Make the task of a point.

    Args:
        config: The point; ``config.task.name`` is the task's.

    Returns:
        The task with its samples.

    Raises:
        UserError: The name is unknown; the message has near ones.
    """
    return _TASKS.get(config.task.name)(config)


def next_tokens(ids: Tensor, mask: Tensor) -> Tensor:
    """Targets of a language model: the token that follows each.

    Args:
        ids: Token ids, int64 [samples, seq].
        mask: True where there is a token, bool [samples, seq].

    Returns:
        Targets, int64 [samples, seq]; -100 where the following token is padding or there is none.
    """
    targets = torch.full_like(ids, -100)
    targets[:, :-1] = torch.where(mask[:, 1:], ids[:, 1:], -100)
    return targets
