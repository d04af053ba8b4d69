"""Cutting a number of things into consecutive parts."""

from __future__ import annotations

from collections.abc import Sequence

from strategies.common.plan_error import PlanError

Span = tuple[int, int]


def even(total: int, parts: int) -> list[Span]:
    """Parts of sizes as equal as possible, the larger ones first.

    Args:
        total: How many things, from 0.
        parts: How many parts, at least 1.

    Returns:
        ``parts`` half-open spans, one after the other.
    """
    small, larger = divmod(total, parts)
    return spans([small + (part < larger) for part in range(parts)])


def lighter_ends(total: int, parts: int) -> list[Span]:
    """As ``even``, but what does not divide goes to the middle: the ends of a model have its tables and its loss too.

    Args:
        total: How many things, from 0.
        parts: How many parts, at least 1.

    Returns:
        ``parts`` half-open spans, one after the other.
    """
    small, larger = divmod(total, parts)
    by_middle = sorted(range(parts), key=lambda part: abs(part - (parts - 1) / 2))
    return spans([small + (part in by_middle[:larger]) for part in range(parts)])


def spans(sizes: Sequence[int]) -> list[Span]:
    """Half-open spans, one after the other from 0.

    Args:
        sizes: Of each.

    Returns:
        As many.
    """
    parts, begin = [], 0
    for size in sizes:
        parts.append((begin, begin + size))
        begin += size
    return parts


def weighted(total: int, weights: Sequence[float]) -> list[Span]:
    """Things shared in proportion to weights by largest remainder; every part gets at least one.

    Args:
        total: How many things.
        weights: One for each part; only their ratios count.

    Returns:
        Half-open spans, one after the other.

    Raises:
        PlanError: There are fewer things than parts, or a weight is not positive.
    """
    if any(weight <= 0 for weight in weights):
        raise PlanError(f"shares {list(weights)} must all be positive")
    if total < len(weights):
        raise PlanError(f"{total} things cannot be shared by {len(weights)} parts; every part needs at least one")
    scale = total / sum(weights)
    sizes = [max(1, int(weight * scale)) for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda i: sizes[i] - weights[i] * scale)
    while sum(sizes) < total:
        sizes[by_remainder.pop(0)] += 1
    while sum(sizes) > total:
        sizes[sizes.index(max(sizes))] -= 1
    return spans(sizes)


def within(outer: Span, inner: Span) -> Span:
    """A span inside of another one, in what the outer one is counted in.

    Args:
        outer: The outer span.
        inner: Counted from the begin of ``outer``.

    Returns:
        The inner span shifted.
    """
    return outer[0] + inner[0], outer[0] + inner[1]


def divisors(number: int) -> list[int]:
    """Every whole number that divides another.

    Args:
        number: At least 1.

    Returns:
        Ascending, with 1 and ``number``.
    """
    return [n for n in range(1, number + 1) if number % n == 0]


def either(values: Sequence[object]) -> str:
    """Values for a message that says which would work.

    Args:
        values: At least one.

    Returns:
        ``1, 2, 3 or 6``.
    """
    texts = [str(value) for value in values]
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} or {texts[-1]}"
