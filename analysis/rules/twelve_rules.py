"""The twelve rules of Hoefler and Belli (Scientific Benchmarking of Parallel Computing Systems, SC'15) as checks of a study.

Each rule is judged from the records alone, by findings; the worst of them is the rule's. What cannot be judged is skipped, with
the reason, and a rule is skipped where nothing of it can.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from analysis.rules.study_checks import compared, missing_repeats
from analysis.rules.twelve_rules_numbers import Finding, centre, comparisons, intervals, normal, rates, ratios
from analysis.study.comparability import base_settings, work_key
from analysis.study.count_phrases import counted, some
from analysis.study.point_table import factor_row
from analysis.study.run_conditions import Record
from analysis.study.study import Study, label_of
from analysis.study.sweeps import LEAST_FOR_LINE, varied
from bench.record.checks import LEAST_POWER_SAMPLES, MOST_SAMPLER_COST
from bench.record.study_folder import FINISHED

SEVERITY = ("failed", "warned", "passed", "skipped")
LINE_FACTORS = ("ranks", "batch", "micro_batches", "seq", "link_rate_bit_s", "link_delay_s")
"""Factors over which figures draw lines."""
HOST_NEEDS = ("cpu", "cores", "kernel")
HOST_WISHES = ("governor", "frequency_Hz", "temperature_C", "throttled")
"""Not every kernel tells them."""


@dataclass(frozen=True)
class Rule:
    number: int
    title: str
    status: str
    detail: str


def rules(study: Study) -> list[Rule]:
    """All twelve, in their order. ``status`` is passed, warned, failed or skipped."""
    return [_judged(number, title, list(judge(study))) for number, (title, judge) in enumerate(RULES, 1)]


def _judged(number: int, title: str, found: Sequence[Finding]) -> Rule:
    if not found:
        return Rule(number, title, "skipped", "no point has a valid record")
    status = next(word for word in SEVERITY if any(word == own for own, _ in found))
    in_order = sorted(found, key=lambda one: SEVERITY.index(one[0]))
    return Rule(number, title, status, "; ".join(text for _, text in in_order))


def base_of_ratios(study: Study) -> Iterator[Finding]:
    """1: every configuration has a single process to be compared with, with the same work, in absolute numbers."""
    for work, records in compared(study):
        singles = [record for record in records if record["point"]["ranks"] == 1]
        known = {base_settings(record): label_of(record["point"]) for record in singles}
        parallel = {label_of(r["point"]): base_settings(r) for r in records if r["point"]["ranks"] > 1}
        without = [label for label, own in parallel.items() if own not in known]
        if not parallel:
            yield ("skipped", f"{work}: no parallel configuration, so no ratio")
        elif not without:
            yield ("passed", f"{work}: base {some(_absolute(singles), 4)}")
        else:
            lost = [r for r in study.records if r["point"]["ranks"] == 1 and r["status"] not in FINISHED]
            why = f"the single process did not finish ({lost[0]['reason']})" if lost else "no single process with the same work"
            yield ("failed" if lost else "warned", f"{work}: {why} for {len(without)} of {len(parallel)} configurations")


def _absolute(records: Sequence[Record]) -> list[str]:
    """Each configuration with the medians of its repeats."""
    found = []
    for label in dict.fromkeys(label_of(record["point"]) for record in records):
        own = [record for record in records if label_of(record["point"]) == label]
        text = f"{label} at {median(r['time']['samples_per_s'] for r in own):.3g} samples/s"
        joules = [r["energy"]["per_sample_J"] for r in own if r["energy"]["per_sample_J"] is not None]
        found.append(f"{text} and {median(joules):.3g} J per sample" if joules else text)
    return found


def nothing_left_out(study: Study) -> Iterator[Finding]:
    """2: all points that were begun are counted, whatever became of them, and the cores used against those that are there."""
    counts = Counter(record["status"] for record in study.records)
    text = f"{counted(len(study.records), 'point')}: {', '.join(f'{count} {status}' for status, count in counts.items())}"
    unfinished = sum(count for status, count in counts.items() if status not in FINISHED)
    yield ("warned" if unfinished else "passed", text)
    if study.problems:
        yield ("failed", f"{counted(len(study.problems), 'folder')} without a whole record")
    there = {record["point"]["name"] for record in study.records}
    if missing := [name for name in study.planned if name not in there]:
        yield ("failed", f"{len(missing)} of {counted(len(study.planned), 'planned point')} have no record: {some(missing)}")
    if gaps := missing_repeats(study):
        yield ("failed", f"repeats that should be there are not: {some(gaps)}")
    told = [host for record in study.good for host in _cores(record)]
    idle = dict.fromkeys(f"{name} {used} of {present}" for name, used, present in told if used < present)
    if not told:
        yield ("skipped", "no record tells the cores of a real board; emulated ones have a share of one machine")
    else:
        text = f"cores left unused: {some(list(idle), 4)}" if idle else "every core of every host was used"
        yield ("warned" if idle else "passed", text)


def _cores(record: Record) -> Iterator[tuple[str, int, int]]:
    """Each real host with the threads of all its ranks and its cores."""
    if (record["point"]["network"] or {}).get("kind") == "emulated":
        return
    about, used = record["environment"], Counter[str]()
    for rank in about.get("ranks") or ():
        used[rank["host"]] += rank["threads"]
    for host in about.get("hosts") or ():
        if host.get("cores") and used[host["host"]]:
            yield host["host"], used[host["host"]], host["cores"]


def factors(study: Study) -> Iterator[Finding]:
    """9: factors with their levels, and the environment that a reader needs to run it again."""
    if study.points.empty:
        return
    counts = {name: study.points[name].nunique() for name in varied(study.points)}
    levels = [f"{name} ({count})" for name, count in counts.items() if count > 1]
    yield ("passed", f"varied (levels): {', '.join(levels)}" if levels else "one configuration")
    needed: Counter[str] = Counter()
    wished: Counter[str] = Counter()
    for record in study.good:
        about, hosts = record["environment"], record["environment"].get("hosts") or ()
        git = about.get("git") or {}
        needed.update(key for key in ("python", "packages", "mpi", "hosts", "command", "overrides") if not about.get(key))
        told = git.get("commit") or "edgejoule" in (about.get("packages") or {})  # an installed tool has its version there
        needed.update([] if told else ["commit"])
        needed.update({f"{key} of a host" for host in hosts for key in HOST_NEEDS if host.get(key) is None})
        wished.update({f"{key} of a host" for host in hosts for key in HOST_WISHES if host.get(key) is None})
        wished.update(["network"] if record["point"]["ranks"] > 1 and record["point"]["network"] is None else [])
    for status, missing in (("failed", needed), ("warned", wished)):
        if missing:
            listed = ", ".join(f"{what} ({count} of {len(study.good)} points)" for what, count in sorted(missing.items()))
            yield (status, f"not in the records: {listed}")


def measuring(study: Study) -> Iterator[Finding]:
    """10: windows enclose whole steps between barriers, clocks agree, and power was read often enough on every host."""
    good = study.good
    if not good:
        return
    open_ = [r["point"]["name"] for r in good if not _closed(r["time"])]
    text = f"steps that do not add up to their windows in {some(open_)}" if open_ else "steps add up to their windows"
    yield ("failed" if open_ else "passed", text)
    yield from _clocks([record for record in good if len(record["point"].get("hosts") or ()) > 1])
    metered = [record for record in good if record["energy"]["kind"] != "none"]
    if not metered:
        yield ("skipped", "no energy")
        return
    missing = [r["point"]["name"] for r in metered if r["energy"]["coverage"]["measured"] < r["energy"]["coverage"]["hosts"]]
    yield ("failed", f"hosts without power in {some(missing)}") if missing else ("passed", "power of every host")
    counts = [host["samples"] for record in metered for host in record["energy"]["by_host"]]
    if counts:
        period_s = max(host["period_s"] for record in metered for host in record["energy"]["by_host"])
        few = sum(count < LEAST_POWER_SAMPLES for count in counts)
        text = f"{min(counts)} readings of power or more in each window, every {period_s:g} s; {LEAST_POWER_SAMPLES} wanted"
        yield ("warned" if few else "passed", text)
    else:
        yield ("skipped", "no record tells its readings of power")
    cost = max((r["energy"]["sampler"]["cost_fraction"] or 0.0 for r in metered), default=0.0)
    yield ("passed" if cost < MOST_SAMPLER_COST else "warned", f"the sampler took at most {100 * cost:.2f} % of the cores")


def _closed(time: Mapping[str, Any]) -> bool:
    windows_s = math.fsum(window["end_s"] - window["start_s"] for window in time["windows"])
    steps_s = math.fsum(time["step_s"]["values"])
    return all(math.isclose(own, time["window_s"], rel_tol=1e-6) for own in (windows_s, steps_s))


def _clocks(spread: Sequence[Record]) -> Iterator[Finding]:
    if not spread:
        yield ("skipped", "clocks: no point has several hosts")
        return
    untold = [r["point"]["name"] for r in spread if r["time"]["clock"].get("bound_s") is None]
    off = [
        r["point"]["name"] for r in spread if (r["time"]["clock"].get("bound_s") or 0) >= 0.01 * r["time"]["step_s"]["median"]
    ]
    if untold or off:
        yield ("failed" if untold else "warned", f"clocks not compared, or by more than 1 % of a step: {some(untold or off)}")
    else:
        worst = max(record["time"]["clock"]["bound_s"] for record in spread)
        yield ("passed", f"clocks agree within {1e6 * worst:.0f} us")


def bounds(study: Study) -> Iterator[Finding]:
    """11: what limits are computed from is there: a single process for ideal scaling, links for communication."""
    parallel = [record for record in study.good if record["point"]["ranks"] > 1]
    if not parallel:
        if study.good:
            yield ("skipped", "no parallel point")
        return
    single = {work_key(record).name for record in study.good if record["point"]["ranks"] == 1}
    works = {work_key(record).name for record in parallel}
    dark = [record["point"]["name"] for record in parallel if record["point"]["network"] is None]
    ideal, links = works <= single, not dark
    both_gone = not works & single and len(dark) == len(parallel)
    text = (
        "a single process for ideal scaling" if ideal else f"no single process for {len(works - single)} of {len(works)} works"
    )
    yield ("passed" if ideal else "failed" if both_gone else "warned", text)
    text = "links with their rates" if links else f"no link rates in {len(dark)} of {len(parallel)} parallel points"
    yield ("passed" if links else "failed" if both_gone else "warned", text)


def lines(study: Study) -> Iterator[Finding]:
    """12: lines have three levels or more, and none of those that were planned is missing."""
    planned: dict[tuple[str, str, str], set[Any]] = {}
    good: dict[tuple[str, str, str], set[Any]] = {}
    for found, records in ((planned, study.records), (good, study.good)):
        for record in records:
            row = factor_row(record)
            for name in LINE_FACTORS:
                if row.get(name) is not None and row["strategy"] != "single":
                    found.setdefault((row["model"], row["strategy"], name), set()).add(row[name])
    swept = {key: levels for key, levels in planned.items() if len(levels) > 1}
    if study.good and not swept:
        yield ("skipped", "no numeric factor is swept: points and bars, no lines")
    for (model, strategy, name), levels in swept.items():
        left, line = len(good.get((model, strategy, name), ())), f"{strategy} of {model} over {name}"
        if len(levels) < LEAST_FOR_LINE:
            yield ("warned", f"{line}: {len(levels)} levels, drawn as markers without a line")
        elif left < LEAST_FOR_LINE:
            yield ("failed", f"{line}: {left} of {len(levels)} levels are left, too few for a line")
        else:
            yield ("passed", f"{line}: {left} levels")


RULES: tuple[tuple[str, Callable[[Study], Iterator[Finding]]], ...] = (
    ("Ratios say their base, in absolute numbers", base_of_ratios),
    ("No point is left out, and the whole machine is used", nothing_left_out),
    ("Rates are means of sums", rates),
    ("Ratios are not averaged", ratios),
    ("What varies has an interval", intervals),
    ("Normality is not assumed", normal),
    ("Comparisons have tests that can tell", comparisons),
    ("The centre is the right summary", centre),
    ("Factors, levels and environment are documented", factors),
    ("How it was measured is documented", measuring),
    ("Bounds are available", bounds),
    ("Lines only where there is a trend", lines),
)
