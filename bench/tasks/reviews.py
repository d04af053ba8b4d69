"""Sentiment of movie review snippets: real text, two classes (``data/reviews``, with its licence and its split)."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch

from bench.common.paths import DATA
from bench.common.user_error import UserError
from bench.tasks.task import Task, register
from bench.tasks.tokenization import tokenize
from strategies.base import Batch

FILE = DATA / "reviews" / "reviews.tsv"
HELD_OUT = 0.1


@dataclass(frozen=True)
class Review:
    id: str
    label: int
    text: str


def read_reviews(file: Path = FILE) -> list[Review]:
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            rows = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    except FileNotFoundError:
        raise UserError(f"{file} does not exist; take the data folder from the repository") from None
    return [Review(row["id"], int(row["label"]), row["text"]) for row in rows]


def split(reviews: list[Review]) -> tuple[list[Review], list[Review]]:
    """Training and validation reviews: in each class the first tenth by SHA-256 of the id is held out.

    Both lists are ordered by that hash over both classes, so that a part of the validation split is balanced too.
    """
    train, held_out = [], []
    for label in (0, 1):
        own = sorted((r for r in reviews if r.label == label), key=_order)
        cut = int(HELD_OUT * len(own))
        held_out += own[:cut]
        train += own[cut:]
    return sorted(train, key=_order), sorted(held_out, key=_order)


def _order(review: Review) -> str:
    return hashlib.sha256(review.id.encode()).hexdigest()


@register
class Reviews(Task):
    name: ClassVar[str] = "reviews"

    def load(self, config: Mapping[str, Any]) -> tuple[Batch, Batch]:
        train, held_out = split(read_reviews())
        return self._batch(train, config), self._batch(held_out, config)

    @staticmethod
    def _batch(reviews: list[Review], config: Mapping[str, Any]) -> Batch:
        model = config["model"]
        texts = [review.text for review in reviews]
        ids, mask = tokenize(texts, config["train"]["seq"], model["checkpoint"], model["spec"]["vocab"])
        return Batch(ids, mask, torch.tensor([review.label for review in reviews], dtype=torch.int64))
