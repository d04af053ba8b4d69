"""The answer in words: only what the records support.

Ratios are Hodges and Lehmann's with their interval (``analysis/statistics/rank_tests.py``). Where repeats are too few for an
interval, the numbers are given and the claim is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from analysis.page.answer.best_configuration import BestConfiguration, WorkNumbers, best_of, numbers_of
from analysis.page.answer.ratio_phrases import bounds_text, in_brackets, joules_spread, not_shown, ratio_text, seconds_spread
from analysis.statistics.dilation_doubt import dilation_doubt, in_words
from analysis.statistics.repeat_summary import summarise
from analysis.study.comparability import Work, records_by_work, works
from analysis.study.configuration_labels import names_in
from analysis.study.energy_words import energy_words
from analysis.study.study import Study
from analysis.study.study_record import MeasuredStudyRecord
from analysis.tables.table import join, short

NOTHING = "No point of this study has a valid record, so there is nothing to compare."
SMOKE = "Some points are smoke runs: windows are too short for conclusions."
MOST_SENTENCES = 12
MOST_RIVALS = 4


@dataclass(frozen=True)
class Answer:
    """The answer for one work.

    ``what`` names it: model, task, kind of energy, boards. ``lead`` says which configuration used least energy and which was
    fastest, ``others`` has the baseline and a sentence for each configuration that the lead does not describe, ``left`` is
    the number of those without one.
    """

    what: str
    lead: tuple[str, ...]
    others: tuple[str, ...]
    left: int


def answer(study: Study) -> list[str]:
    """Sentences for each work: the baseline in absolute numbers, others as ratios to it.

    Args:
        study: Its good points count.

    Returns:
        The sentences of all works, one after the other; ``NOTHING`` alone without a good point.
    """
    if study.points.empty:
        return [NOTHING]
    sentences = []
    for work in works(study.points):
        numbers = numbers_of(work, records_by_work(study.good)[work.key])
        against, left = _each_against_base(numbers, [label for label in numbers.speed if label != numbers.base])
        more = [f"{left} more configurations are in the table."] if left else []
        sentences += [_baseline(numbers), *_restated(numbers), *against, *more]
    return [*sentences, *([SMOKE] if study.smoke else [])]


def answers(study: Study) -> list[Answer]:
    """The beginning of a report, for each work.

    Args:
        study: Its good points count.

    Returns:
        In the order of the works; empty without a good point.
    """
    return [_answer(study, work) for work in works(study.points)]


def _answer(study: Study, work: Work) -> Answer:
    names = names_in(list(dict.fromkeys(work.points["label"])))  # what all share, `what` says
    numbers = numbers_of(work, records_by_work(study.good)[work.key], names)
    lead, described = _lead(numbers)
    labels = [label for label in numbers.speed if label not in {numbers.base, *described}]
    against, left = _each_against_base(numbers, labels)
    base = [] if described == {numbers.base} else [_baseline(numbers)]
    return Answer(
        _what(study, work), tuple(lead), (*base, *_restated(numbers), *_doubt(study, work), *against, *_recoveries(work)), left
    )


def _doubt(study: Study, work: Work) -> list[str]:
    """Of dilated boards: whether the fastest stays the fastest at half and at twice the dilation."""
    label_of = dict(zip(work.points["point"], work.points["label"], strict=True))
    names = names_in(list(dict.fromkeys(work.points["label"])))
    by_label: dict[str, list[MeasuredStudyRecord]] = {}
    for record in records_by_work(study.good)[work.key]:
        by_label.setdefault(names[label_of[record.point.name]], []).append(record)
    doubt = dilation_doubt(by_label)
    return [] if doubt is None else [in_words(doubt)]


def _restated(numbers: WorkNumbers) -> list[str]:
    """Of modelled joules: which ratios are those of times, and no second result."""
    if not numbers.restated:
        return []
    which = "all others" if len(numbers.restated) == len(numbers.joules) - 1 > 1 else _names(numbers.restated)
    return [
        f"Modelled joules of {which} follow from those of {numbers.base} by time and number of boards alone (idle power is the "
        "same share of them): these ratios of energy restate times."
    ]


def _what(study: Study, work: Work) -> str:
    """The work in words: ``minilm, reviews; energy measured; boards: raspberry-pi-4``."""
    records = records_by_work(study.good)[work.key]
    boards = sorted({board for record in records for board in record.point.boards})
    emulated = any(host.source == "emulated" for record in records for host in record.energy.by_host)
    energy = "no energy" if work.kind == "none" else f"energy {energy_words(work.points)}"
    return (
        f"{work.name}; {energy}; boards: {', '.join(boards) or 'not told'}{', emulated' if emulated else ''}{_dilated(records)}"
    )


def _dilated(records: Sequence[MeasuredStudyRecord]) -> str:
    """The range of the dilations of a work's boards, with that of their classes' rates; empty where there is none."""
    dilations = [record.dilation for record in records if record.dilation is not None]
    if not dilations:
        return ""
    factors = sorted(one.factor for one in dilations)
    shown = short(factors[0]) if factors[-1] < 1.005 * factors[0] else f"{short(factors[0])} to {short(factors[-1])}"
    low, high = min(one.low for one in dilations), max(one.high for one in dilations)
    span = "" if low == high else f" (by their classes' rates {short(low)} to {short(high)})"
    return f", their time dilated by {shown}{span}: seconds and joules are the boards'"


def _lead(numbers: WorkNumbers) -> tuple[list[str], set[str]]:
    """The sentences, and the configurations that they describe in full."""
    if len(numbers.speed) == 1:
        return [_baseline(numbers)], {numbers.base}
    fastest = best_of(numbers.speed, more=True)
    if not numbers.has_energy:
        return [_fastest(numbers, fastest, None)], {fastest.label}
    least = best_of(numbers.joules, False, numbers.ratio_of_joules)
    return [_least_energy(numbers, least, fastest), _fastest(numbers, fastest, least)], {least.label, fastest.label}


def _least_energy(numbers: WorkNumbers, least: BestConfiguration, fastest: BestConfiguration) -> str:
    label = least.label
    if label == numbers.base:
        joules = numbers.joules_of(label)
        amount = f"{short(joules.median)} J per sample ({numbers.kind}){joules_spread(joules)}"
    else:
        ratio = numbers.joules_ratio(label)
        amount = f"{ratio_text(ratio.ratio)} x that of {numbers.base} per sample {in_brackets(ratio, numbers.kind)}"
        if label != fastest.label:
            rate = numbers.speed_ratio(label)
            amount += f", and it trained {ratio_text(rate.ratio)} x as fast {in_brackets(rate)}"
    if not least.rivals:
        return f"{label} used the least energy: {amount}."
    if least.too_few:
        return f"{label} has the lowest median energy: {amount}. {_too_few(least, numbers, 'less')}"
    return f"Which used the least energy is not decided: {label} has the lowest median, {amount}, {_undecided(least)}."


def _fastest(numbers: WorkNumbers, fastest: BestConfiguration, least: BestConfiguration | None) -> str:
    label = fastest.label
    also = least is not None and least.label == label
    certain = least is not None and not least.rivals
    subject, too = ("It" if certain else label, "also ") if also else (label, "")
    if label == numbers.base:
        amount = f"{short(numbers.speed_of(label).median)} samples/s"
    else:
        rate = numbers.speed_ratio(label)
        amount = f"{ratio_text(rate.ratio)} x the samples per second of {numbers.base} {in_brackets(rate)}"
        if least is not None and not also and label in numbers.joules:
            ratio = numbers.joules_ratio(label)
            amount += f", for {ratio_text(ratio.ratio)} x the energy per sample {in_brackets(ratio, numbers.kind)}"
    if not fastest.rivals:
        return f"{subject} was {too}the fastest: {amount}."
    if fastest.too_few:
        return f"{subject} {too}has the highest median rate: {amount}. {_too_few(fastest, numbers, 'more')}"
    return f"Which was fastest is not decided: {label} has the highest median rate, {amount}, {_undecided(fastest)}."


def _too_few(best: BestConfiguration, numbers: WorkNumbers, direction: str) -> str:
    others = "any other" if len(best.rivals) == len(numbers.speed) - 1 else _names(best.rivals)
    return f"The repeats are too few to show that this is {direction} than that of {others}."


def _undecided(best: BestConfiguration) -> str:
    return f"but {_names(best.rivals)} {'is' if len(best.rivals) == 1 else 'are'} not told apart from it"


def _names(labels: Sequence[str]) -> str:
    more = len(labels) - MOST_RIVALS
    return join(list(labels)) if more <= 0 else f"{', '.join(labels[:MOST_RIVALS])} and {more} more"


def _baseline(numbers: WorkNumbers) -> str:
    base = numbers.base
    speed = f"{short(numbers.speed_of(base).median)} samples/s"
    if not numbers.has_energy:
        return f"{base} trained {speed}. No energy was asked for."
    joules = numbers.joules_of(base)
    return f"{base}: {short(joules.median)} J per sample ({numbers.kind}) at {speed}{joules_spread(joules)}."


def _each_against_base(numbers: WorkNumbers, labels: Sequence[str]) -> tuple[list[str], int]:
    """At most MOST_SENTENCES sentences, and how many configurations have none."""
    if not numbers.has_energy:
        return [], 0
    known = [label for label in labels if label in numbers.joules]
    return [_against_base(numbers, label) for label in known[:MOST_SENTENCES]], max(0, len(known) - MOST_SENTENCES)


def _against_base(numbers: WorkNumbers, label: str) -> str:
    energy, rate = numbers.joules_ratio(label), numbers.speed_ratio(label)
    joules, speed = numbers.joules_of(label), numbers.speed_of(label)
    energy_bounds = "" if energy.low is None else f", 95 % interval {bounds_text(energy)},"
    rate_bounds = "" if rate.low is None else f" ({bounds_text(rate)})"
    caution = not_shown(
        {
            "energy": (energy, joules, numbers.joules_of(numbers.base)),
            "speed": (rate, speed, numbers.speed_of(numbers.base)),
        }
    )
    return (
        f"{label} used {ratio_text(energy.ratio)} x the energy per sample of {numbers.base} ({numbers.kind}){energy_bounds} "
        f"and trained {ratio_text(rate.ratio)} x as fast{rate_bounds}: {short(joules.median)} J per sample at "
        f"{short(speed.median)} samples/s{joules_spread(joules)}{caution}."
    )


def _recoveries(work: Work) -> list[str]:
    """A sentence for each configuration in which a rank was killed: how long until the others trained on, and the joules."""
    failed = work.points[work.points["recovery_s"].notna()]
    names = names_in(list(dict.fromkeys(work.points["label"])))
    sentences = []
    for label, rows in failed.groupby("label", sort=False):
        seconds, lost_steps = summarise(rows["recovery_s"].tolist()), short(float(rows["lost_steps"].median()))
        spent_J = rows["recovery_J"].dropna().astype(float)
        joules = "" if spent_J.empty else f" and {short(float(spent_J.median()))} J ({work.kind})"
        sentences.append(
            f"{names[str(label)]}: after a rank was killed the other {int(rows['after_ranks'].iloc[0])} trained on within "
            f"{short(seconds.median)} s{joules}, {lost_steps} lost steps done again{seconds_spread(seconds)}."
        )
    return sentences[:MOST_SENTENCES]
