"""Which combinations there are: the keys that were given several values, and the words that make one of them."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.common.user_error import UserError
from strategies.common.registry import did_you_mean

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override

Level = int | float
"""The number of a level, from 0; of an interval a value inside."""
Candidate = tuple[Level, ...]
"""A level for each dimension."""
CAMPAIGN_WIDE = ("study", "experiment", "repeats", "timeout_s", "dry_run", "hydra", "campaign", "planner.profile")
MEASUREMENT = ("seed", "smoke", "window_s", "idle_s", "warmup", "eval_samples", "energy")


@dataclass(frozen=True)
class Dimension:
    """One thing that is chosen: the level of a key, or of keys that ``campaign.zip`` pairs.

    ``levels`` has for each level the text of each key; it is empty for an interval from ``low`` to ``high``, which are whole
    numbers for a key of whole numbers.
    """

    keys: tuple[str, ...]
    levels: tuple[tuple[str, ...], ...] = ()
    low: Level = 0
    high: Level = 0
    log: bool = False

    @property
    def name(self) -> str:
        """The keys, for a reader and for the sampler."""
        return "+".join(self.keys)

    @property
    def ordered(self) -> bool:
        """Whether the levels are numbers that rise or fall: then a neighbour says something of the next."""
        if len(self.keys) != 1 or len(self.levels) < 3:
            return False
        try:
            numbers = [float(text) for (text,) in self.levels]
        except ValueError:
            return False
        return numbers in (sorted(set(numbers)), sorted(set(numbers), reverse=True))

    @property
    def ends(self) -> tuple[Level, ...]:
        """The levels between which all others lie; every level where they have no order."""
        if not self.levels:
            return (self.low, self.high)
        return (0, len(self.levels) - 1) if self.ordered else tuple(range(len(self.levels)))

    def texts(self, level: Level) -> dict[str, str]:
        """The values of the keys.

        Args:
            level: One of this dimension.

        Returns:
            Text by key.
        """
        if not self.levels:
            return {self.keys[0]: repr(level)}
        return dict(zip(self.keys, self.levels[int(level)], strict=True))

    def level_of(self, texts: Sequence[str]) -> Level | None:
        """The level with these values.

        Args:
            texts: Of each key.

        Returns:
            The level; null where the dimension has none such.
        """
        if self.levels:
            return self.levels.index(tuple(texts)) if tuple(texts) in self.levels else None
        try:
            value = type(self.low)(texts[0])
        except ValueError:
            return None
        return value if self.low <= value <= self.high else None

    def __str__(self) -> str:
        if not self.levels:
            return f"{self.name} ({self.low:g} to {self.high:g})"
        return f"{self.name} ({', '.join('/'.join(level) for level in self.levels)})"


@dataclass(frozen=True)
class Space:
    """All combinations; ``fixed`` are the words of the command line that all of them share."""

    dimensions: tuple[Dimension, ...]
    fixed: tuple[str, ...]

    @property
    def size(self) -> int | None:
        """The number of combinations; null where an interval has no end of them."""
        sizes = [len(one.levels) or _whole_numbers(one) for one in self.dimensions]
        return None if None in sizes else math.prod(size for size in sizes if size is not None)

    def values(self, candidate: Candidate) -> dict[str, str]:
        """The values of one combination.

        Args:
            candidate: Its levels.

        Returns:
            Text by key.
        """
        texts: dict[str, str] = {}
        for dimension, level in zip(self.dimensions, candidate, strict=True):
            texts |= dimension.texts(level)
        return texts

    def words(self, candidate: Candidate) -> tuple[str, ...]:
        """The words of the command line that make one combination.

        Args:
            candidate: Its levels.

        Returns:
            KEY=VALUE each.
        """
        return (*self.fixed, *(f"{key}={text}" for key, text in self.values(candidate).items()))

    def candidate_of(self, words: Sequence[str]) -> Candidate | None:
        """The combination that some words made.

        Args:
            words: KEY=VALUE each, of a record.

        Returns:
            Its levels; null where a key is missing or has another value.
        """
        text_of = dict(word.split("=", 1) for word in words if "=" in word)
        levels = [one.level_of([text_of.get(key, "") for key in one.keys]) for one in self.dimensions]
        return None if None in levels else tuple(level for level in levels if level is not None)

    def every(self) -> Iterator[Candidate]:
        """All combinations of a space that has a size, in Hydra's order."""
        return itertools.product(*(range(len(one.levels)) or range(int(one.low), int(one.high) + 1) for one in self.dimensions))

    def spread(self, count: int, rng: random.Random) -> list[Candidate]:
        """Combinations in which every level of every dimension comes equally often (a Latin hypercube).

        Args:
            count: How many.
            rng: Decides which.

        Returns:
            The combinations; the same one may come twice.
        """
        columns = [_column(one, count, rng) for one in self.dimensions]
        return list(zip(*columns, strict=True))


