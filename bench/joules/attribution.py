"""Whose joules: energy by what the ranks were doing, forward or backward, communicating or waiting.

At any time a host's power is shared equally between its ranks, so a rank that waits is charged like one that computes:
where the host can tell them apart, its power falls while it waits. Two ways lead from readings to phases:

- *interpolated*, where readings come at least four times in a typical stretch of a phase: the difference of the energy
  curve over each stretch;
- *least squares* over many readings, where a phase is shorter than that (``folding.py``). Refused where there are too few
  readings, or where the phases always come in the same proportions, which the condition number of the scaled matrix tells
  (above 30: Belsley, Kuh, Welsch, Regression Diagnostics, 1980).

Energies of both add up to the window's total.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bench.joules.channel import cover
from bench.joules.integration import Array, Curve, at
from bench.joules.phase_least_squares import CannotFold, Spent, fold

Method = Literal["interpolated", "least squares", "refused"]
Stretches = Mapping[str, Sequence[tuple[float, float]]]
"""For each label the stretches (t0_s, t1_s) of a rank's main thread, without overlaps; the rest of time has the first label
of those that are asked for."""

READINGS_IN_A_STRETCH = 4


@dataclass(frozen=True)
class Attribution:
    """Joules by label, with standard errors, and by rank. ``why`` says in words how it was found or why it was refused."""

    method: Method
    why: str
    joules: Mapping[str, float]
    error_J: Mapping[str, float]
    by_rank: Mapping[int, Mapping[str, float]]
    condition: float | None = None


def attribute(
    found: Curve, ranks: Mapping[int, Stretches], windows: Sequence[tuple[float, float]], labels: Sequence[str]
) -> Attribution:
    """Share the energy of one trace inside ``windows`` between ``labels``; ``ranks`` are those that it powers."""
    spent = {rank: seconds(own, windows, labels) for rank, own in ranks.items()}
    mean_s = {label: sum(own[label] for own in spent.values()) / len(ranks) for label in labels}
    present = [label for label in labels if mean_s[label] > 0]
    resolution_s, typical_s = _resolution(found), _typical(ranks, windows, present)
    times = f"readings every {1e3 * resolution_s:.1f} ms, phases of {1e3 * typical_s:.1f} ms"
    if len(present) == 1:
        return _interpolated(found, ranks, windows, labels, resolution_s, f"only {present[0]}")
    if READINGS_IN_A_STRETCH * resolution_s <= typical_s:
        return _interpolated(found, ranks, windows, labels, resolution_s, times)
    rest = None if any(len(own.get(labels[0], ())) for own in ranks.values()) or labels[0] not in present else labels[0]
    spans = [{label: own.get(label, ()) for label in present} for own in ranks.values()]
    try:
        folded = fold(found, Spent(spans, present, rest), windows, len(present))
    except CannotFold as problem:
        return _refused(f"{times}: {problem}", problem.condition)
    power_W, error_W = folded.power_W, folded.error_W
    # What the fit leaves over (it is little) is spread over time, so that the parts add up to the total.
    total_J = math.fsum(float(np.diff(at(found, window))[0]) for window in windows)
    rest_W = (total_J - sum(p * mean_s[k] for k, p in zip(present, power_W, strict=True))) / sum(mean_s.values())
    watts = {label: float(p) + rest_W for label, p in zip(present, power_W, strict=True)}
    errors = dict(zip(present, error_W, strict=True))
    return Attribution(
        method="least squares",
        why=f"{times}; {folded.readings} readings, {1e3 * folded.delay_s:.1f} ms late",
        joules={label: watts.get(label, 0.0) * mean_s[label] for label in labels},
        error_J={label: float(errors.get(label, 0.0)) * mean_s[label] for label in labels},
        by_rank={
            rank: {label: watts.get(label, 0.0) * own[label] / len(ranks) for label in labels} for rank, own in spent.items()
        },
        condition=folded.condition,
    )


def _refused(why: str, condition: float | None = None) -> Attribution:
    finite = condition if condition is not None and math.isfinite(condition) else None
    return Attribution("refused", why, {}, {}, {}, finite)


def _interpolated(
    found: Curve,
    ranks: Mapping[int, Stretches],
    windows: Sequence[tuple[float, float]],
    labels: Sequence[str],
    resolution_s: float,
    why: str,
) -> Attribution:
    total_J = math.fsum(float(np.diff(at(found, window))[0]) for window in windows)
    mean_W = total_J / math.fsum(end - begin for begin, end in windows)
    by_rank, edges = {}, dict.fromkeys(labels, 0)
    for rank, own in ranks.items():
        joules = {}
        for label in labels[1:]:
            spans = _clipped(own.get(label, ()), windows)
            joules[label] = float((at(found, spans[:, 1]) - at(found, spans[:, 0])).sum()) / len(ranks)
            edges[label] += 2 * len(spans)
        joules[labels[0]] = total_J / len(ranks) - math.fsum(joules.values())
        by_rank[rank] = {label: joules[label] for label in labels}
    edges[labels[0]] = sum(edges.values())
    edge_J = mean_W * resolution_s / math.sqrt(12) / len(ranks)
    return Attribution(
        method="interpolated",
        why=why,
        joules={label: math.fsum(own[label] for own in by_rank.values()) for label in labels},
        error_J={label: edge_J * math.sqrt(edges[label]) for label in labels},
        by_rank=by_rank,
    )


def _clipped(stretches: Sequence[tuple[float, float]], windows: Sequence[tuple[float, float]]) -> Array:
    """The parts inside windows, [n, 2]."""
    spans = np.asarray(stretches, dtype=np.float64).reshape(-1, 2)
    parts = [np.clip(spans, begin, end) for begin, end in windows]
    inside = np.concatenate([*parts, np.empty((0, 2))])
    return inside[inside[:, 1] > inside[:, 0]]


def seconds(own: Stretches, windows: Sequence[tuple[float, float]], labels: Sequence[str]) -> dict[str, float]:
    """Seconds of a rank's main thread inside ``windows`` by label; they add up to the windows' length."""
    spent = {label: float(np.diff(_clipped(own.get(label, ()), windows)).sum()) for label in labels[1:]}
    rest = math.fsum(end - begin for begin, end in windows) - math.fsum(spent.values())
    return {labels[0]: rest if rest > 1e-9 else 0.0, **spent}


def _typical(ranks: Mapping[int, Stretches], windows: Sequence[tuple[float, float]], present: Sequence[str]) -> float:
    """The shortest of the labels' median stretches; the rest of time has no stretches of its own."""
    lengths = []
    for label in present:
        spans = np.concatenate([np.diff(_clipped(own.get(label, ()), windows)).ravel() for own in ranks.values()])
        if len(spans):
            lengths.append(float(np.median(spans)))
    return min(lengths, default=0.0)


def _resolution(found: Curve) -> float:
    channels = [found.trace.channels[index] for index in cover(found.trace.channels)]
    spacing_s = float(np.median(np.diff(found.t_s))) if len(found.t_s) > 1 else math.inf
    return math.hypot(spacing_s, max(channel.update_period_s for channel in channels))
