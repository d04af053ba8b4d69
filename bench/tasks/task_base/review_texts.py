"""The movie review snippets (``data/reviews``, with their licence): reading them, and which are held out."""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass
from pathlib import Path

from bench.common.paths import DATA
from bench.common.user_error import UserError

FILE = DATA / "reviews" / "reviews.tsv"
HELD_OUT = 0.1


@dataclass(frozen=True)
class Review:
    """A snippet with its class: 0 negative, 1 positive."""

    id: str
    label: int
    text: str


def read_reviews(file: Path = FILE) -> list[Review]:
    """Read all reviews.

    Args:
        file: Tab-separated, with the columns id, label and text.

    Returns:
        The reviews in the order of the file.

    Raises:
        UserError: The file is missing.
    """
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            rows = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    except FileNotFoundError:
        raise UserError(f"{file} does not exist; take the data folder from the repository") from None
    return [Review(row["id"], int(row["label"]), row["text"]) for row in rows]


def split(reviews: list[Review]) -> tuple[list[Review], list[Review]]:
    """Training and validation reviews: in each class the first tenth by SHA-256 of the id is held out.

    Both lists are ordered by that hash over both classes, so that a part of the validation split is balanced too.

    Args:
        reviews: All reviews.

    Returns:
        Training reviews and validation reviews.
    """
    train, held_out = [], []
    for label in (0, 1):
        of_class = sorted((r for r in reviews if r.label == label), key=_order)
        cut = int(HELD_OUT * len(of_class))
        held_out += of_class[:cut]
        train += of_class[cut:]
    return sorted(train, key=_order), sorted(held_out, key=_order)


def _order(review: Review) -> str:
    return hashlib.sha256(review.id.encode()).hexdigest()
