"""Joules between two times, from readings that never fall on them. Pure functions of traces.

Energy is read off the cumulative curve at the edges of a window by linear interpolation: what happens at the edges matters
more than the rule inside. ``energy_curve`` makes the curve, ``reading_uncertainty`` says how well the joules are known.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from bench.joules.channel import cover
from bench.joules.energy_curve import Curve, joules_at
from bench.joules.reading_uncertainty import random_u_J, systematic_u_J

GAP_PERIODS = 3
COUNTER_GAP_S = 1.0


@dataclass(frozen=True)
class Energy:
    """Joules of a window with their standard uncertainty, and what was wrong (``good`` if nothing).

    ``random_J`` is independent in each window, ``systematic_J`` the same error in every window of a trace. For a modelled
    source neither says anything about the model.
    """

    joules: float
    random_J: float
    systematic_J: float
    quality: str
    samples: int
    max_gap_s: float

    @property
    def uncertainty_J(self) -> float:
        """Random and systematic together."""
        return math.hypot(self.random_J, self.systematic_J)


def energy(curve: Curve, start_s: float, end_s: float, clock_s: float = 0.0) -> Energy:
    """Joules from ``start_s`` to ``end_s``.

    Quality is ``uncovered`` when the readings do not reach over both edges, ``gap`` when power readings are missing for
    more than three periods (a counter misses nothing: for it, more than a second), or names a broken counter. The
    joules are then still given, and must not be used.

    Args:
        curve: The readings of one source.
        start_s: Begin of the window, in seconds on the common axis.
        end_s: Its end.
        clock_s: The error bound of the host's clock, in seconds.

    Returns:
        Joules with their uncertainties, the quality, and the number of samples and longest gap behind them.
    """
    inside = (curve.t_s >= start_s) & (curve.t_s <= end_s)
    first, last = np.searchsorted(curve.t_s, [start_s, end_s])
    span = slice(max(int(first) - 1, 0), int(last) + 1)
    around = curve.t_s[span]
    gap_s = float(np.diff(around).max()) if len(around) > 1 else math.inf
    begin_J, end_J = joules_at(curve, [start_s, end_s])
    joules = float(end_J - begin_J)
    return Energy(
        joules=joules,
        random_J=random_u_J(curve, span, (start_s, end_s), joules, clock_s),
        systematic_J=systematic_u_J(curve.trace, joules, end_s - start_s),
        quality=_quality(curve, start_s, end_s, gap_s),
        samples=int(inside.sum()),
        max_gap_s=gap_s if math.isfinite(gap_s) else end_s - start_s,
    )


def _quality(curve: Curve, start_s: float, end_s: float, gap_s: float) -> str:
    if curve.problem is not None:
        return curve.problem
    if start_s < curve.t_s[0] or end_s > curve.t_s[-1]:
        return "uncovered"
    trace = curve.trace
    powers = any(trace.channels[index].kind == "power" for index in cover(trace.channels))
    # Reading takes its time too: six rails of an INA3221 80 ms.
    usual_s = max(trace.period_s, float(np.median(np.diff(curve.t_s))))
    longest = GAP_PERIODS * usual_s if powers else max(GAP_PERIODS * usual_s, COUNTER_GAP_S)
    return "gap" if gap_s > longest else "good"


def sum_of_windows(windows: Sequence[Energy]) -> Energy:
    """Windows of one trace as one: random errors add in quadrature, systematic ones as they are.

    Args:
        windows: The energy of each window.

    Returns:
        The sum; its quality is the first that is not good.
    """
    bad = [window.quality for window in windows if window.quality != "good"]
    return Energy(
        joules=math.fsum(window.joules for window in windows),
        random_J=math.hypot(*(window.random_J for window in windows)),
        systematic_J=math.fsum(window.systematic_J for window in windows),
        quality=bad[0] if bad else "good",
        samples=sum(window.samples for window in windows),
        max_gap_s=max((window.max_gap_s for window in windows), default=0.0),
    )


def sum_of_sensors(sensors: Iterable[Energy]) -> Energy:
    """Different sensors over the same windows as one: all their errors are independent.

    Args:
        sensors: The energy of each sensor.

    Returns:
        The sum; its quality is the first that is not good, its samples are the fewest.
    """
    parts = list(sensors)
    bad = [part.quality for part in parts if part.quality != "good"]
    return Energy(
        joules=math.fsum(part.joules for part in parts),
        random_J=math.hypot(*(part.random_J for part in parts)),
        systematic_J=math.hypot(*(part.systematic_J for part in parts)),
        quality=bad[0] if bad else "good",
        samples=min((part.samples for part in parts), default=0),
        max_gap_s=max((part.max_gap_s for part in parts), default=0.0),
    )
