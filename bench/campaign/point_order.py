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
    """Each configuration once, by its hash, with its number of repeats."""
    return {point.hash: (point, count) for point, count in zip(points, repeats, strict=True)}


def expand(points: Sequence[Config], repeats: Sequence[int], results: Path, seed: int) -> list[Config]:
    """All repeats of all points in the order in which they will run; the same configuration twice counts once.

    ``repeats`` has the number of repeats of each point.
    """
    order = []
    for repeat in range(max(repeats, default=0)):
        block = [configs.named(point, results, repeat) for point, count in unique(points, repeats).values() if repeat < count]
        order += shuffled(block, f"{seed}/{repeat}")
    return [replace(point, order=number) for number, point in enumerate(order)]


def further(
    points: Mapping[str, Config], repeats: Mapping[str, int], results: Path, seed: int, block: int, first: int
) -> list[Config]:
    """Block ``block`` after those of ``expand``: repeat ``repeats[hash]`` of each point named there; ``first`` counts on."""
    named = [configs.named(points[code], results, repeat) for code, repeat in repeats.items()]
    return [replace(point, order=first + number) for number, point in enumerate(shuffled(named, f"{seed}/further/{block}"))]


def shuffled(block: Sequence[Config], seed: str) -> list[Config]:
    """The points of one block of repeats in an order that ``seed`` alone decides."""
    found = list(block)
    random.Random(seed).shuffle(found)
    return found
