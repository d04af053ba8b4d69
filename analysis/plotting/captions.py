"""Sentences that captions have in common: what goes with the varied number, how many repeats there are, what is not drawn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

import pandas as pd

from analysis.statistics.repeat_summary import interval_note
from analysis.study import count_phrases
from analysis.study.configuration_labels import plain
from analysis.study.study import Study, label_of
from analysis.study.sweeps import LEAST_FOR_LINE, Series, Sweep

NAMED = 6
"""Configurations that a caption names; of the rest it gives the number."""


def following(series: Sequence[Series], swept: Sweep) -> list[str]:
    """The factors that change along the lines too.

    Args:
        series: The lines of a figure.
        swept: Their sweep.

    Returns:
        A clause for each: ``batch shrinks as seq grows (16, 8, 4): the same tokens in a step``, with the strategies that it is
        true of where that is not all.
    """
    by_change: dict[str, list[str]] = {}
    for line in series:
        levels = line.points.drop_duplicates(swept.x)
        for name in swept.follow:
            if levels[name].nunique(dropna=False) > 1:
                change = f"{name.removeprefix('option.')} {_change(levels, name, swept.x)}"
                by_change.setdefault(change, []).append(line.strategy)
    everyone = {line.strategy for line in series}
    return [
        change if set(names) == everyone else f"of {', '.join(dict.fromkeys(names))}, {change}"
        for change, names in by_change.items()
    ]


def _change(levels: pd.DataFrame, name: str, x: str) -> str:
    values = levels[name]
    numbers = pd.to_numeric(values, errors="coerce")
    verb = "grows" if numbers.is_monotonic_increasing else "shrinks" if numbers.is_monotonic_decreasing else "changes"
    shown = ", ".join("none" if pd.isna(value) else plain(value) for value in values)
    same = {name, x} == {"batch", "seq"} and (levels["batch"] * levels["seq"]).nunique() == 1
    return f"{verb} as {x} grows ({shown})" + (": the same tokens in a step" if same else "")


def spread_note(series: Sequence[Series], x: str) -> str:
    """Sentences about the repeats at each level, how they are drawn, and which lines are points only.

    Args:
        series: The lines of a figure.
        x: The factor that varies along them.

    Returns:
        One or two sentences.
    """
    counts = [len(rows) for line in series for _, rows in line.points.groupby(x)]
    few = any(line.points[x].nunique() < LEAST_FOR_LINE for line in series)
    return f"{repeats_note(counts)} Lines join {LEAST_FOR_LINE} levels or more" + ("; two show no trend." if few else ".")


def repeats_note(counts: Sequence[int]) -> str:
    """``interval_note`` as a sentence.

    Args:
        counts: The number of repeats at each level of each line.

    Returns:
        The sentence, with its full stop.
    """
    note = interval_note(counts)
    return f"There are {note}." if note.startswith("n =") else sentences([note])[0]


def sentences(lines: Sequence[str]) -> list[str]:
    """Each line with a capital letter and a full stop.

    Args:
        lines: Phrases without a full stop, none of them empty.

    Returns:
        The sentences, in the same order.
    """
    return [line[0].upper() + line[1:] + "." for line in lines]


def in_setting(setting: str) -> str:
    """The factors that all lines of a figure share, after the name of its work.

    Args:
        setting: The factors as text, empty where lines share none.

    Returns:
        A comma and the setting; empty where ``setting`` is.
    """
    return f", {setting}" if setting else ""


def left_out(study: Study, drawn: Collection[str] = ()) -> str:
    """A sentence about the points without valid numbers, empty where there are none.

    Args:
        study: The study.
        drawn: Names of such points that the figure shows all the same.

    Returns:
        The sentence with a space before it, or an empty text.
    """
    counts = Counter(
        (label_of(record.point), record.status)
        for record in study.records
        if record.status != "ok" and record.point.name not in drawn
    )
    if not counts:
        return ""
    named = [f"{label} ({status}{f', {n} points' if n > 1 else ''})" for (label, status), n in counts.items()]
    return f" Not drawn, for want of valid numbers: {some(named)}."


def some(names: Sequence[str]) -> str:
    """As many names as a caption has room for, and how many more there are.

    Args:
        names: Names, at least one.

    Returns:
        One phrase of at most ``NAMED`` names.
    """
    return count_phrases.some(names, NAMED)


def ranks_label(study: Study) -> str:
    """The axis of the number of ranks; it says so where each rank had a board of its own.

    Args:
        study: The study; only good records are read.

    Returns:
        The label.
    """
    for record in study.good:
        hosts = [placement.host for placement in record.plan.placement]
        if None in hosts or len(set(hosts)) < record.point.ranks:
            return "Number of ranks (processes)"
    return "Number of ranks (one on each board)"
