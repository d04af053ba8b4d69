"""Idle power that another point of the same block of repeats measured: watts, their uncertainty, and where they come from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from bench.record.energy_record import EnergyRecord


@dataclass(frozen=True)
class ReusedIdle:
    """The idle power of ``point``, whose record was finished ``age_s`` before this point looked at it.

    ``watts`` is the mean of before and after, ``uncertainty_W`` its standard uncertainty for another point; ``by_part`` has
    the watts of each part of the total, by its name.
    """

    point: str
    finished: str
    age_s: float
    before_W: float
    after_W: float
    watts: float
    uncertainty_W: float
    by_part: Mapping[str, float | None]

    @classmethod
    def of(cls, point: str, finished: str, age_s: float, energy: EnergyRecord) -> ReusedIdle | None:
        """What a point's record tells of idle.

        Args:
            point: Name of the point that measured.
            finished: When its record was finished, in civil time.
            age_s: How long that is ago, s.
            energy: The ``energy`` block of its record.

        Returns:
            The idle power; None where the record has none of its own.
        """
        idle = energy.idle
        if energy.idle_W is None or idle.before_W is None or idle.after_W is None or idle.reused is not None:
            return None
        u_W = reuse_uncertainty_W(idle.before_W, idle.after_W, idle.random_W or 0.0)
        by_part = {part.host: part.idle_W for part in energy.by_host}
        return cls(point, finished, age_s, idle.before_W, idle.after_W, energy.idle_W, u_W, by_part)


def reuse_uncertainty_W(before_W: float, after_W: float, random_W: float) -> float:
    """Standard uncertainty of a measured idle power for another point.

    Before and after are two draws from what idle does between points, so their scatter is s = |a - b| / sqrt(2); the idle of
    another point is a further draw, and the mean of the two misses it by s sqrt(1 + 1/2). The readings' own part adds to it.

    Args:
        before_W: Idle before the window of the point that measured, W.
        after_W: Idle after it, W.
        random_W: Standard uncertainty of their mean by the readings, W.

    Returns:
        The standard uncertainty, W.
    """
    return math.hypot(random_W, abs(after_W - before_W) / math.sqrt(2) * math.sqrt(1.5))
