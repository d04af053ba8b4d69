"""Which combination runs next, and why: first those of the start, then what the sampler asks for. Pure."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.search.optuna_sampler import Told, ask
from bench.search.pareto_front import dominates
from bench.search.search_space import Candidate, Space

LEAST_START = 4
"""Combinations of a start without predictions; more where a key has more levels."""
PREDICTED_SHARE = 2
"""A start by predictions has at most one of so many of the budget."""


@dataclass(frozen=True)
class Choice:
    """A combination and why it was asked for."""

    candidate: Candidate
    why: str


def start_of(space: Space, budget: int, seed: int, predicted: Mapping[Candidate, Sequence[float]]) -> list[Choice]:
    """The combinations before there is anything to learn from.

    Args:
        space: All combinations.
        budget: How many will run.
        seed: Decides which.
        predicted: Objectives by a profile, where there is one: then the start are the combinations on the predicted front.

    Returns:
        The choices in their order.
    """
    if predicted:
        ranked = by_layers(predicted)
        best = [(layer, one) for layer, front in enumerate(ranked) for one in front][: max(1, budget // PREDICTED_SHARE)]
        words = ["on the predicted front", "on the predicted front without the points before it"]
        return [Choice(one, f"start: {words[min(layer, 1)]}") for layer, one in best]
    levels = max(len(one.levels) for one in space.dimensions)
    count = min(budget, max(LEAST_START, levels))
    drawn = space.spread(count, random.Random(f"{seed}/start"))
    return [Choice(one, "start: every level equally often") for one in dict.fromkeys(drawn)]


def by_layers(points: Mapping[Candidate, Sequence[float]]) -> list[list[Candidate]]:
    """The points of the front, then those of the front without these, and so on.

    Args:
        points: Objectives, all to be small.

    Returns:
        Layers of points, each by its first objective.
    """
    left, layers = dict(points), []
    while left:
        layer = [name for name, one in left.items() if not any(dominates(other, one) for other in left.values())]
        layers.append(sorted(layer, key=lambda name: tuple(points[name])))
        left = {name: one for name, one in left.items() if name not in layer}
    return layers


def next_choice(
    space: Space, start: Sequence[Choice], told: Sequence[Told], sampler: str, objectives: int, seed: int
) -> Choice | None:
    """The next combination.

    Args:
        space: All combinations.
        start: Those to begin with.
        told: What is known, in the order in which it was asked for.
        sampler: That of Optuna.
        objectives: How many there are.
        seed: With the rest it decides the answer.

    Returns:
        The choice; null where every combination was tried.
    """
    tried = {one.candidate for one in told}
    for choice in start:
        if choice.candidate not in tried:
            return choice
    asked = ask(space, told, sampler, objectives, seed)
    return None if asked is None else Choice(*asked)
