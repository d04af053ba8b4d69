"""Counts and lists of names in sentences: ``2 points``, ``n = 3 to 6``, ``data, tensor and 4 more``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def counted(count: int, noun: str) -> str:
    """``1 point``, ``2 points``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def some(names: Sequence[str], most: int = 2) -> str:
    """The first ``most`` of many names, and how many more there are."""
    shown, left = ", ".join(names[:most]), len(names) - most
    return f"{shown} and {left} more" if left > 0 else shown


def repeat_counts(counts: Iterable[int]) -> str:
    """How many repeats there are of each configuration: ``n = 6`` where all have as many, else ``n = 3 to 6``.

    Args:
        counts: The number of repeats of each configuration; at least one.
    """
    numbers = list(counts)
    least, most = min(numbers), max(numbers)
    return f"n = {least}" if least == most else f"n = {least} to {most}"
