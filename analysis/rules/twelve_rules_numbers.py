"""Rules 3 to 8 of Hoefler and Belli: numbers that follow from sums, intervals, tests, centres.

``analysis/rules/twelve_rules.py`` has all of them in their order.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from statistics import median

from analysis.rules.rule_finding import RuleFinding, verdict
from analysis.rules.study_checks import compared
from analysis.statistics.rank_tests import LEVEL, TOO_FEW, corrected, two
from analysis.statistics.repeat_summary import FEWEST_FOR_NORMALITY, normality, outliers, why_no_interval
from analysis.study.count_phrases import counted, some
from analysis.study.study import Study
from analysis.study.study_record import MeasuredStudyRecord
from bench.common.median_interval import SMALLEST_N, median_interval
from bench.record.checks import FAILING_DRIFT, WARNING_DRIFT
from bench.record.energy_record import EnergyRecord
from bench.record.time_record import RankSecondsRecord, StepTimeRecord, TimeRecord

REPEATABLE = 1e-9
"""Numbers of one record that follow from each other are computed once, in double precision."""
STRAGGLER = 1.2
"""A rank that computes a fifth longer than the median rank: a mean over ranks hides it."""
Sums = Callable[[TimeRecord, EnergyRecord], list[tuple[float | None, float | None]]]
"""Numbers of a record, each with what the sums of its windows give."""


def rates(study: Study) -> Iterator[RuleFinding]:
    """3: rates are sums by sums, never means of rates.

    Args:
        study: Its good records count.

    Yields:
        Whether every recorded rate follows from its sums.
    """
    yield from _follow(
        study,
        "rates",
        lambda time, energy: [
            (time.samples_per_s, time.samples / time.window_s),
            (time.tokens_per_s, time.tokens / time.window_s),
            (energy.mean_power_W, energy.total_J and energy.total_J / time.window_s),
        ],
    )


def ratios(study: Study) -> Iterator[RuleFinding]:
    """4: costs per sample and token are ratios of sums, and products are of one run: no ratio was averaged.

    Args:
        study: Its good records count.

    Yields:
        Whether every recorded cost follows from its sums.
    """
    yield from _follow(
        study,
        "costs per sample and token",
        lambda time, energy: [
            (energy.per_sample_J, energy.total_J and energy.total_J / time.samples),
            (energy.per_token_J, energy.total_J and energy.total_J / time.tokens),
            (energy.edp_Js, energy.total_J and energy.total_J * time.window_s / time.samples**2),
        ],
    )


def _follow(study: Study, numbers: str, sums: Sums) -> Iterator[RuleFinding]:
    wrong = [
        f"{record.point.name} has {number}, its sums give {expected}"
        for record in study.good
        for number, expected in sums(record.time, record.energy)
        if not _equal(number, expected)
    ]
    if wrong:
        yield RuleFinding("failed", f"{numbers} that do not follow from their sums: {some(wrong)}")
    elif study.good:
        text = f"{numbers} follow from the sums of their windows in {counted(len(study.good), 'record')}"
        yield RuleFinding("passed", text)


def _equal(number: float | None, expected: float | None) -> bool:
    if number is None or expected is None:
        return number is expected
    return math.isclose(number, expected, rel_tol=REPEATABLE)


def intervals(study: Study) -> Iterator[RuleFinding]:
    """5: six repeats or more give an interval; one alone says nothing about the spread. Bytes are to be the same in all.

    Args:
        study: Its good records count.

    Yields:
        Which configurations have an interval, and whether repeats sent the same bytes.
    """
    repeats = _repeats(study)
    few = [label for label, records in repeats.items() if why_no_interval(len(records))]
    if few:
        alone = [label for label, records in repeats.items() if len(records) == 1]
        text = f"{len(few)} of {len(repeats)} configurations have no 95 % interval (fewer than {SMALLEST_N} repeats)"
        text += f"; {len(alone)} ran once: {some(alone)}" if alone else ""
        yield RuleFinding("failed" if alone else "warned", text)
    elif repeats:
        yield RuleFinding("passed", f"all {len(repeats)} configurations have 95 % intervals by rank")
    several = {label: records for label, records in repeats.items() if len(records) > 1}
    if several:
        same = sum(len({tuple(record.learning.curve.loss) for record in records}) == 1 for records in several.values())
        text = f"losses are the same to the bit in all repeats of {same} of {len(several)} configurations"
        yield RuleFinding("passed", text)
        unequal = [label for label, records in several.items() if len({_payload(record) for record in records}) > 1]
        yield verdict(not unequal, f"bytes differ between repeats of {some(unequal)}" if unequal else "bytes are the same")


def _payload(record: MeasuredStudyRecord) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(record.traffic.payload_bytes.items()))


def _repeats(study: Study) -> dict[str, list[MeasuredStudyRecord]]:
    """The good records of each configuration and kind of energy."""
    repeats: dict[str, list[MeasuredStudyRecord]] = {}
    for record in study.good:
        repeats.setdefault(f"{record.label} ({record.energy.kind})", []).append(record)
    return repeats


def normal(study: Study) -> Iterator[RuleFinding]:
    """6: every centre is a median with an interval by rank; whether anything is normal is told, and never needed.

    Of the steps, those of one repeat of each configuration are tested: the test takes longer than all the rest of a report.

    Args:
        study: Its good records count.

    Yields:
        Whether records use medians by rank, and how many samples are normal.
    """
    wrong = [record.point.name for record in study.good if not _by_rank(record.time.step_s)]
    if wrong:
        yield RuleFinding("failed", f"the step time is not the median of the steps, or its interval not by rank: {some(wrong)}")
    elif study.good:
        yield RuleFinding("passed", f"medians and intervals by rank in {counted(len(study.good), 'record')}")
    repeats = _repeats(study).values()
    first = [records[0].time.step_s.values for records in repeats]
    yield from _normality("steps of each configuration's first repeat", first)
    yield from _normality("repeats of a configuration", [[r.time.samples_per_s for r in records] for records in repeats])


def _normality(what: str, sets: Sequence[Sequence[float]]) -> Iterator[RuleFinding]:
    """How many sets of values are normal, and how many values are outliers."""
    ps = [p for values in sets if (p := normality(values)) is not None]
    if ps:
        rejected, outside = sum(p < LEVEL for p in ps), sum(len(outliers(values).indices) for values in sets)
        text = f"{what}: {rejected} of {len(ps)} sets not normal (Shapiro-Wilk, 5 %)"
        yield RuleFinding("passed", f"{text}, {outside} outliers by Tukey's fences, kept")
    elif sets:
        text = f"{what}: fewer than {FEWEST_FOR_NORMALITY}, so whether they are normal cannot be seen"
        yield RuleFinding("skipped", text)


def _by_rank(step_s: StepTimeRecord) -> bool:
    expected = median_interval(step_s.values, step_s.confidence)
    return all(getattr(step_s, key) == value for key, value in expected.items())


def comparisons(study: Study) -> Iterator[RuleFinding]:
    """7: tests against the base can reach the level, also when corrected for their number.

    Args:
        study: Its good records count.

    Yields:
        One finding for each work and quantity.
    """
    for work, records in compared(study):
        with_energy = records[0].energy.kind != "none"
        by_label: dict[str, list[float]] = {}
        for record in sorted(records, key=lambda record: record.point.ranks):
            value = record.energy.per_sample_J if with_energy else record.time.samples_per_s
            by_label.setdefault(record.label, []).extend([] if value is None else [value])
        (base, base_values), *others = by_label.items()
        if others:
            quantity = "joules per sample" if with_energy else "samples per second"
            yield _tests(f"{work}: ", base, base_values, [values for _, values in others], quantity)
        else:
            yield RuleFinding("skipped", f"{work}: one configuration")


def _tests(work: str, base: str, base_values: Sequence[float], others: Sequence[Sequence[float]], quantity: str) -> RuleFinding:
    """Whether tests of the others against the base can tell anything, each alone and all together."""
    alone = [two(values, base_values) for values in others]
    together = corrected(alone)
    shown = sum(difference.verdict in ("larger", "smaller") for difference in together)
    blind = sum(difference.verdict == TOO_FEW for difference in together)
    text = f"{work}{shown} of {len(others)} configurations differ from {base} in {quantity} (Mann-Whitney, Holm)"
    if not blind:
        return RuleFinding("passed", text)
    possible = any(difference.p is not None for difference in alone)
    text = f"{text}; {blind} with too few repeats to show any difference"
    return RuleFinding("warned" if possible else "failed", text)


def centre(study: Study) -> Iterator[RuleFinding]:
    """8: the median step is the right summary if it says the same as the throughput; tails and stragglers are told too.

    Smoke runs are too short to fail.

    Args:
        study: Its good records count.

    Yields:
        Mean against median, tails, and ranks that are late; nothing without good records.
    """
    if not study.good:
        return
    worst, name = max((_mean_off_median(record.time), record.point.name) for record in study.good)
    wrong = any(_mean_off_median(record.time) >= FAILING_DRIFT and not record.point.smoke for record in study.good)
    text = f"median step within {100 * worst:.1f} % of the mean (worst in {name})"
    yield RuleFinding("failed" if wrong else "warned" if worst >= WARNING_DRIFT else "passed", text)
    tail, name = max((_p95_over_median(record.time.step_s.values), record.point.name) for record in study.good)
    yield RuleFinding("passed", f"95th percentile of steps up to {tail:.2f} x the median ({name})")
    indices = [(_straggler(record.time.by_rank), record.point.name) for record in study.good if record.point.ranks > 1]
    if indices:
        late = [name for index, name in indices if index > STRAGGLER]
        index, name = max(indices)
        where = f"over {STRAGGLER} in {len(late)} of {len(indices)} points" if late else f"in {name}"
        text = f"straggler index up to {index:.2f} (longest computing rank by median), {where}"
        yield verdict(not late, text, "warned")


def _mean_off_median(time: TimeRecord) -> float:
    return abs(time.window_s / time.steps / time.step_s.median - 1)


def _p95_over_median(values: Sequence[float]) -> float:
    return sorted(values)[math.ceil(0.95 * len(values)) - 1] / median(values)


def _straggler(by_rank: Sequence[RankSecondsRecord]) -> float:
    """The longest computing time of a rank over the median of all."""
    computed = [rank.compute_s for rank in by_rank]
    middle = median(computed)
    return max(computed) / middle if middle else math.inf
