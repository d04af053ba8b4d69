"""Which configuration of one study is which of another.

By their hash; else by equal factors; else by all factors but those of the place (cluster, hosts, links, power mode) and those
in which the studies as a whole differ: what has one value in all of one and another in all of the other is what changed
between them, not what they varied. Where several would do, none is taken.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from analysis.study.comparability import Factors, factors_that_changed, measured
from analysis.study.configuration_labels import labels_of
from analysis.study.point_table import factor_row
from analysis.study.study import Study
from analysis.study.study_record import MeasuredStudyRecord, StudyRecord

NAMES = ("label", "hash", "point", "repeat", "order")


@dataclass(frozen=True)
class Configuration:
    """All repeats of one configuration. ``kind`` of energy is None, and ``good`` empty, where no repeat has valid numbers."""

    hash: str
    kind: str | None
    factors: Factors
    good: tuple[MeasuredStudyRecord, ...]
    others: tuple[StudyRecord, ...]

    @property
    def state(self) -> str:
        """The statuses of the repeats that have no numbers."""
        counts = Counter(record.status for record in self.others)
        return ", ".join(f"{count} {status}" for status, count in counts.items())


@dataclass(frozen=True)
class Match:
    """``by`` says how the two were matched. One of them is None where the other has none, and ``by`` says why."""

    label: str
    one: Configuration | None
    other: Configuration | None
    by: str


Key = Callable[[Configuration], object]


def matches(one: Study, other: Study) -> list[Match]:
    """The configurations of both, matched by their factors.

    Args:
        one: The base of the ratios.
        other: The study that is compared with it.

    Returns:
        Every configuration of both, in the order of the first study and then of the second; alone ones say why.
    """
    sides = configurations(one), configurations(other)
    keys = _keys(changed_factors(*sides))
    pairs: list[tuple[Configuration, Configuration, str]] = []
    for key in keys:
        first, second = (_unique(side, key) for side in sides)
        matched = {id(configuration) for pair in pairs for configuration in pair[:2]}
        for value, a in first.items():
            b = second.get(value)
            if b is not None and id(a) not in matched and id(b) not in matched:
                pairs.append((a, b, _equal_in(a, b)))
    paired = {id(b) for _, b, _ in pairs}
    alone = [b for b in sides[1] if id(b) not in paired]
    # Those that were matched have one label, so that the place is no part of it.
    labels = labels_of([*one.records, *(record for b in alone for record in (*b.good, *b.others))])
    by_first = {id(a): Match(labels[a.hash], a, b, by) for a, b, by in pairs}
    rows = [by_first.get(id(a)) or Match(labels[a.hash], a, None, _why_alone(a, sides, keys[-1])) for a in sides[0]]
    return [*rows, *(Match(labels[b.hash], None, b, _why_alone(b, sides[::-1], keys[-1])) for b in alone)]


def configurations(study: Study) -> list[Configuration]:
    """The configurations of a study.

    Args:
        study: Records of any status count.

    Returns:
        In the order of figures; those without valid numbers last.
    """
    by_hash: dict[str, list[StudyRecord]] = {}
    for record in study.records:
        by_hash.setdefault(record.point.hash, []).append(record)
    configurations: dict[tuple[str, str | None], Configuration] = {}
    for code, records in by_hash.items():
        good = measured(records)
        others = tuple(record for record in records if record.status != "ok")
        for kind in dict.fromkeys(record.energy.kind for record in good) if good else (None,):
            repeats = tuple(record for record in good if record.energy.kind == kind)
            configurations[code, kind] = Configuration(code, kind, _factors(records[0]), repeats, others)
    order = dict.fromkeys(zip(study.points["hash"], study.points["kind"], strict=True))
    last = (key for key in configurations if key not in order)
    return [configurations[key] for key in (*order, *last)]


def _factors(record: StudyRecord) -> Factors:
    row = factor_row(record)
    return {name: f"{value}" for name, value in row.items() if name not in NAMES and value is not None}


def changed_factors(one: Sequence[Configuration], other: Sequence[Configuration]) -> set[str]:
    """Factors that do not tell configurations of one study apart from those of the other.

    Args:
        one: All configurations of a study.
        other: All of the other.

    Returns:
        Names of factors (``factors_that_changed``).
    """
    return factors_that_changed([a.factors for a in one], [b.factors for b in other])


def _keys(changed: set[str]) -> list[Key]:
    """From the strictest to the loosest; with one kind of energy before with two."""

    def by_hash(configuration: Configuration) -> object:
        return configuration.hash

    def by_factors(configuration: Configuration) -> object:
        return tuple(sorted(configuration.factors.items()))

    def by_unchanged_factors(configuration: Configuration) -> object:
        return tuple(sorted(item for item in configuration.factors.items() if item[0] not in changed))

    keys: tuple[Key, ...] = (by_hash, by_factors, by_unchanged_factors)
    return [*((lambda c, key=key: (c.kind, key(c))) for key in keys), *keys]


def _unique(side: Sequence[Configuration], key: Key) -> dict[object, Configuration]:
    """By the value of ``key``, the configurations that alone have theirs."""
    counts = Counter(map(key, side))
    return {value: configuration for configuration in side if counts[value := key(configuration)] == 1}


def _equal_in(one: Configuration, other: Configuration) -> str:
    """``hash``, ``factors``, or ``factors but`` those that differ."""
    if one.hash == other.hash:
        return "hash"
    names = sorted({*one.factors, *other.factors})
    different = [name for name in names if one.factors.get(name) != other.factors.get(name)]
    return f"factors but {', '.join(different)}" if different else "factors"


def _why_alone(configuration: Configuration, sides: Sequence[Sequence[Configuration]], key: Key) -> str:
    """Why a configuration of the first side has no partner in the second."""
    here, there = ([other for other in side if key(other) == key(configuration)] for side in sides)
    if there and max(len(here), len(there)) > 1:
        different = ", ".join(_different_in(here + there))
        return f"{len(here)} of one and {len(there)} of the other differ in {different} alone"
    return "no configuration of the other has these factors"


def _different_in(configurations: Sequence[Configuration]) -> list[str]:
    names = sorted({name for configuration in configurations for name in configuration.factors})
    different = [name for name in names if len({configuration.factors.get(name) for configuration in configurations}) > 1]
    kinds = {configuration.kind for configuration in configurations}
    return [*different, *(["the kind of energy"] if len(kinds) > 1 else [])] or ["what the record does not say"]
