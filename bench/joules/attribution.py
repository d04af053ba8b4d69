"""Whose joules: energy by what the ranks were doing, forward or backward, communicating or waiting.

At any time a host's power is shared equally between its ranks, so a rank that waits is charged like one that computes:
where the host can tell them apart, its power falls while it waits. Two ways lead from readings to phases:

- *interpolated*, where readings come at least four times in a typical stretch of a phase: the difference of the energy
  curve over each stretch;
- *least squares* over many readings, where a phase is shorter than that (``phase_least_squares``). Refused where there are
  too few readings, or where the phases always come in the same proportions, which the condition number of the scaled matrix
  tells (above 30: Belsley, Kuh, Welsch, Regression Diagnostics, 1980).

Energies of both add up to the window's total.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from bench.joules.energy_curve import Array, Curve, joules_at
from bench.joules.phase_least_squares import CannotFold, Folded, Spent, fold

Method = Literal["interpolated", "least squares", "refused"]
Stretches = Mapping[str, Sequence[tuple[float, float]]]
"""For each label the stretches (t0_s, t1_s) of a rank's main thread, without overlaps; the rest of time has the first label
of those that are asked for."""

READINGS_IN_A_STRETCH = 4
MOST_LEFT_OVER = 0.1
"""Of the window's joules. A fit that misses more has given a phase that hardly comes a power that no reading supports."""


@dataclass(frozen=True)
class Attribution:
    """Joules by label and by rank, with standard errors. ``why`` says in words how it was found or why it was refused."""

    method: Method
    why: str
    joules: Mapping[str, float]
    error_J: Mapping[str, float]
    by_rank: Mapping[int, Mapping[str, float]]
    condition: float | None = None
    error_by_rank: Mapping[int, Mapping[str, float]] = field(default_factory=dict)


def attribute(
    curve: Curve, ranks: Mapping[int, Stretches], windows: Sequence[tuple[float, float]], labels: Sequence[str]
) -> Attribution:
    """Share the energy of one trace between the phases of the ranks that it powers.

    Args:
        curve: The trace's cumulative joules.
        ranks: The stretches of each rank, by its number.
        windows: Begin and end of the timed windows, in seconds on the common axis.
        labels: The phases; the first has the time that the others leave.

    Returns:
        Joules by phase and rank, which add up to those of the windows, or the reason why they cannot be told.
    """
    spent = {rank: seconds(stretches, windows, labels) for rank, stretches in ranks.items()}
    mean_s = {label: sum(by_label[label] for by_label in spent.values()) / len(ranks) for label in labels}
    present = [label for label in labels if mean_s[label] > 0]
    resolution_s, typical_s = _resolution(curve), _typical(ranks, windows, present)
    times = f"readings every {1e3 * resolution_s:.1f} ms, phases of {1e3 * typical_s:.1f} ms"
    if len(present) == 1:
        return _interpolated(curve, ranks, windows, labels, resolution_s, f"only {present[0]}")
    if READINGS_IN_A_STRETCH * resolution_s <= typical_s:
        return _interpolated(curve, ranks, windows, labels, resolution_s, times)
    first_has_none = labels[0] in present and not any(len(stretches.get(labels[0], ())) for stretches in ranks.values())
    spans = [{label: stretches.get(label, ()) for label in present} for stretches in ranks.values()]
    try:
        fitted = fold(curve, Spent(spans, present, labels[0] if first_has_none else None), windows, len(present))
    except CannotFold as problem:
        return _refused(f"{times}: {problem}", problem.condition)
    total_J = math.fsum(float(np.diff(joules_at(curve, window))[0]) for window in windows)
    return _least_squares(fitted, present, spent, mean_s, total_J, times)


