"""The next combination by Optuna's samplers, as a function of all that is known: the same records give the same answer.

Each time, Optuna is told everything anew (its ``create_trial`` and ``ask``): medians of repeats that came in meanwhile count,
and a search that goes on after a crash goes on as if it had not stopped. Samplers whose state is more than the trials, such as
the generations of NSGA-II, have no place in this; their populations of tens of points are larger than a budget, too.

Objectives are told as logarithms: seconds and joules of a front differ by factors. A combination that ran out of memory,
failed or cannot run violates a constraint.
"""

from __future__ import annotations

import math
import random
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.common.user_error import UserError
from bench.search.search_space import Candidate, Dimension, Level, Space

if TYPE_CHECKING:
    import optuna


MOST_LISTED = 20_000
"""Combinations of which the nearest untried one is looked for among all; of more some are drawn."""
DRAWN = 2_000


@dataclass(frozen=True)
class Told:
    """What a combination came to: objectives, all positive and to be small; null where it has no valid ones."""

    candidate: Candidate
    objectives: tuple[float, ...] | None


def check_optuna() -> None:
    """Raise UserError where Optuna is missing or too old, before anything runs."""
    try:
        import optuna
    except ImportError:
        raise UserError("campaign.search needs Optuna, which is not installed; pip install 'optuna>=5'") from None
    if int(optuna.__version__.split(".")[0]) < 5:
        raise UserError(f"campaign.search needs Optuna 5, but {optuna.__version__} is installed; pip install 'optuna>=5'")


def ask(space: Space, told: Sequence[Told], sampler: str, objectives: int, seed: int) -> tuple[Candidate, str] | None:
    """The next combination that is not among ``told``.

    Args:
        space: All combinations.
        told: What is known, in any order that does not change.
        sampler: One of SAMPLERS.
        objectives: How many there are.
        seed: With ``told`` it decides the answer.

    Returns:
        The combination and why it is the next one; null where none is left.
    """
    tried = {one.candidate for one in told}
    if space.size is not None and len(tried) >= space.size:
        return None
    wanted = _suggested(space, told, sampler, objectives, seed + 1009 * len(told))
    why = f"{sampler}, told {len(told)} combinations"
    if wanted not in tried:
        return wanted, why
    nearest = _nearest(space, wanted, tried, random.Random(f"{seed}/{len(told)}"))
    return None if nearest is None else (nearest, f"{why}: the untried one that is nearest to what it asked for again")


def _suggested(space: Space, told: Sequence[Told], sampler: str, objectives: int, seed: int) -> Candidate:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # experimental classes
        chosen = _sampler(sampler, len(told), seed)
        study = optuna.create_study(directions=["minimize"] * objectives, sampler=chosen)
        distributions = {one.name: _distribution(one) for one in space.dimensions}
        study.add_trials(_trials(space, told, distributions, objectives))
        params = study.ask(distributions).params
    return tuple(params[one.name] for one in space.dimensions)


def _sampler(name: str, told: int, seed: int) -> optuna.samplers.BaseSampler:
    import optuna

    make: dict[str, Callable[[], optuna.samplers.BaseSampler]] = {
        "gp": lambda: optuna.samplers.GPSampler(seed=seed, n_startup_trials=min(told, 2)),
        "tpe": lambda: optuna.samplers.TPESampler(seed=seed, n_startup_trials=min(told, 2), multivariate=True),
        "random": lambda: optuna.samplers.RandomSampler(seed=seed),
    }
    return make[name]()


def _distribution(one: Dimension) -> optuna.distributions.BaseDistribution:
    from optuna import distributions

    if not one.levels:
        kind = distributions.IntDistribution if isinstance(one.low, int) else distributions.FloatDistribution
        return kind(one.low, one.high, log=one.log)  # type: ignore[arg-type]
    if one.ordered:
        return distributions.IntDistribution(0, len(one.levels) - 1)
    return distributions.CategoricalDistribution(range(len(one.levels)))


def _trials(
    space: Space, told: Sequence[Told], distributions: dict[str, optuna.distributions.BaseDistribution], objectives: int
) -> list[optuna.trial.FrozenTrial]:
    """What is known, as Optuna keeps it; a combination without objectives has the worst that are known."""
    import optuna

    known = [_logs(one.objectives) for one in told if one.objectives is not None]
    worst = [max(values) for values in zip(*known, strict=True)] if known else [0.0] * objectives
    return [
        optuna.create_trial(
            params=dict(zip(distributions, one.candidate, strict=True)),
            distributions=distributions,
            values=worst if one.objectives is None else _logs(one.objectives),
            constraints={"has a valid result": 1.0 if one.objectives is None else -1.0},
        )
        for one in told
    ]


def _logs(objectives: Sequence[float]) -> list[float]:
    return [math.log(value) for value in objectives]


def _nearest(space: Space, wanted: Candidate, tried: set[Candidate], rng: random.Random) -> Candidate | None:
    """The untried combination with the fewest other levels, of these the one with the nearest ones; by chance among equals."""
    if space.size is not None and space.size <= MOST_LISTED:
        others = [one for one in space.every() if one not in tried]
    else:
        others = [one for one in space.spread(DRAWN, rng) if one not in tried]
    if not others:
        return None
    return min(others, key=lambda one: (*_distance(space, wanted, one), rng.random()))


def _distance(space: Space, first: Candidate, second: Candidate) -> tuple[int, float]:
    apart = 0.0
    pairs: list[tuple[Dimension, Level, Level]] = [
        (one, a, b) for one, a, b in zip(space.dimensions, first, second, strict=True) if a != b
    ]
    for one, a, b in pairs:
        ends = one.ends
        apart += abs(a - b) / abs(ends[-1] - ends[0]) if one.ordered or not one.levels else 1.0
    return len(pairs), apart
