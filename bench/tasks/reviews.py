"""Sentiment of movie review snippets: real text, two classes (``data/reviews``, with its licence and its split)."""

from __future__ import annotations

from typing import ClassVar

import torch

from bench.config.point_config import PointConfig
from bench.tasks.task_base.review_texts import Review, read_reviews, split
from bench.tasks.task_base.task import Task, register
from bench.tasks.task_base.tokenization import tokenize
from strategies.base import Batch


@register
class ReviewSentiment(Task):
    """Samples are reviews, targets their classes: 0 negative, 1 positive."""

    name: ClassVar[str] = "reviews"

    def load(self, config: PointConfig) -> tuple[Batch, Batch]:
        """The training split and the validation split of the reviews."""
        train, held_out = split(read_reviews())
        return self._batch(train, config), self._batch(held_out, config)

    @staticmethod
    def _batch(reviews: list[Review], config: PointConfig) -> Batch:
        model = config.model
        texts = [review.text for review in reviews]
        ids, mask = tokenize(texts, config.train.seq, model.checkpoint, model.spec.vocab)
        return Batch(ids, mask, torch.tensor([review.label for review in reviews], dtype=torch.int64))
