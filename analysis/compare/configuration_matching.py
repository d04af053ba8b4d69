"""Which configuration of one study is which of another.

By their hash; else by equal factors; else by all factors but those of the place (cluster, hosts, links, power mode) and those
in which the studies as a whole differ: what has one value in all of one and another in all of the other is what changed
between them, not what they varied. Where several would do, none is taken.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analysis.study.comparability import Factors, factors_that_changed
from analysis.study.configuration_labels import labels_of
from analysis.study.point_table import factor_row
from analysis.study.study import Study

NAMES = ("label", "hash", "point", "repeat", "order")


@dataclass(frozen=True)
class Configuration:
    """All repeats of one configuration. ``kind`` of energy is None, and ``good`` empty, where no repeat has valid numbers."""

    hash: str
    kind: str | None
    factors: Factors
    good: tuple[dict[str, Any], ...]
    others: tuple[dict[str, Any], ...]

    @property
    def state(self) -> str:
        """What became of the repeats that have no numbers."""
        counts = Counter(record["status"] for record in self.others)
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
    """Every configuration of both, in the order of the first study and then of the second."""
    sides = configurations(one), configurations(other)
    keys = _keys(changed_factors(*sides))
    found: list[tuple[Configuration, Configuration, str]] = []
    for key in keys:
        first, second = (_unique(side, key) for side in sides)
        taken = {id(part) for pair in found for part in pair[:2]}
        for value, a in first.items():
            b = second.get(value)
            if b is not None and id(a) not in taken and id(b) not in taken:
                found.append((a, b, _how(a, b)))
    matched = {id(b) for _, b, _ in found}
    left = [b for b in sides[1] if id(b) not in matched]
    # Those that were matched have one label, so that the place is no part of it.
    labels = labels_of([*one.records, *(record for b in left for record in (*b.good, *b.others))])
    by_one = {id(a): Match(labels[a.hash], a, b, by) for a, b, by in found}
    rows = [by_one.get(id(a)) or Match(labels[a.hash], a, None, _why(a, sides, keys[-1])) for a in sides[0]]
    return [*rows, *(Match(labels[b.hash], None, b, _why(b, sides[::-1], keys[-1])) for b in left)]


def configurations(study: Study) -> list[Configuration]:
    """In the order of figures; those without valid numbers last."""
    by_hash: dict[str, list[dict[str, Any]]] = {}
    for record in study.records:
        by_hash.setdefault(record["point"]["hash"], []).append(record)
    found: dict[tuple[str, str | None], Configuration] = {}
    for code, records in by_hash.items():
        others = tuple(record for record in records if record["status"] != "ok")
        good = [record for record in records if record["status"] == "ok"]
        for kind in dict.fromkeys(record["energy"]["kind"] for record in good) if good else (None,):
            own = tuple(record for record in good if record["energy"]["kind"] == kind)
            found[code, kind] = Configuration(code, kind, _factors(records[0]), own, others)
    order = dict.fromkeys(zip(study.points["hash"], study.points["kind"], strict=True))
    return [*(found[key] for key in order), *(found[key] for key in found if key not in order)]


def _factors(record: Mapping[str, Any]) -> Factors:
    row = factor_row(record)
    return {name: f"{value}" for name, value in row.items() if name not in NAMES and value is not None}


def changed_factors(one: Sequence[Configuration], other: Sequence[Configuration]) -> set[str]:
    """Factors that do not tell configurations of one study apart from those of the other."""
    return factors_that_changed([a.factors for a in one], [b.factors for b in other])


def _keys(place: set[str]) -> list[Key]:
    """From the strictest to the loosest; with one kind of energy before with two."""

    def by_hash(own: Configuration) -> object:
        return own.hash

    def by_factors(own: Configuration) -> object:
        return tuple(sorted(own.factors.items()))

    def by_rest(own: Configuration) -> object:
        return tuple(sorted(item for item in own.factors.items() if item[0] not in place))

    keys: tuple[Key, ...] = (by_hash, by_factors, by_rest)
    return [*((lambda own, key=key: (own.kind, key(own))) for key in keys), *keys]


def _unique(side: Sequence[Configuration], key: Key) -> dict[object, Configuration]:
    counts = Counter(map(key, side))
    return {value: own for own in side if counts[value := key(own)] == 1}


def _how(one: Configuration, other: Configuration) -> str:
    if one.hash == other.hash:
        return "hash"
    apart = [name for name in sorted({*one.factors, *other.factors}) if one.factors.get(name) != other.factors.get(name)]
    return f"factors but {', '.join(apart)}" if apart else "factors"


def _why(own: Configuration, sides: Sequence[Sequence[Configuration]], key: Key) -> str:
    """Why ``own`` of the first side has no partner in the second."""
    here, there = ([other for other in side if key(other) == key(own)] for side in sides)
    if there and max(len(here), len(there)) > 1:
        return f"{len(here)} of one and {len(there)} of the other differ in {', '.join(_split(here + there))} alone"
    return "no configuration of the other has these factors"


def _split(found: Sequence[Configuration]) -> list[str]:
    names = sorted({name for own in found for name in own.factors})
    apart = [name for name in names if len({own.factors.get(name) for own in found}) > 1]
    kinds = {own.kind for own in found}
    return [*apart, *(["the kind of energy"] if len(kinds) > 1 else [])] or ["what the record does not say"]
