"""The answer in words: only what the records support.

Ratios are Hodges and Lehmann's with their interval (``analysis/statistics/rank_tests.py``). That one configuration is better
than every
other is said where each of these comparisons says so by itself: all must hold together, so none needs a correction for the
others. Where repeats are too few for an interval, the numbers are given and the claim is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from analysis.statistics.rank_tests import Ratio, ratio_of
from analysis.statistics.repeat_summary import Summary, summarise
from analysis.study.comparability import Work, records_by_work, works
from analysis.study.configuration_labels import names_in
from analysis.study.study import Study
from analysis.tables.table import join, short
from bench.common.median_interval import SMALLEST_N

MOST_SENTENCES = 12
MOST_RIVALS = 4


@dataclass(frozen=True)
class Answer:
    """Of one work (``what``: model, task, kind of energy, boards). ``lead`` says which configuration used least energy and
    which was fastest, ``others`` has the baseline and a sentence for each configuration that the lead does not describe,
    ``left`` is the number of those without one."""

    what: str
    lead: tuple[str, ...]
    others: tuple[str, ...]
    left: int


@dataclass(frozen=True)
class Winner:
    """The configuration with the best median, and those from which the repeats do not tell it. ``few``: they are too few."""

    label: str
    rivals: tuple[str, ...]
    few: bool


@dataclass(frozen=True)
class Numbers:
    """Repeats of each configuration: samples per second, and joules per sample where they are known."""

    kind: str
    base: str
    speed: dict[str, list[float]]
    joules: dict[str, list[float]]


def answer(study: Study) -> list[str]:
    """Sentences for each work: the baseline in absolute numbers, others as ratios to it."""
    if study.points.empty:
        return [NOTHING]
    sentences = []
    for work in works(study.points):
        own = _numbers(work)
        told, left = _of_each(own, [label for label in own.speed if label != own.base])
        sentences += [_baseline(own), *told, *_rest(left)]
    return [*sentences, *([SMOKE] if study.smoke else [])]


def answers(study: Study) -> list[Answer]:
    """What a report begins with, for each work."""
    found = []
    for work in works(study.points):
        own = _numbers(work, names_in(list(dict.fromkeys(work.points["label"]))))  # what all share, `what` says
        lead, described = _lead(own)
        labels = [label for label in own.speed if label not in {own.base, *described}]
        others, left = _of_each(own, labels)
        base = [] if described == {own.base} else [_baseline(own)]
        found.append(Answer(_what(study, work), tuple(lead), (*base, *others, *_recovered(work)), left))
    return found


def _what(study: Study, work: Work) -> str:
    """``minilm, reviews; energy modelled; boards: raspberry-pi-4, emulated``"""
    own = records_by_work(study.good)[work.key]
    boards = sorted({board for record in own for board in record["point"]["boards"]})
    stand_in = any(host["source"] == "emulated" for record in own for host in record["energy"]["by_host"])
    energy = "no energy" if work.kind == "none" else f"energy {work.kind}"
    return f"{work.name}; {energy}; boards: {', '.join(boards) or 'not told'}{', emulated' if stand_in else ''}"


NOTHING = "No point of this study has a valid record, so there is nothing to compare."
SMOKE = "Some points are smoke runs: windows are too short for conclusions."


def _numbers(work: Work, names: dict[str, str] | None = None) -> Numbers:
    """``names`` are what configurations are to be called, by label."""
    frame = work.points if names is None else work.points.assign(label=work.points["label"].map(names))
    labels = list(dict.fromkeys(frame["label"]))
    alone = set(frame[frame["strategy"] == "single"]["label"])
    base = next((label for label in labels if label in alone), labels[0])
    return Numbers(work.kind, base, _values(frame, "samples_per_s"), _values(frame, "per_sample_J"))


def _values(frame: pd.DataFrame, column: str) -> dict[str, list[float]]:
    known = frame[frame[column].notna()]
    return {str(label): rows[column].tolist() for label, rows in known.groupby("label", sort=False)}


def _lead(own: Numbers) -> tuple[list[str], set[str]]:
    """The sentences, and the configurations that they describe in full."""
    if len(own.speed) == 1:
        return [_baseline(own)], {own.base}
    fastest = winner(own.speed, more=True)
    if own.kind == "none" or own.base not in own.joules:
        return [_fastest(own, fastest, None)], {fastest.label}
    least = winner(own.joules, more=False)
    return [_least(own, least, fastest), _fastest(own, fastest, least)], {least.label, fastest.label}


def winner(values: dict[str, list[float]], more: bool) -> Winner:
    """Of repeats by label, those with the largest median (``more``), or the smallest."""
    medians = {label: summarise(own).median for label, own in values.items()}
    best = (max if more else min)(medians, key=lambda label: medians[label])
    rivals, few = [], False
    for label, own in values.items():
        ratio = ratio_of(values[best], own) if more else ratio_of(own, values[best])
        if label != best and (ratio.low is None or ratio.low <= 1):
            rivals.append(label)
            few = few or ratio.low is None
    return Winner(best, tuple(rivals), few)


def _least(own: Numbers, least: Winner, fastest: Winner) -> str:
    label = least.label
    if label == own.base:
        joules = summarise(own.joules[label])
        what = f"{short(joules.median)} J per sample ({own.kind}){_spread(joules)}"
    else:
        ratio = _to_base(own.joules, own, label)
        what = f"{factor(ratio.ratio)} x that of {own.base} per sample {_bounds(ratio, own.kind)}"
        if label != fastest.label:
            rate = _to_base(own.speed, own, label)
            what += f", and it trained {factor(rate.ratio)} x as fast {_bounds(rate)}"
    if not least.rivals:
        return f"{label} used the least energy: {what}."
    if least.few:
        return f"{label} has the lowest median energy: {what}. {_too_few(least, own, 'less')}"
    return f"Which used the least energy is not decided: {label} has the lowest median, {what}, {_undecided(least)}."


def _fastest(own: Numbers, fastest: Winner, least: Winner | None) -> str:
    label = fastest.label
    also = least is not None and least.label == label
    certain = least is not None and not least.rivals
    who, too = ("It" if certain else label, "also ") if also else (label, "")
    if label == own.base:
        what = f"{short(summarise(own.speed[label]).median)} samples/s"
    else:
        rate = _to_base(own.speed, own, label)
        what = f"{factor(rate.ratio)} x the samples per second of {own.base} {_bounds(rate)}"
        if least is not None and not also and label in own.joules:
            ratio = _to_base(own.joules, own, label)
            what += f", for {factor(ratio.ratio)} x the energy per sample {_bounds(ratio, own.kind)}"
    if not fastest.rivals:
        return f"{who} was {too}the fastest: {what}."
    if fastest.few:
        return f"{who} {too}has the highest median rate: {what}. {_too_few(fastest, own, 'more')}"
    return f"Which was fastest is not decided: {label} has the highest median rate, {what}, {_undecided(fastest)}."


def _recovered(work: Work) -> list[str]:
    """A sentence for each configuration in which a rank was killed: how long until the others trained on, and the joules."""
    failed = work.points[work.points["recovery_s"].notna()]
    names, told = names_in(list(dict.fromkeys(work.points["label"]))), []
    for label, rows in failed.groupby("label", sort=False):
        seconds, lost = summarise(rows["recovery_s"].tolist()), short(float(rows["lost_steps"].median()))
        spent = rows["recovery_J"].dropna().astype(float)
        joules = "" if spent.empty else f" and {short(float(spent.median()))} J ({work.kind})"
        told.append(
            f"{names[str(label)]}: after a rank was killed the other {int(rows['after_ranks'].iloc[0])} trained on within "
            f"{short(seconds.median)} s{joules}, {lost} lost steps done again{_of_repeats(seconds)}."
        )
    return told[:MOST_SENTENCES]


def _of_repeats(found: Summary) -> str:
    if found.low is not None and found.high is not None:
        return f" (95 % interval {short(found.low)} to {short(found.high)} s, n = {found.n})"
    return " (one repeat)" if found.n == 1 else f" (median of n = {found.n} repeats)"


def _too_few(found: Winner, own: Numbers, what: str) -> str:
    others = "any other" if len(found.rivals) == len(own.speed) - 1 else _names(found.rivals)
    return f"The repeats are too few to show that this is {what} than that of {others}."


def _undecided(found: Winner) -> str:
    return f"but {_names(found.rivals)} {'is' if len(found.rivals) == 1 else 'are'} not told apart from it"


def _names(labels: Sequence[str]) -> str:
    more = len(labels) - MOST_RIVALS
    return join(list(labels)) if more <= 0 else f"{', '.join(labels[:MOST_RIVALS])} and {more} more"


def _baseline(own: Numbers) -> str:
    speed = f"{short(summarise(own.speed[own.base]).median)} samples/s"
    if own.kind == "none" or own.base not in own.joules:
        return f"{own.base} trained {speed}. No energy was asked for."
    joules = summarise(own.joules[own.base])
    return f"{own.base}: {short(joules.median)} J per sample ({own.kind}) at {speed}{_spread(joules)}."


def _of_each(own: Numbers, labels: Sequence[str]) -> tuple[list[str], int]:
    """At most MOST_SENTENCES sentences, and how many configurations have none."""
    if own.kind == "none" or own.base not in own.joules:
        return [], 0
    known = [label for label in labels if label in own.joules]
    return [_against(own, label) for label in known[:MOST_SENTENCES]], max(0, len(known) - MOST_SENTENCES)


def _rest(left: int) -> list[str]:
    return [f"{left} more configurations are in the table."] if left else []


def _against(own: Numbers, label: str) -> str:
    energy, rate = _to_base(own.joules, own, label), _to_base(own.speed, own, label)
    joules, base = summarise(own.joules[label]), summarise(own.joules[own.base])
    speed, base_speed = summarise(own.speed[label]), summarise(own.speed[own.base])
    bounds = "" if energy.low is None else f", 95 % interval {_between(energy)},"
    rate_bounds = "" if rate.low is None else f" ({_between(rate)})"
    return (
        f"{label} used {factor(energy.ratio)} x the energy per sample of {own.base} ({own.kind}){bounds} and trained "
        f"{factor(rate.ratio)} x as fast{rate_bounds}: {short(joules.median)} J per sample at {short(speed.median)} "
        f"samples/s{_spread(joules)}{_caution({'energy': (energy, joules, base), 'speed': (rate, speed, base_speed)})}."
    )


def _to_base(values: dict[str, list[float]], own: Numbers, label: str) -> Ratio:
    return ratio_of(values[label], values[own.base])


def factor(ratio: float) -> str:
    """A ratio in a sentence: two decimals, or two digits where it is small."""
    return f"{ratio:.2g}" if ratio < 0.095 else f"{ratio:.2f}" if ratio < 9.995 else short(ratio)


def _bounds(found: Ratio, kind: str = "") -> str:
    """What stands in brackets after a ratio: interval, kind of energy, numbers of repeats."""
    bounds = "no interval" if found.low is None else f"95 % interval {_between(found)}"
    n = f"n = {found.n} each" if found.n == found.base_n else f"n = {found.n} and {found.base_n}"
    return f"({', '.join(word for word in (bounds, kind, n) if word)})"


def _between(found: Ratio) -> str:
    assert found.low is not None
    assert found.high is not None
    return f"{factor(found.low)} to {factor(found.high)}"


def _spread(found: Summary) -> str:
    if found.low is not None and found.high is not None:
        return f" (95 % interval {short(found.low)} to {short(found.high)} J, n = {found.n})"
    if found.n == 1:
        return " (one repeat)"
    few = f"fewer than {SMALLEST_N} give no interval of the median"
    return f" (median of n = {found.n} repeats between {short(found.smallest)} and {short(found.largest)} J; {few})"


def _caution(compared: dict[str, tuple[Ratio, Summary, Summary]]) -> str:
    """Where a difference is not shown: the interval of the ratio contains 1, or, without one, the repeats' ranges overlap."""
    contains, overlap = [], []
    for what, (ratio, one, other) in compared.items():
        if ratio.low is None or ratio.high is None:
            overlap += [what] if one.smallest <= other.largest and other.smallest <= one.largest else []
        elif ratio.low <= 1 <= ratio.high:
            contains.append(what)
    text = f"; the interval of the ratio contains 1, so a difference in {join(contains, 'or')} is not shown" if contains else ""
    return text + (f"; the ranges overlap, so a difference in {join(overlap, 'or')} is not shown" if overlap else "")
