"""The answer in words: only what the records support."""

from __future__ import annotations

import pandas as pd

from analysis.records import Study
from analysis.statistics import Summary, by_configuration
from bench.record.statistics import SMALLEST_N


def answer(study: Study) -> list[str]:
    """Sentences for each kind of energy and each model: the baseline in absolute numbers, every other as a ratio of medians."""
    frame = study.points
    if frame.empty:
        return ["No point of this study has a valid record, so there is nothing to compare."]
    sentences = []
    for (kind, _), rows in frame.groupby(["kind", "model"], sort=False):  # another model is another work
        sentences += _of_kind(str(kind), rows)
    if study.smoke:
        sentences.append("Some points are smoke runs: windows are too short for conclusions.")
    return sentences


def _of_kind(kind: str, frame: pd.DataFrame) -> list[str]:
    time = by_configuration(frame, "samples_per_s")
    labels = list(time)
    alone = set(frame[frame["strategy"] == "single"]["label"])
    base = next((label for label in labels if label in alone), labels[0])
    if kind == "none":
        return [f"{base} trained {time[base].median:.3g} samples/s. No energy was asked for."]
    joules = by_configuration(frame, "per_sample_J")
    sentences = [
        f"{base}: {joules[base].median:.3g} J per sample ({kind}) at {time[base].median:.3g} samples/s{_spread(joules[base])}."
    ]
    for label in labels:
        if label == base:
            continue
        energy, speed = joules[label].median / joules[base].median, time[label].median / time[base].median
        sentences.append(
            f"{label} used {energy:.2f} x the energy per sample of {base} ({kind}) and trained {speed:.2f} x as fast: "
            f"{joules[label].median:.3g} J per sample at {time[label].median:.3g} samples/s{_spread(joules[label])}"
            f"{_caution(joules[label], joules[base])}."
        )
    return sentences


def _spread(found: Summary) -> str:
    if found.low is not None and found.high is not None:
        return f" (95 % interval {found.low:.3g} to {found.high:.3g} J, n = {found.n})"
    if found.n == 1:
        return " (one repeat: its spread is unknown)"
    few = f"fewer than {SMALLEST_N} give no interval"
    return f" (median of n = {found.n} repeats between {found.smallest:.3g} and {found.largest:.3g} J; {few})"


def _caution(one: Summary, other: Summary) -> str:
    """Where the ranges of the repeats overlap, the difference in energy is not shown."""
    a = (one.low, one.high) if one.low is not None else (one.smallest, one.largest)
    b = (other.low, other.high) if other.low is not None else (other.smallest, other.largest)
    assert a[0] is not None
    assert a[1] is not None
    assert b[0] is not None
    assert b[1] is not None
    overlap = a[0] <= b[1] and b[0] <= a[1]
    return "; the ranges overlap, so a difference in energy is not shown" if overlap else ""
