"""Rules 3 to 8 of Hoefler and Belli: numbers that follow from sums, intervals, tests, centres
(``analysis/rules/twelve_rules.py``)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import median
from typing import Any

from analysis.rules.study_checks import compared
from analysis.statistics.rank_tests import LEVEL, TOO_FEW, corrected, two
from analysis.statistics.repeat_summary import FEWEST_FOR_NORMALITY, normality, outliers, why_no_interval
from analysis.study.count_phrases import counted, some
from analysis.study.run_conditions import Record
from analysis.study.study import Study, label_of
from bench.common.median_interval import SMALLEST_N, median_interval
from bench.record.checks import FAILING_DRIFT, WARNING_DRIFT

REPEATABLE = 1e-9
"""Numbers of one record that follow from each other are computed once, in double precision."""
STRAGGLER = 1.2
"""A rank that computes a fifth longer than the median rank: a mean over ranks hides it."""
Finding = tuple[str, str]
"""A status (passed, warned, failed, skipped) and what was found."""


def rates(study: Study) -> Iterator[Finding]:
    """3: rates are sums by sums, never means of rates."""
    yield from _follow(
        study,
        "rates",
        lambda time, energy: [
            (time["samples_per_s"], time["samples"] / time["window_s"]),
            (time["tokens_per_s"], time["tokens"] / time["window_s"]),
            (energy["mean_power_W"], energy["total_J"] and energy["total_J"] / time["window_s"]),
        ],
    )


def ratios(study: Study) -> Iterator[Finding]:
    """4: costs per sample and token are ratios of sums, and products are of one run: no ratio was averaged."""
    yield from _follow(
        study,
        "costs per sample and token",
        lambda time, energy: [
            (energy["per_sample_J"], energy["total_J"] and energy["total_J"] / time["samples"]),
            (energy["per_token_J"], energy["total_J"] and energy["total_J"] / time["tokens"]),
            (energy["edp_Js"], energy["total_J"] and energy["total_J"] * time["window_s"] / time["samples"] ** 2),
        ],
    )


def _follow(study: Study, what: str, pairs: Callable[[Any, Any], list[tuple[float | None, float | None]]]) -> Iterator[Finding]:
    wrong = []
    for record in study.good:
        for found, expected in pairs(record["time"], record["energy"]):
            if (found is None) != (expected is None) or (
                found is not None and expected is not None and not math.isclose(found, expected, rel_tol=REPEATABLE)
            ):
                wrong.append(f"{record['point']['name']} has {found}, its sums give {expected}")
    if wrong:
        yield ("failed", f"{what} that do not follow from their sums: {some(wrong)}")
    elif study.good:
        yield ("passed", f"{what} follow from the sums of their windows in {counted(len(study.good), 'record')}")


def intervals(study: Study) -> Iterator[Finding]:
    """5: six repeats or more give an interval; one alone says nothing about the spread. Bytes are to be the same in all."""
    sets = _repeats(study)
    few = {label: why for label, own in sets.items() if (why := why_no_interval(len(own)))}
    if few:
        alone = [label for label, own in sets.items() if len(own) == 1]
        text = f"{len(few)} of {len(sets)} configurations have no 95 % interval (fewer than {SMALLEST_N} repeats)"
        yield ("failed" if alone else "warned", f"{text}; {len(alone)} ran once: {some(alone)}" if alone else text)
    elif sets:
        yield ("passed", f"all {len(sets)} configurations have 95 % intervals by rank")
    several = {label: own for label, own in sets.items() if len(own) > 1}
    moved = [
        label for label, own in several.items() if len({tuple(sorted(r["traffic"]["payload_bytes"].items())) for r in own}) > 1
    ]
    if several:
        same = sum(len({tuple(r["learning"]["curve"]["loss"]) for r in own}) == 1 for own in several.values())
        yield ("passed", f"losses are the same to the bit in all repeats of {same} of {len(several)} configurations")
        yield ("failed", f"bytes differ between repeats of {some(moved)}") if moved else ("passed", "bytes are the same")


def _repeats(study: Study) -> dict[str, list[Record]]:
    found: dict[str, list[Record]] = {}
    for record in study.good:
        found.setdefault(f"{label_of(record['point'])} ({record['energy']['kind']})", []).append(record)
    return found


def normal(study: Study) -> Iterator[Finding]:
    """6: every centre is a median with an interval by rank; whether anything is normal is told, and never needed.

    Of the steps, those of one repeat of each configuration are tested: the test takes longer than all the rest of a report.
    """
    wrong = [r["point"]["name"] for r in study.good if not _by_rank(r["time"]["step_s"])]
    if wrong:
        yield ("failed", f"the step time is not the median of the steps, or its interval not by rank: {some(wrong)}")
    elif study.good:
        yield ("passed", f"medians and intervals by rank in {counted(len(study.good), 'record')}")
    repeats = _repeats(study).values()
    sets = {
        "steps of each configuration's first repeat": [own[0]["time"]["step_s"]["values"] for own in repeats],
        "repeats of a configuration": [[record["time"]["samples_per_s"] for record in own] for own in repeats],
    }
    for what, values in sets.items():
        found = [p for one in values if (p := normality(one)) is not None]
        if found:
            rejected, outside = sum(p < LEVEL for p in found), sum(len(outliers(one).indices) for one in values)
            text = f"{what}: {rejected} of {len(found)} sets not normal (Shapiro-Wilk, 5 %)"
            yield ("passed", f"{text}, {outside} outliers by Tukey's fences, kept")
        elif values:
            yield ("skipped", f"{what}: fewer than {FEWEST_FOR_NORMALITY}, so whether they are normal cannot be seen")


def _by_rank(step_s: Mapping[str, Any]) -> bool:
    expected = median_interval(step_s["values"], step_s["confidence"])
    return all(step_s[key] == expected[key] for key in ("median", "ci_low", "ci_high", "n"))


def comparisons(study: Study) -> Iterator[Finding]:
    """7: tests against the base can reach the level, also when corrected for their number."""
    for work, records in compared(study):
        energy = records[0]["energy"]["kind"] != "none"
        sets: dict[str, list[float]] = {}
        for r in sorted(records, key=lambda r: r["point"]["ranks"]):
            sets.setdefault(label_of(r["point"]), []).append(
                r["energy"]["per_sample_J"] if energy else r["time"]["samples_per_s"]
            )
        (base, against), *others = sets.items()
        if not others:
            yield ("skipped", f"{work}: one configuration")
            continue
        alone = [two(values, against) for _, values in others]
        found = corrected(alone)
        shown = sum(one.verdict in ("larger", "smaller") for one in found)
        blind = sum(one.verdict == TOO_FEW for one in found)
        what = "joules per sample" if energy else "samples per second"
        text = f"{work}: {shown} of {len(others)} configurations differ from {base} in {what} (Mann-Whitney, Holm)"
        if not blind:
            yield ("passed", text)
        else:
            possible = any(one.p is not None for one in alone)
            yield ("warned" if possible else "failed", f"{text}; {blind} with too few repeats to show any difference")


def centre(study: Study) -> Iterator[Finding]:
    """8: the median step is the right summary if it says the same as the throughput; tails and stragglers are told too.

    Smoke runs are too short to fail.
    """
    if not study.good:
        return
    apart = [(_off(r["time"]), r["point"]["name"]) for r in study.good]
    worst, where = max(apart)
    wrong = any(_off(record["time"]) >= FAILING_DRIFT and not record["point"]["smoke"] for record in study.good)
    text = f"median step within {100 * worst:.1f} % of the mean (worst in {where})"
    yield ("failed" if wrong else "warned" if worst >= WARNING_DRIFT else "passed", text)
    tail, tailed = max((_p95(r["time"]["step_s"]["values"]), r["point"]["name"]) for r in study.good)
    yield ("passed", f"95th percentile of steps up to {tail:.2f} x the median ({tailed})")
    slow = [(_straggler(r["time"]["by_rank"]), r["point"]["name"]) for r in study.good if r["point"]["ranks"] > 1]
    if slow:
        late = [name for index, name in slow if index > STRAGGLER]
        index, name = max(slow)
        where = f"over {STRAGGLER} in {len(late)} of {len(slow)} points" if late else f"in {name}"
        yield ("warned" if late else "passed", f"straggler index up to {index:.2f} (longest computing rank by median), {where}")


def _off(time: Mapping[str, Any]) -> float:
    return abs(time["window_s"] / time["steps"] / time["step_s"]["median"] - 1)


def _p95(values: Sequence[float]) -> float:
    return sorted(values)[math.ceil(0.95 * len(values)) - 1] / median(values)


def _straggler(by_rank: Sequence[Mapping[str, float]]) -> float:
    computed = [rank["compute_s"] for rank in by_rank]
    middle = median(computed)
    return max(computed) / middle if middle else math.inf