def _least_squares(
    fitted: Folded,
    present: Sequence[str],
    spent: Mapping[int, Mapping[str, float]],
    mean_s: Mapping[str, float],
    total_J: float,
    times: str,
) -> Attribution:
    """The fitted powers times the seconds of each label; ``spent`` are those of each rank, ``mean_s`` their mean."""
    # What the fit leaves over (it is little) is spread over time, so that the parts add up to the total.
    left_J = total_J - sum(p * mean_s[k] for k, p in zip(present, fitted.power_W, strict=True))
    if abs(left_J) > MOST_LEFT_OVER * abs(total_J):
        share = f"{100 * abs(left_J / total_J):.0f} % of the joules" if total_J else f"{abs(left_J):.3g} J"
        why = f"{times}: the fitted powers miss {share} (at most {100 * MOST_LEFT_OVER:.0f} %): a longer window"
        return _refused(why, fitted.condition)
    rest_W = left_J / sum(mean_s.values())
    watts = {label: float(p) + rest_W for label, p in zip(present, fitted.power_W, strict=True)}
    errors = dict(zip(present, fitted.error_W, strict=True))
    return Attribution(
        method="least squares",
        why=f"{times}; {fitted.readings} readings, {1e3 * fitted.delay_s:.1f} ms late",
        joules={label: watts.get(label, 0.0) * mean_s[label] for label in mean_s},
        error_J={label: float(errors.get(label, 0.0)) * mean_s[label] for label in mean_s},
        by_rank={
            rank: {label: watts.get(label, 0.0) * by_label[label] / len(spent) for label in mean_s}
            for rank, by_label in spent.items()
        },
        condition=fitted.condition,
        error_by_rank={
            rank: {label: float(errors.get(label, 0.0)) * by_label[label] / len(spent) for label in mean_s}
            for rank, by_label in spent.items()
        },
    )


def _refused(why: str, condition: float | None = None) -> Attribution:
    finite = condition if condition is not None and math.isfinite(condition) else None
    return Attribution("refused", why, {}, {}, {}, finite)


def _interpolated(
    curve: Curve,
    ranks: Mapping[int, Stretches],
    windows: Sequence[tuple[float, float]],
    labels: Sequence[str],
    resolution_s: float,
    why: str,
) -> Attribution:
    total_J = math.fsum(float(np.diff(joules_at(curve, window))[0]) for window in windows)
    mean_W = total_J / math.fsum(end - begin for begin, end in windows)
    by_rank, edges = {}, {}
    for rank, stretches in ranks.items():
        joules, of_rank = {}, dict.fromkeys(labels, 0)
        for label in labels[1:]:
            spans = _clipped(stretches.get(label, ()), windows)
            joules[label] = float((joules_at(curve, spans[:, 1]) - joules_at(curve, spans[:, 0])).sum()) / len(ranks)
            of_rank[label] = 2 * len(spans)
        joules[labels[0]] = total_J / len(ranks) - math.fsum(joules.values())
        of_rank[labels[0]] = sum(of_rank.values())
        by_rank[rank] = {label: joules[label] for label in labels}
        edges[rank] = of_rank
    edge_J = mean_W * resolution_s / math.sqrt(12) / len(ranks)
    return Attribution(
        method="interpolated",
        why=why,
        joules={label: math.fsum(joules[label] for joules in by_rank.values()) for label in labels},
        error_J={label: edge_J * math.sqrt(sum(of_rank[label] for of_rank in edges.values())) for label in labels},
        by_rank=by_rank,
        error_by_rank={rank: {k: edge_J * math.sqrt(count) for k, count in of_rank.items()} for rank, of_rank in edges.items()},
    )


def _clipped(stretches: Sequence[tuple[float, float]], windows: Sequence[tuple[float, float]]) -> Array:
    """The parts inside windows, [n, 2]."""
    spans = np.asarray(stretches, dtype=np.float64).reshape(-1, 2)
    parts = [np.clip(spans, begin, end) for begin, end in windows]
    inside = np.concatenate([*parts, np.empty((0, 2))])
    return inside[inside[:, 1] > inside[:, 0]]


def seconds(stretches: Stretches, windows: Sequence[tuple[float, float]], labels: Sequence[str]) -> dict[str, float]:
    """Seconds of a rank's main thread by label.

    Args:
        stretches: The rank's stretches, in seconds on the common axis.
        windows: Begin and end of each window; only what is inside counts.
        labels: All labels; the first has the time that the others leave.

    Returns:
        Seconds by label, which add up to the windows' length.
    """
    spent = {label: float(np.diff(_clipped(stretches.get(label, ()), windows)).sum()) for label in labels[1:]}
    rest = math.fsum(end - begin for begin, end in windows) - math.fsum(spent.values())
    return {labels[0]: rest if rest > 1e-9 else 0.0, **spent}


def _typical(ranks: Mapping[int, Stretches], windows: Sequence[tuple[float, float]], present: Sequence[str]) -> float:
    """The shortest of the labels' median stretches; the rest of time has no stretches of its own."""
    lengths = []
    for label in present:
        spans = np.concatenate([np.diff(_clipped(stretches.get(label, ()), windows)).ravel() for stretches in ranks.values()])
        if len(spans):
            lengths.append(float(np.median(spans)))
    return min(lengths, default=0.0)


def _resolution(curve: Curve) -> float:
    spacing_s = float(np.median(np.diff(curve.read_s))) if len(curve.read_s) > 1 else math.inf
    return math.hypot(spacing_s, curve.period_s)
