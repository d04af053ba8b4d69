"""The order of points: repeats are blocks, shuffled inside.

All points once, then all again: so drift of temperature or of other load spreads over all configurations instead of falling
on the last.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from bench.config.point_config import PointConfig
from bench.point import resolved_point as configs

Config = PointConfig


def unique(points: Sequence[Config], repeats: Sequence[int]) -> dict[str, tuple[Config, int]]:
    """Each configuration once.

    Args:
        points: Resolved points.
        repeats: The number of repeats of each.

    Returns:
        By hash, the last such point and its number of repeats.
    """
    return {point.hash: (point, count) for point, count in zip(points, repeats, strict=True)}


def expand(points: Sequence[Config], repeats: Sequence[int], results: Path, seed: int) -> list[Config]:
    """All repeats of all points in the order in which they will run; the same configuration twice counts once.

    Args:
        points: Resolved points.
        repeats: The number of repeats of each.
        results: The folder of all studies.
        seed: Decides the order.

    Returns:
        The points with their repeat, folder and place in the order.
    """
    order = []
    for repeat in range(max(repeats, default=0)):
        block = [configs.named(point, results, repeat) for point, count in unique(points, repeats).values() if repeat < count]
        order += shuffled(block, f"{seed}/{repeat}")
    return [replace(point, order=number) for number, point in enumerate(order)]


def further(
    points: Mapping[str, Config], repeats: Mapping[str, int], results: Path, seed: int, block: int, first: int
) -> list[Config]:
    """A block of repeats after those of ``expand``.

    Args:
        points: The configurations by hash.
        repeats: By hash, the repeat of each that belongs to the block.
        results: The folder of all studies.
        seed: Decides the order.
        block: The number of the block, from 0.
        first: The place of the block's first point in the whole order.

    Returns:
        The points with their repeat, folder and place in the order.
    """
    named = [configs.named(points[code], results, repeat) for code, repeat in repeats.items()]
    return [replace(point, order=first + number) for number, point in enumerate(shuffled(named, f"{seed}/further/{block}"))]


def shuffled(block: Sequence[Config], seed: str) -> list[Config]:
    """The points of one block of repeats in an order that ``seed`` alone decides.

    Args:
        block: The points in a fixed order.
        seed: Any text.

    Returns:
        The same points, shuffled.
    """
    order = list(block)
    random.Random(seed).shuffle(order)
    return order
