"""Next-token prediction on the text of the movie reviews."""

from __future__ import annotations

from typing import ClassVar

from bench.config.point_config import PointConfig
from bench.tasks.task_base.review_texts import Review, read_reviews, split
from bench.tasks.task_base.task import Task, next_tokens, register
from bench.tasks.task_base.tokenization import tokenize
from strategies.base import Batch


@register
class NextToken(Task):
    """Samples are reviews, targets the tokens that follow."""

    name: ClassVar[str] = "lm"

    def load(self, config: PointConfig) -> tuple[Batch, Batch]:
        """The training split and the validation split of the reviews."""
        train, held_out = split(read_reviews())
        return self._batch(train, config), self._batch(held_out, config)

    @staticmethod
    def _batch(reviews: list[Review], config: PointConfig) -> Batch:
        model, texts = config.model, [review.text for review in reviews]
        ids, mask = tokenize(texts, config.train.seq, model.checkpoint, model.spec.vocab)
        return Batch(ids, mask, next_tokens(ids, mask))
