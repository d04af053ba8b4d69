"""Validity of a study as a whole: what no single point can tell. Findings have the form of a record's checks.

Points are compared within a work (``analysis/study/comparability.py`` says which may be).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from analysis.study.comparability import energy_basis, mixed_conditions, records_by_work
from analysis.study.count_phrases import counted, some
from analysis.study.run_conditions import Conditions, code_of, differences, hosts_of, software_of
from analysis.study.searched_study import search_sentence
from analysis.study.study import Study
from analysis.study.study_record import MeasuredStudyRecord
from bench.common.median_interval import SMALLEST_N
from bench.common.user_error import UserError
from bench.record.check_record import Check
from bench.record.checks import finding, skipped
from bench.record.record import Record
from bench.record.repeat_spread import MOST_HALF_WIDTH, QUANTITIES, spread_share
from bench.record.study_folder import FINISHED


def study_checks(study: Study) -> list[Check]:
    """All checks of the study.

    Args:
        study: Records of any status.

    Returns:
        In the order of reports.
    """
    read = "; ".join(study.problems) or counted(len(study.records), "record")
    return [
        finding("every record can be read", not study.problems, read),
        every_point_finished(study),
        _same(study, "code", code_of),
        _same(study, "software", software_of),
        _same(study, "hosts", hosts_of),
        repeats_complete(study),
        repeats_agree(study),
        finding("no smoke runs", not study.smoke, _smoke(study), "warned"),
        one_kind(study),
        *_searched(study),
    ]


def refuse_mixed(study: Study, allow: bool) -> list[str]:
    """Lines about comparisons whose points ran with different code or software, or on hosts that changed.

    A difference between such points may come from that and not from what was varied.

    Args:
        study: The points.
        allow: Compare them all the same.

    Returns:
        One for each difference that is allowed; empty where there is none.

    Raises:
        UserError: There are such points, and they are not allowed.
    """
    lines = [f"{name}: {line}" for name, records in compared(study) for line in mixed_conditions(records)]
    if not lines or allow:
        return lines
    more = f" (and {len(lines) - 1} more differences)" if len(lines) > 1 else ""
    raise UserError(
        f"{study.name} compares points that did not run under the same conditions: {lines[0]}{more}; run the older points "
        "again, choose one commit (results/STUDY@COMMIT), or compare them all the same with --allow-mixed"
    )


def compared(study: Study) -> Iterator[tuple[str, list[MeasuredStudyRecord]]]:
    """Good records that figures and words set side by side.

    Args:
        study: Records of any status.

    Yields:
        What the records have in common (work and kind of energy), and the records.
    """
    for work, records in records_by_work(study.good).items():
        yield f"{work.name}, energy {work.kind}", records


def _same(study: Study, subject: str, conditions_of: Callable[[Sequence[Record]], Conditions]) -> Check:
    """Failed where points that are compared differ; warned where points of different works do."""
    name = f"same {subject} in all points"
    whole = conditions_of(study.good)
    if not whole:
        return skipped(name, f"no record tells its {subject}")
    if lines := [f"{work}: {line}" for work, records in compared(study) for line in differences(conditions_of(records))]:
        return finding(name, False, "; ".join(lines))
    if lines := differences(whole):
        return finding(name, False, f"in points that are not compared: {'; '.join(lines)}", "warned")
    if subject == "hosts":
        kinds = Counter(value for values in whole.values() for value in values)
        return finding(name, True, ", ".join(f"{count} x {value}" for value, count in kinds.items()))
    detail = ", ".join(f"{key} {value}" for key, values in whole.items() for value in values)
    if subject == "code" and "with changes" in detail:
        return finding(name, False, f"{detail}: whether the changes were the same cannot be told", "warned")
    return finding(name, True, detail)


def every_point_finished(study: Study) -> Check:
    """Every point ran, or was shown to need more memory than its boards have.

    Args:
        study: Records of any status.

    Returns:
        Failed where a point did neither.
    """
    counts = Counter(record.status for record in study.records)
    unfinished = [f"{r.point.name} {r.status}: {r.reason}" for r in study.records if r.status not in FINISHED]
    detail = f"{counted(len(study.records), 'point')}: {', '.join(f'{count} {status}' for status, count in counts.items())}"
    return finding("every point finished", not unfinished, f"{detail}; {some(unfinished)}" if unfinished else detail)


def repeats_of(study: Study) -> dict[str, list[int]]:
    """The repeats of each configuration that have a record.

    Args:
        study: Records of any status.

    Returns:
        Numbers of repeats, from 0, by label.
    """
    repeats: dict[str, list[int]] = {}
    for record in study.records:
        repeats.setdefault(record.label, []).append(record.point.repeat)
    return repeats


def missing_repeats(study: Study) -> list[str]:
    """Repeats of which a later one has a record: they ran, or were to run, and are not there.

    Args:
        study: Records of any status.

    Returns:
        One line for each configuration that lacks some.
    """
    gaps = {label: sorted(set(range(max(present))) - set(present)) for label, present in repeats_of(study).items()}
    return [f"{label} lacks repeat {', '.join(map(str, gap))}" for label, gap in gaps.items() if gap]


def repeats_complete(study: Study) -> Check:
    """Whether every configuration has all of its repeats.

    Args:
        study: Records of any status.

    Returns:
        Failed where a repeat is missing before the last one; warned where configurations have fewer good repeats than others.
    """
    name = "repeats are complete"
    if gaps := missing_repeats(study):
        return finding(name, False, some(gaps, 5))
    counts = Counter((record.energy.kind, record.label) for record in study.good)
    if not counts:
        return skipped(name, "no point has a valid record")
    most = max(counts.values())
    fewer = [f"{label} has {count} of {most}" for (_, label), count in counts.items() if count < most]
    return finding(name, not fewer, some(fewer, 5) or f"{most} of each configuration", "warned")


def repeats_agree(study: Study) -> Check:
    """The last word on what a record's check of the same name could say of the repeats before it.

    Args:
        study: Its good records count.

    Returns:
        Warned where half an interval is wider than ``MOST_HALF_WIDTH`` allows; skipped without two repeats.
    """
    name, spreads = "repeats agree", _spreads(study)
    if not spreads:
        return skipped(name, "no configuration has two repeats")
    wide = [text for share, text in sorted(spreads, reverse=True) if share > MOST_HALF_WIDTH]
    good = f"at most {max(spreads)[1]}; half the 95 % interval, below n = {SMALLEST_N} half the range"
    return finding(name, not wide, some(wide, 5) or good, "warned")


def _spreads(study: Study) -> list[tuple[float, str]]:
    """How far the repeats of each configuration lie apart, as a share of their median and in words."""
    points = study.points
    spreads: list[tuple[float, str]] = []
    for (kind, label), repeats in points.groupby(["kind", "label"], sort=False) if not points.empty else ():
        for _, column in QUANTITIES:
            values = repeats[column].dropna().tolist()
            if len(values) > 1:
                share = spread_share(values)
                text = f"{label} {column} ±{100 * share:.1f} % (n = {len(values)}, energy {kind})"
                spreads.append((share, text))
    return spreads


def _searched(study: Study) -> list[Check]:
    """Warned where the points are a choice: then a missing combination says nothing."""
    sentence = search_sentence(study)
    return [] if sentence is None else [finding("all combinations ran", False, sentence, "warned")]


def _smoke(study: Study) -> str:
    count = sum(record.point.smoke for record in study.records)
    return f"{count} of {len(study.records)} points are smoke runs: too short for conclusions" if count else "none"


def one_kind(study: Study) -> Check:
    """Whether all energy is of one kind and from one place.

    Args:
        study: Its good records count.

    Returns:
        Warned for measured beside modelled energy, which are drawn apart; failed for energies of one kind that were taken at
        different places of the supply, or from different models, since these would be drawn together.
    """
    bases: dict[str, Counter[str]] = {}
    for record in study.good:
        if record.energy.kind != "none":
            bases.setdefault(record.energy.kind, Counter())[energy_basis(record)] += 1
    if not bases:
        return skipped("one kind of energy", "no point has energy")
    detail = "; ".join(
        f"{counted(n, 'point')} {kind}, {basis}" for kind, counts in bases.items() for basis, n in counts.items()
    )
    one_basis = all(len(counts) == 1 for counts in bases.values())
    return finding("one kind of energy", one_basis and len(bases) == 1, detail, "warned" if one_basis else "failed")
