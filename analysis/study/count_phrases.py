"""Counts and lists of names in sentences: ``2 points``, ``n = 3 to 6``, ``data, tensor and 4 more``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def counted(count: int, noun: str) -> str:
    """A number with its noun: ``1 point``, ``2 points``.

    Args:
        count: 0 or more.
        noun: In the singular; its plural ends in s.

    Returns:
        Number and noun.
    """
    return f"{count} {noun}{'' if count == 1 else 's'}"


def some(names: Sequence[str], most: int = 2) -> str:
    """The first of many names, and how many more there are.

    Args:
        names: All of them.
        most: How many are shown.

    Returns:
        ``a, b and 3 more``.
    """
    shown, left = ", ".join(names[:most]), len(names) - most
    return f"{shown} and {left} more" if left > 0 else shown


def repeat_counts(counts: Iterable[int]) -> str:
    """How many repeats there are of each configuration.

    Args:
        counts: The number of repeats of each configuration; at least one.

    Returns:
        ``n = 6`` where all have as many, else ``n = 3 to 6``.
    """
    numbers = list(counts)
    least, most = min(numbers), max(numbers)
    return f"n = {least}" if least == most else f"n = {least} to {most}"
