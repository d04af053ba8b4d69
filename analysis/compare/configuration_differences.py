"""By how much configurations of two studies differ, whether that is real, and what else is not the same in both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from statistics import median

import pandas as pd

from analysis.compare.configuration_matching import Configuration, Match, changed_factors, configurations, matches
from analysis.statistics.model_doubt import model_shares, ratio_u, widened
from analysis.statistics.rank_tests import Difference, corrected, ratio_of, two
from analysis.study.comparability import energy_basis, why_energies_differ
from analysis.study.run_conditions import commit_of, versions_of
from analysis.study.study import Study
from analysis.study.study_record import MeasuredStudyRecord

NOT_COMPARABLE = "not comparable"


@dataclass(frozen=True)
class Quantity:
    """A column of the points, its unit for readers, and what it is called when it is larger and when it is smaller.

    ``exact``: equal in all repeats of a configuration (a check of every record), so that a difference needs no test.
    """

    title: str
    larger: str
    smaller: str
    exact: bool = False


QUANTITIES: Mapping[str, Quantity] = {
    "samples_per_s": Quantity("speed (samples/s)", "faster", "slower"),
    "per_sample_J": Quantity("energy (J/sample)", "more energy", "less energy"),
    "peak_MiB": Quantity("peak memory (MiB)", "more memory", "less memory"),
    "wire_bytes": Quantity("bytes of a step", "more bytes", "fewer bytes", exact=True),
    "metric": Quantity("final metric", "higher", "lower"),
}


@dataclass(frozen=True)
class ComparisonRow:
    """One configuration and quantity of two studies, or a configuration that cannot be compared (no ``quantity``).

    ``kind`` is that of the energy. ``ratio`` is the other over the one. Null is what is not known, and ``why`` says why.
    """

    configuration: str
    kind: str | None
    quantity: str | None = field(default=None, kw_only=True)
    one_n: int
    other_n: int
    one_median: float | None = None
    other_median: float | None = None
    ratio: float | None = None
    ratio_low: float | None = None
    ratio_high: float | None = None
    p: float | None = None
    p_holm: float | None = None
    least_p: float | None = None
    chance: float | None = None
    verdict: str | None = None
    why: str | None = None
    matched_by: str | None = None


COLUMNS = tuple(column.name for column in fields(ComparisonRow))


@dataclass(frozen=True)
class Pair:
    """One configuration in both studies, with valid numbers in each: its ``points``, and the ``names`` of the studies."""

    label: str
    by: str
    one: Configuration
    other: Configuration
    names: tuple[str, str]
    points: tuple[pd.DataFrame, pd.DataFrame]

    def row(self, name: str) -> tuple[ComparisonRow | None, Difference | None]:
        """The row of a quantity, and the difference that is to be corrected.

        Args:
            name: A key of ``QUANTITIES``.

        Returns:
            No row where neither study has the quantity; no difference where there is nothing to test.
        """
        quantity = QUANTITIES[name]
        a, b = (frame[name].dropna().tolist() for frame in self.points)
        if not a and not b:
            return None, None
        kind = " and ".join(dict.fromkeys((str(self.one.kind), str(self.other.kind))))
        row = ComparisonRow(self.label, kind, len(a), len(b), quantity=name, matched_by=self.by)
        row = replace(row, one_median=median(a) if a else None, other_median=median(b) if b else None)
        why = why_energies_differ(self.one.good, self.other.good, self.names) if name == "per_sample_J" else None
        if why or not a or not b:
            return replace(row, verdict=NOT_COMPARABLE, why=why or f"{self.names[1 if a else 0]} has none"), None
        if quantity.exact and len({*a}) == 1 == len({*b}):
            verdict = "equal" if a[0] == b[0] else quantity.larger if b[0] > a[0] else quantity.smaller
            ratio_of_equals = b[0] / a[0] if a[0] else None
            return replace(row, ratio=ratio_of_equals, verdict=verdict, why="the same in every repeat"), None
        if min(*a, *b) <= 0:
            return replace(row, why="no ratio: a value is not positive"), two(b, a)
        ratio = ratio_of(b, a)
        if name == "per_sample_J":
            ratio = widened(ratio, ratio_u(model_shares(self.other.good), model_shares(self.one.good)))
        return replace(row, ratio=ratio.ratio, ratio_low=ratio.low, ratio_high=ratio.high, why=ratio.why), two(b, a)


def compare(one: Study, other: Study) -> pd.DataFrame:
    """Compare the configurations of two studies.

    ``ratio`` is the other over the one. Verdicts hold together over the configurations of a quantity (``p_holm``); intervals
    are of each alone. ``kind`` is that of the energy; where the studies have two, or energy from two places of the supply,
    only the energy is not comparable. ``why`` says why something has no interval, test or number.

    Args:
        one: The study that is the base of every ratio.
        other: The study that is compared with it.

    Returns:
        ``COLUMNS``: one row for each configuration and quantity that both have, and one for each configuration that cannot be
        compared.
    """
    names = names_of(one, other)
    rows: list[ComparisonRow] = []
    tested: dict[str, list[tuple[int, Difference]]] = {name: [] for name in QUANTITIES}  # the row's index, what is corrected
    points = [dict(list(study.points.groupby(["hash", "kind"], sort=False))) for study in (one, other)]
    for match in matches(one, other):
        if match.one is None or match.other is None or not (match.one.good and match.other.good):
            rows.append(_without(match, names))
            continue
        repeats = (points[0][match.one.hash, match.one.kind], points[1][match.other.hash, match.other.kind])
        pair = Pair(match.label, match.by, match.one, match.other, names, repeats)
        for name in QUANTITIES:
            row, difference = pair.row(name)
            if difference:
                tested[name].append((len(rows), difference))
            rows += [row] if row else []
    for name, pairs in tested.items():
        for (index, _), difference in zip(pairs, corrected([difference for _, difference in pairs]), strict=True):
            rows[index] = _tested(rows[index], difference, QUANTITIES[name])
    known = [{column: value for column, value in vars(row).items() if value is not None} for row in rows]
    return pd.DataFrame(known, columns=list(COLUMNS))


def names_of(one: Study, other: Study) -> tuple[str, str]:
    """The names of two studies, different for different studies.

    Args:
        one: The base of the ratios.
        other: The study that is compared with it.

    Returns:
        In that order; studies of the same name get (first) and (second).
    """
    same = one.name == other.name
    return (f"{one.name} (first)", f"{other.name} (second)") if same else (one.name, other.name)


def _without(match: Match, names: tuple[str, str]) -> ComparisonRow:
    """A configuration that one study lacks, or for which it has no valid number."""
    sides = dict(zip(names, (match.one, match.other), strict=True))
    counts = [0 if side is None else len(side.good) for side in sides.values()]
    kind = next((side.kind for side in sides.values() if side and side.kind), None)
    row = ComparisonRow(match.label, kind, counts[0], counts[1])
    if match.one is None or match.other is None:
        return replace(row, verdict=f"only in {names[0 if match.one else 1]}", why=match.by)
    states = [f"{side.state} in {name}" for name, side in sides.items() if side and not side.good]
    return replace(row, verdict=NOT_COMPARABLE, why=f"no valid numbers: {', '.join(states)}", matched_by=match.by)


def _tested(row: ComparisonRow, difference: Difference, quantity: Quantity) -> ComparisonRow:
    verdicts = {"larger": quantity.larger, "smaller": quantity.smaller}
    return replace(
        row,
        **{name: getattr(difference, name) for name in ("p", "p_holm", "least_p", "chance")},
        verdict=verdicts.get(difference.verdict, difference.verdict),
        why=difference.why or row.why,
    )


def changes(one: Study, other: Study) -> pd.DataFrame:
    """The conditions that are not the same in both, as far as records tell.

    Software, hosts and place; and the factors that have one value in all of one study and another in all of the other.

    Args:
        one: The base of the ratios.
        other: The study that is compared with it.

    Returns:
        Columns ``what``, and its values in ``one`` and ``other`` as text.
    """
    studies = (one, other)
    sides = [_conditions(study.good) for study in studies]
    groups = [configurations(study) for study in studies]
    for name in sorted(changed_factors(*groups) - {"cluster", "hosts", "boards", "smoke"}):
        for side, group in zip(sides, groups, strict=True):
            side[name] = dict.fromkeys(configuration.factors[name] for configuration in group if name in configuration.factors)
    for what in [what for what in {**sides[0], **sides[1]} if what.startswith("host ")]:
        if not all(what in side for side in sides):  # a host of one study alone: the list of hosts says so
            for side in sides:
                side.pop(what, None)
    rows = [
        {"what": what, "one": " | ".join(sides[0].get(what, ())) or "-", "other": " | ".join(sides[1].get(what, ())) or "-"}
        for what in {**sides[0], **sides[1]}
        if set(sides[0].get(what, ())) != set(sides[1].get(what, ()))
    ]
    return pd.DataFrame(rows, columns=["what", "one", "other"])


def _conditions(records: Sequence[MeasuredStudyRecord]) -> dict[str, dict[str, None]]:
    """By subject, its values in the order in which they ran."""
    values: dict[str, dict[str, None]] = {}
    for record in records:
        for subject, value in _facts(record):
            if value:
                values.setdefault(subject, {})[value] = None
    return values


def _facts(record: MeasuredStudyRecord) -> Iterator[tuple[str, str | None]]:
    """The conditions that a record tells: subject and value."""
    point, energy = record.point, record.energy
    yield "commit", (commit_of(record) or "").removeprefix("commit ")
    yield from versions_of(record).items()
    yield "cluster", point.cluster
    yield "smoke runs", "yes" if point.smoke else "no"
    if energy.kind != "none":
        place = energy_basis(record).split(" by ")[0]
        yield "energy", f"{energy.kind} by {energy.source} {place}"
    yield from (("boards", board) for board in point.boards)
    for host in record.environment.hosts or ():
        yield "hosts", host.host
        yield "code of the ranks", host.code_hash
        facts = (host.cpu, f"{host.cores} cores", f"Linux {host.kernel}", host.governor)
        yield f"host {host.host}", ", ".join(str(fact) for fact in facts if fact)
