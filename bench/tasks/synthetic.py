"""Random token ids with a rule that can be learnt: for any model and size, without data files.

A sample of class c has tokens of the c-th part of the vocabulary; the next token follows the last by a fixed step.
"""

from __future__ import annotations

from typing import ClassVar

import torch

from bench.common.user_error import UserError
from bench.config.point_config import PointConfig
from bench.tasks.task_base.task import Task, next_tokens, register
from strategies.base import Batch

STEP = 7


@register
class SyntheticTokens(Task):
    """Samples of random ids: of a class's part of the vocabulary, or in fixed steps for next tokens."""

    name: ClassVar[str] = "synthetic"

    def load(self, config: PointConfig) -> tuple[Batch, Batch]:
        """Samples of two seeds: the point's, and the next."""
        task, seed = config.task, config.seed
        if task.samples is None or task.held_out is None:
            raise UserError("task.name=synthetic needs task.samples and task.held_out; use task=synthetic")
        return self._batch(config, task.samples, 2 * seed), self._batch(config, task.held_out, 2 * seed + 1)

    @staticmethod
    def _batch(config: PointConfig, samples: int, seed: int) -> Batch:
        spec, seq = config.model.spec, config.train.seq
        generator = torch.Generator().manual_seed(seed)
        mask = torch.ones(samples, seq, dtype=torch.bool)
        if spec.head == "lm":
            first = torch.randint(0, spec.vocab, (samples, 1), generator=generator)
            ids = (first + STEP * torch.arange(seq)) % spec.vocab
            return Batch(ids, mask, next_tokens(ids, mask))
        labels = torch.randint(0, spec.labels, (samples,), generator=generator)
        part = spec.vocab // spec.labels
        ids = torch.randint(0, part, (samples, seq), generator=generator) + part * labels[:, None]
        return Batch(ids, mask, labels)