def _whole_numbers(one: Dimension) -> int | None:
    return int(one.high) - int(one.low) + 1 if isinstance(one.low, int) else None


def _column(one: Dimension, count: int, rng: random.Random) -> list[Level]:
    """The levels of one dimension for ``count`` combinations, each as often as the others, in an order by chance."""
    if one.levels:
        first = rng.sample(range(len(one.levels)), len(one.levels))
        column: list[Level] = [first[number % len(first)] for number in range(count)]
    else:
        places = [(number + rng.random()) / count for number in range(count)]
        column = [_inside(one, place) for place in places]
    rng.shuffle(column)
    return column


def _inside(one: Dimension, share: float) -> Level:
    """The value at a share of the way from ``low`` to ``high``."""
    value = one.low * (one.high / one.low) ** share if one.log else one.low + share * (one.high - one.low)
    return min(round(value), int(one.high)) if isinstance(one.low, int) else value


def read_space(overrides: Sequence[Override], groups: Sequence[Sequence[str]]) -> Space:
    """The combinations of a sweep.

    Args:
        overrides: The words of the command line and of the experiment, parsed by Hydra; the last one of a key counts.
        groups: Keys that go together (``campaign.zip``).

    Returns:
        A dimension for each key with several values, or for each group.

    Raises:
        UserError: For a key that cannot be searched, a key without values, an interval without a length, and for groups that
            do not fit.
    """
    last = {override.key_or_group: override for override in overrides}
    swept = {key: _dimension(override) for key, override in last.items() if override.is_sweep_override()}
    fixed = [key for key, one in swept.items() if len(one.levels) == 1]
    words = [_word(last[key]) for key in last if key not in swept]
    words += [f"{swept[key].keys[0]}={swept[key].levels[0][0]}" for key in fixed]
    free = {key: one for key, one in swept.items() if key not in fixed}
    for key in free:
        _check_searchable(key)
    for group in groups:
        free = _zipped(free, group)
    if not free:
        raise UserError("campaign.search needs a key to choose; give one several values, as in -m strategy=data,tensor")
    return Space(tuple(free.values()), tuple(words))


def _word(override: Override) -> str:
    return f"{override.get_key_element()}={override.get_value_element_as_str()}"


def _check_searchable(key: str) -> None:
    for names, why in ((CAMPAIGN_WIDE, "it is of the whole campaign"), (MEASUREMENT, "it says how a point is measured")):
        if key in names or any(key.startswith((f"{name}.", f"{name}/")) for name in names):
            raise UserError(f"campaign.search cannot choose {key}: {why}; give it one value")


def _dimension(override: Override) -> Dimension:
    key, element = override.key_or_group, override.get_key_element()
    if override.is_discrete_sweep():
        texts = dict.fromkeys(str(text) for text in override.sweep_string_iterator())
        if not texts:
            raise UserError(f"{key}={override.value_type and override.input_line.split('=', 1)[-1]} has no value to choose")
        return Dimension((element,), tuple((text,) for text in texts))
    sweep: Any = override.value()
    low, high, log = sweep.start, sweep.end, "log" in sweep.tags
    if not low < high or not all(map(math.isfinite, (low, high))):
        raise UserError(f"{key}=interval({low},{high}) has no length; give the smaller number first")
    if log and low <= 0:
        raise UserError(f"{key}=tag(log,interval({low},{high})) has no logarithm; begin above 0")
    return Dimension((element,), (), low, high, log)


def _zipped(swept: dict[str, Dimension], group: Sequence[str]) -> dict[str, Dimension]:
    """The dimensions with those of one group as one."""
    for key in group:
        if key not in swept:
            raise UserError(
                f"campaign.zip names {key}, which is not swept; give it values, as in -m {key}=A,B{did_you_mean(key, swept)}"
            )
    lengths = {key: len(swept[key].levels) for key in group}
    if len(set(lengths.values())) > 1 or 0 in lengths.values():
        each = ", ".join(f"{key} has {length or 'no list'}" for key, length in lengths.items())
        raise UserError(f"campaign.zip needs as many values of each key: {each}; give lists of equal length, each value once")
    keys = tuple(swept[key].keys[0] for key in group)
    rows = zip(*(swept[key].levels for key in group), strict=True)
    together = Dimension(keys, tuple(tuple(text for (text,) in row) for row in rows))
    return {key: one for key, one in swept.items() if key not in group} | {together.name: together}
