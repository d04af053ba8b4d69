"""Joules between two times, from readings that never fall on them. Pure functions of traces.

Energy is read off the cumulative curve at the edges of a window by linear interpolation: what happens at the edges matters
more than the rule inside. ``energy_curve`` makes the curve, ``reading_uncertainty`` says how well the joules are known.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from bench.joules.channel import cover
from bench.joules.energy_curve import Curve, joules_at
from bench.joules.reading_uncertainty import model_u_J, random_u_J, systematic_u_J

GAP_PERIODS = 3
COUNTER_GAP_S = 1.0


@dataclass(frozen=True)
class Energy:
    """Joules of a window with their standard uncertainty, and what was wrong (``good`` if nothing).

    ``random_J`` is independent in each window, ``systematic_J`` the same error in every window of a trace. ``model_J`` is the
    uncertainty of the model behind modelled joules, by board class: one error of all boards of a class, in every window.
    """

    joules: float
    random_J: float
    systematic_J: float
    quality: str
    samples: int
    max_gap_s: float
    model_J: Mapping[str, float] = field(default_factory=dict)

    @property
    def model_u_J(self) -> float:
        """That of the models together: classes are independent of each other."""
        return math.hypot(*self.model_J.values())

    @property
    def common_J(self) -> float:
        """What is the same error in all repeats: of the sensor and of the models."""
        return math.hypot(self.systematic_J, self.model_u_J)

    @property
    def uncertainty_J(self) -> float:
        """All together."""
        return math.hypot(self.random_J, self.common_J)


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
    first, last = np.searchsorted(curve.read_s, [start_s, end_s])
    around = curve.read_s[max(int(first) - 1, 0) : int(last) + 1]
    gap_s = float(np.diff(around).max()) if len(around) > 1 else math.inf
    begin_J, end_J = joules_at(curve, [start_s, end_s])
    joules = float(end_J - begin_J)
    return Energy(
        joules=joules,
        random_J=random_u_J(curve, (start_s, end_s), joules, clock_s),
        systematic_J=systematic_u_J(curve, (start_s, end_s), joules),
        quality=_quality(curve, start_s, end_s, gap_s),
        samples=min((_new_readings(curve, number, start_s, end_s) for number in range(len(curve.renewals))), default=0),
        max_gap_s=gap_s if math.isfinite(gap_s) else end_s - start_s,
        model_J=model_u_J(curve.trace, joules),
    )


def _new_readings(curve: Curve, number: int, start_s: float, end_s: float) -> int:
    """Readings in a window without those that only repeat the one before.

    A counter in large steps does not show when it was renewed: then as many as it declares.
    """
    renewed, channel = curve.renewals[number], curve.trace.channels[cover(curve.trace.channels)[number]]
    stands = channel.kind == "counter" and renewed.single_steps
    at_s = curve.read_s if stands else curve.read_s[renewed.index]
    count = int(((at_s >= start_s) & (at_s <= end_s)).sum())
    if stands and channel.update_period_s > 0:
        return min(count, int((end_s - start_s) / channel.update_period_s))
    return count


def _quality(curve: Curve, start_s: float, end_s: float, gap_s: float) -> str:
    if curve.problem is not None:
        return curve.problem
    if start_s < curve.read_s[0] or end_s > curve.read_s[-1]:
        return "uncovered"
    trace = curve.trace
    powers = any(trace.channels[index].kind == "power" for index in cover(trace.channels))
    # Reading takes its time too: six rails of an INA3221 80 ms. What is renewed more seldom misses nothing meanwhile.
    usual_s = max(trace.period_s, float(np.median(np.diff(curve.read_s))), curve.period_s)
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
        model_J=_by_class(windows),
    )


def sum_of_sensors(sensors: Iterable[Energy]) -> Energy:
    """Different sensors over the same windows as one: all their errors are independent, but for those of one class's model.

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
        model_J=_by_class(parts),
    )


def _by_class(parts: Sequence[Energy]) -> dict[str, float]:
    """The models' uncertainties of several energies: boards of one class have one error."""
    classes = {name for part in parts for name in part.model_J}
    return {name: math.fsum(part.model_J.get(name, 0.0) for part in parts) for name in sorted(classes)}
