"""A sweep with ``campaign.search.budget``: from Hydra's words to a search (``bench/search``)."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from bench.campaign.campaign_loop import carry_out
from bench.campaign.campaign_settings import Settings, settings_of
from bench.campaign.exclude import Condition, values_of
from bench.commands.hydra_run import point_of
from bench.common import paths
from bench.common.exit_codes import OK
from bench.common.user_error import UserError
from bench.config.config_check import read_run_config
from bench.config.point_config import PointConfig
from bench.point.composition_errors import one_line
from bench.point.hydra_compose import to_plain
from bench.search.next_choice import Choice, start_of
from bench.search.optuna_sampler import check_optuna
from bench.search.search_campaign import Combination, SearchCampaign
from bench.search.search_space import Candidate, Space, read_space
from strategies.common.plan_error import PlanError

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override
    from omegaconf import DictConfig

MACHINE = ("cluster", "threads", "device", "board")
"""Keys that decide which hosts and boards are used."""
MOST_PREDICTED = 500
"""Combinations that are priced by a profile before the first one runs, some ten a second; of more so many are drawn."""
TRIES = 50


def search(compose: Callable[[Sequence[str]], DictConfig], overrides: Sequence[Override], whole: DictConfig) -> int:
    """Search a sweep, or show for ``dry_run=true`` where it would begin.

    Args:
        compose: The configuration of some words.
        overrides: The experiment's and the command line's words, parsed.
        whole: The configuration without what is swept.

    Returns:
        The exit code.

    Raises:
        UserError, PlanError, HydraException, OmegaConfBaseException: One line each, for bad input.
    """
    plain = to_plain(whole)
    settings = settings_of([plain])
    check_optuna()
    space = read_space(overrides, settings.zip)
    composer = Composer(compose, settings, space)
    seed, repeats = plain["seed"], 1 if plain["smoke"] else plain["repeats"]
    budget, names = settings.search.budget or 0, settings.search.objectives
    predicted = {} if plain["planner"]["profile"] is None else composer.predicted(names, seed)
    start = start_of(space, budget, seed, predicted)
    machines = composer.machines(seed)
    if plain["dry_run"]:
        return _show(composer, start, settings, repeats)
    campaign = SearchCampaign(space, composer.combination, machines, start, paths.RESULTS, seed, settings, repeats)
    return carry_out(campaign)


class Composer:
    """Makes points of combinations. Every level of every key is composed once, so that a typo is found before anything runs."""

    def __init__(self, compose: Callable[[Sequence[str]], DictConfig], settings: Settings, space: Space) -> None:
        self.compose, self.space = compose, space
        composed = [to_plain(compose(space.words(candidate))) for candidate in _each_level(space)]
        for plain in composed:
            read_run_config(plain)
        known = {name for plain in composed for name in values_of(plain)}
        self.conditions = [Condition(text, known) for text in settings.exclude]

    def combination(self, words: Sequence[str]) -> Combination:
        """The point of some words.

        Args:
            words: Those of the command line, KEY=VALUE each.

        Returns:
            The resolved point, or why there is none: a condition excludes it, or its plan cannot run.
        """
        try:
            cfg = self.compose(words)
            plain = to_plain(cfg)
            values = values_of(plain)
            for condition in self.conditions:
                if condition.holds(values):
                    return Combination(None, f"excluded by: {condition.text}")
            return Combination(point_of(cfg, words))
        except (UserError, PlanError) as error:
            return Combination(None, one_line(error))

    def machines(self, seed: int) -> list[PointConfig]:
        """A point for each choice of hosts and boards.

        Args:
            seed: Decides which other levels are tried first.

        Returns:
            The points, at least one.

        Raises:
            UserError: No combination can run on one of the choices.
        """
        ends = [one.ends if _of_machine(one.keys) else (None,) for one in self.space.dimensions]
        return [self._on(fixed, random.Random(seed)) for fixed in itertools.product(*ends)]

    def _on(self, fixed: Sequence[int | float | None], rng: random.Random) -> PointConfig:
        why = ""
        for candidate in [(0,) * len(fixed), *self.space.spread(TRIES, rng)]:
            levels = [one.low if not one.levels else 0 for one in self.space.dimensions] if not any(candidate) else candidate
            tried = tuple(level if level is not None else other for level, other in zip(fixed, levels, strict=True))
            made = self.combination(self.space.words(tried))
            if made.point is not None:
                return made.point
            why = why or made.why
        raise UserError(f"none of {TRIES} combinations can run; the first cannot because {why}")

    def predicted(self, names: Sequence[str], seed: int) -> Mapping[Candidate, tuple[float, ...]]:
        """What a profile predicts of combinations, all of them where they are few.

        Args:
            names: Those of the objectives.
            seed: Decides which, where they are many.

        Returns:
            Objectives of every combination that can run.
        """
        size = self.space.size
        listed = size is not None and size <= MOST_PREDICTED
        candidates = (
            list(self.space.every()) if listed else self.space.spread(MOST_PREDICTED, random.Random(f"{seed}/predicted"))
        )
        prices = {}
        for candidate in candidates:
            point = self.combination(self.space.words(candidate)).point
            if point is None or point.predicted is None:
                continue
            step_s, step_J, batch = point.predicted["step_s"], point.predicted["step_J"], point.train.batch
            values = {"step_s": step_s, "sample_s": step_s / batch, "sample_J": None if step_J is None else step_J / batch}
            if all(values[name] is not None for name in names):
                prices[candidate] = tuple(values[name] for name in names)
        return prices


def _of_machine(keys: Sequence[str]) -> bool:
    return any(key.split(".")[0].split("/")[0] in MACHINE for key in keys)


def _each_level(space: Space) -> Iterator[Candidate]:
    """Combinations that have, together, every level of every dimension (of ordered ones the ends)."""
    first = tuple(one.ends[0] for one in space.dimensions)
    yield first
    for number, one in enumerate(space.dimensions):
        for level in one.ends[1:]:
            yield (*first[:number], level, *first[number + 1 :])


def _show(composer: Composer, start: Sequence[Choice], settings: Settings, repeats: int) -> int:
    """What a dry run says: the keys, the budget, and the points that do not depend on any result."""
    from bench.commands.dry_run import show

    space, chosen = composer.space, settings.search
    size = "without end" if space.size is None else f"{space.size} combinations"
    lines = [
        f"search: {size}, of which {chosen.budget} run; sampler {chosen.sampler}, objectives {', '.join(chosen.objectives)}"
    ]
    lines += [f"chosen: {one}" for one in space.dimensions]
    lines.append(f"what may be on the front then runs {repeats} times" if repeats > 1 else "every point runs once (repeats=1)")
    points = []
    for number, choice in enumerate(start):
        made = composer.combination(space.words(choice.candidate))
        lines += [] if made.point else [f"cannot run: {made.why}"]
        points += [replace(made.point, order=number)] if made.point else []
    lines.append("the search begins with the points below; the others follow from their results")
    return show(points, lines=lines) if points else OK
