"""Rules 1, 2 and 9 to 12 of Hoefler and Belli: base, completeness, environment, measuring, bounds, lines.

``analysis/rules/twelve_rules.py`` has all of them in their order.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from statistics import median
from typing import Any

from analysis.rules.rule_finding import RuleFinding, Status, verdict
from analysis.rules.study_checks import compared, missing_repeats
from analysis.study.comparability import base_settings, work_key
from analysis.study.count_phrases import counted, some
from analysis.study.point_table import factor_row
from analysis.study.study import Study
from analysis.study.study_record import MeasuredStudyRecord, StudyRecord
from analysis.study.sweeps import LEAST_FOR_LINE, varied
from bench.record.checks import LEAST_POWER_SAMPLES, MOST_SAMPLER_COST
from bench.record.environment_record import EnvironmentRecord
from bench.record.study_folder import FINISHED
from bench.record.time_record import TimeRecord

LINE_FACTORS = ("ranks", "batch", "micro_batches", "seq", "link_rate_bit_s", "link_delay_s")
"""Factors over which figures draw lines."""
NEEDED = ("python", "packages", "mpi", "hosts", "command", "overrides")
NEEDED_OF_HOST = ("cpu", "cores", "kernel")
WISHED_OF_HOST = ("governor", "frequency_Hz", "temperature_C", "throttled")
"""Not every kernel tells them."""
LARGEST_CLOCK_SHARE = 0.01
"""Of a step: clocks that agree less well are told."""
SAME_SUM = 1e-6


def base_of_ratios(study: Study) -> Iterator[RuleFinding]:
    """1: every configuration has a single process to be compared with, with the same work, in absolute numbers.

    Args:
        study: Its good records count.

    Yields:
        One finding for each work.
    """
    for work, records in compared(study):
        singles = [record for record in records if record.point.ranks == 1]
        known = {base_settings(record) for record in singles}
        parallel = {record.label: base_settings(record) for record in records if record.point.ranks > 1}
        without = [label for label, settings in parallel.items() if settings not in known]
        if not parallel:
            yield RuleFinding("skipped", f"{work}: no parallel configuration, so no ratio")
        elif not without:
            yield RuleFinding("passed", f"{work}: base {some(_absolute(singles), 4)}")
        else:
            lost = [record for record in study.records if record.point.ranks == 1 and record.status not in FINISHED]
            why = f"the single process did not finish ({lost[0].reason})" if lost else "no single process with the same work"
            text = f"{work}: {why} for {len(without)} of {len(parallel)} configurations"
            yield RuleFinding("failed" if lost else "warned", text)


def _absolute(records: Sequence[MeasuredStudyRecord]) -> list[str]:
    """Each configuration with the medians of its repeats."""
    texts = []
    for label in dict.fromkeys(record.label for record in records):
        repeats = [record for record in records if record.label == label]
        text = f"{label} at {median(record.time.samples_per_s for record in repeats):.3g} samples/s"
        joules = [record.energy.per_sample_J for record in repeats if record.energy.per_sample_J is not None]
        texts.append(f"{text} and {median(joules):.3g} J per sample" if joules else text)
    return texts


def nothing_left_out(study: Study) -> Iterator[RuleFinding]:
    """2: all points that were begun are counted, whatever became of them, and the cores used against those that are there.

    Args:
        study: Records of any status.

    Yields:
        Counts of points, what is missing, and the use of cores.
    """
    counts = Counter(record.status for record in study.records)
    text = f"{counted(len(study.records), 'point')}: {', '.join(f'{count} {status}' for status, count in counts.items())}"
    unfinished = sum(count for status, count in counts.items() if status not in FINISHED)
    yield verdict(not unfinished, text, "warned")
    if study.problems:
        yield RuleFinding("failed", f"{counted(len(study.problems), 'folder')} without a whole record")
    present = {record.point.name for record in study.records}
    if missing := [name for name in study.planned if name not in present]:
        planned = counted(len(study.planned), "planned point")
        yield RuleFinding("failed", f"{len(missing)} of {planned} have no record: {some(missing)}")
    if gaps := missing_repeats(study):
        yield RuleFinding("failed", f"repeats that should be there are not: {some(gaps)}")
    yield _core_use(study)


def _core_use(study: Study) -> RuleFinding:
    cores = [use for record in study.good for use in _cores(record)]
    if not cores:
        return RuleFinding("skipped", "no record tells the cores of a real board; emulated ones have a share of one machine")
    idle = dict.fromkeys(f"{name} {used} of {present}" for name, used, present in cores if used < present)
    return verdict(
        not idle, f"cores left unused: {some(list(idle), 4)}" if idle else "every core of every host was used", "warned"
    )


def _cores(record: StudyRecord) -> Iterator[tuple[str, int, int]]:
    """Each real host with the threads of all its ranks and its cores."""
    network = record.point.network
    if network is not None and network.kind == "emulated":
        return
    used = Counter[str]()
    for rank in record.environment.ranks or ():
        if rank.host is not None and rank.threads is not None:
            used[rank.host] += rank.threads
    for host in record.environment.hosts or ():
        if host.cores and used[host.host]:
            yield host.host, used[host.host], host.cores


def factors(study: Study) -> Iterator[RuleFinding]:
    """9: factors with their levels, and the environment that a reader needs to run it again.

    Args:
        study: Its good records count.

    Yields:
        The factors, and what the records lack of the environment; nothing without good records.
    """
    if study.points.empty:
        return
    counts = {name: study.points[name].nunique() for name in varied(study.points)}
    levels = [f"{name} ({count})" for name, count in counts.items() if count > 1]
    yield RuleFinding("passed", f"varied (levels): {', '.join(levels)}" if levels else "one configuration")
    needed: Counter[str] = Counter()
    wished: Counter[str] = Counter()
    for record in study.good:
        environment = record.environment
        needed.update(_missing_facts(environment))
        needed.update(_missing_of_hosts(environment, NEEDED_OF_HOST))
        wished.update(_missing_of_hosts(environment, WISHED_OF_HOST))
        wished.update(["network"] if record.point.ranks > 1 and record.point.network is None else [])
    if needed:
        yield RuleFinding("failed", f"not in the records: {_listed(needed, len(study.good))}")
    if wished:
        yield RuleFinding("warned", f"not in the records: {_listed(wished, len(study.good))}")


def _missing_facts(environment: EnvironmentRecord) -> list[str]:
    missing = [key for key in NEEDED if not getattr(environment, key)]
    has_commit = environment.git is not None and environment.git.commit
    # An installed tool has its version among the packages instead.
    return missing if has_commit or "edgejoule" in (environment.packages or {}) else [*missing, "commit"]


def _missing_of_hosts(environment: EnvironmentRecord, keys: Sequence[str]) -> set[str]:
    return {f"{key} of a host" for host in environment.hosts or () for key in keys if getattr(host, key) is None}


def _listed(missing: Counter[str], points: int) -> str:
    return ", ".join(f"{name} ({count} of {points} points)" for name, count in sorted(missing.items()))


def measuring(study: Study) -> Iterator[RuleFinding]:
    """10: windows enclose whole steps between barriers, clocks agree, and power was read often enough on every host.

    Args:
        study: Its good records count.

    Yields:
        Windows, clocks and readings of power; nothing without good records.
    """
    good = study.good
    if not good:
        return
    unequal = [record.point.name for record in good if not _adds_up(record.time)]
    text = f"steps that do not add up to their windows in {some(unequal)}" if unequal else "steps add up to their windows"
    yield verdict(not unequal, text)
    yield _clocks([record for record in good if len(record.point.hosts or ()) > 1])
    metered = [record for record in good if record.energy.kind != "none"]
    if metered:
        yield from _power_readings(metered)
    else:
        yield RuleFinding("skipped", "no energy")


def _adds_up(time: TimeRecord) -> bool:
    windows_s = math.fsum(window.end_s - window.start_s for window in time.windows)
    steps_s = math.fsum(time.step_s.values)
    return all(math.isclose(sum_s, time.window_s, rel_tol=SAME_SUM) for sum_s in (windows_s, steps_s))


def _power_readings(metered: Sequence[MeasuredStudyRecord]) -> Iterator[RuleFinding]:
    """Whether every host was metered, how often power was read in the windows, and the cost of reading it."""
    missing = [r.point.name for r in metered if r.energy.coverage.measured < r.energy.coverage.hosts]
    yield verdict(not missing, f"hosts without power in {some(missing)}" if missing else "power of every host")
    hosts = [host for record in metered for host in record.energy.by_host]
    if hosts:
        fewest, period_s = min(host.samples for host in hosts), max(host.period_s for host in hosts)
        text = f"{fewest} readings of power or more in each window, every {period_s:g} s; {LEAST_POWER_SAMPLES} wanted"
        yield verdict(fewest >= LEAST_POWER_SAMPLES, text, "warned")
    else:
        yield RuleFinding("skipped", "no record tells its readings of power")
    cost = max((record.energy.sampler.cost_fraction or 0.0 for record in metered), default=0.0)
    yield verdict(cost < MOST_SAMPLER_COST, f"the sampler took at most {100 * cost:.2f} % of the cores", "warned")


def _clocks(spread: Sequence[MeasuredStudyRecord]) -> RuleFinding:
    """Of points on several hosts."""
    if not spread:
        return RuleFinding("skipped", "clocks: no point has several hosts")
    bounds_s = {record.point.name: record.time.clock.bound_s for record in spread}
    limits_s = {record.point.name: LARGEST_CLOCK_SHARE * record.time.step_s.median for record in spread}
    untold = [name for name, bound_s in bounds_s.items() if bound_s is None]
    apart = [name for name, bound_s in bounds_s.items() if (bound_s or 0) >= limits_s[name]]
    if untold or apart:
        text = f"clocks not compared, or by more than 1 % of a step: {some(untold or apart)}"
        return RuleFinding("failed" if untold else "warned", text)
    worst_s = max(bound_s for bound_s in bounds_s.values() if bound_s is not None)
    return RuleFinding("passed", f"clocks agree within {1e6 * worst_s:.0f} us")


def bounds(study: Study) -> Iterator[RuleFinding]:
    """11: what limits are computed from is there: a single process for ideal scaling, links for communication.

    Args:
        study: Its good records count.

    Yields:
        One finding for each of the two, skipped without a parallel point.
    """
    parallel = [record for record in study.good if record.point.ranks > 1]
    if not parallel:
        if study.good:
            yield RuleFinding("skipped", "no parallel point")
        return
    single = {work_key(record).name for record in study.good if record.point.ranks == 1}
    works = {work_key(record).name for record in parallel}
    unlinked = [record.point.name for record in parallel if record.point.network is None]
    without_base = works - single
    otherwise: Status = "failed" if not works & single and len(unlinked) == len(parallel) else "warned"
    text = f"no single process for {len(without_base)} of {len(works)} works"
    yield verdict(not without_base, text if without_base else "a single process for ideal scaling", otherwise)
    text = f"no link rates in {len(unlinked)} of {len(parallel)} parallel points"
    yield verdict(not unlinked, text if unlinked else "links with their rates", otherwise)


def lines(study: Study) -> Iterator[RuleFinding]:
    """12: lines have three levels or more, and none of those that were planned is missing.

    Args:
        study: Records of any status.

    Yields:
        One finding for each swept line, or that none is swept.
    """
    planned, good = _levels(study.records), _levels(study.good)
    swept = {key: levels for key, levels in planned.items() if len(levels) > 1}
    if study.good and not swept:
        yield RuleFinding("skipped", "no numeric factor is swept: points and bars, no lines")
    for (model, strategy, name), levels in swept.items():
        left, line = len(good.get((model, strategy, name), ())), f"{strategy} of {model} over {name}"
        if len(levels) < LEAST_FOR_LINE:
            yield RuleFinding("warned", f"{line}: {len(levels)} levels, drawn as markers without a line")
        elif left < LEAST_FOR_LINE:
            yield RuleFinding("failed", f"{line}: {left} of {len(levels)} levels are left, too few for a line")
        else:
            yield RuleFinding("passed", f"{line}: {left} levels")


def _levels(records: Sequence[StudyRecord]) -> dict[tuple[str, str, str], set[Any]]:
    """The levels of each numeric factor, by model, strategy and factor."""
    levels: dict[tuple[str, str, str], set[Any]] = {}
    for record in records:
        row = factor_row(record)
        for name in LINE_FACTORS:
            if row.get(name) is not None and row["strategy"] != "single":
                levels.setdefault((row["model"], row["strategy"], name), set()).add(row[name])
    return levels
