"""What a kilowatt hour of the supply emits and costs, as somebody states it: never measured here. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.common.user_error import UserError

J_PER_KWH = 3.6e6
MOST_G_PER_KWH = 10_000.0
"""Burning lignite alone emits about 1,100; ten times that is another unit."""


@dataclass(frozen=True)
class Intensity:
    """Grams of CO2 equivalent per kilowatt hour: one number, or a series over time.

    Attributes:
        source: Who says so.
        g_per_kWh: The number, or the values of the series, each from its time until the next.
        begins_ns: The times of the series, ns since 1970; empty of one number.
    """

    source: str
    g_per_kWh: NDArray[np.float64]
    begins_ns: NDArray[np.int64]

    @classmethod
    def constant(cls, g_per_kWh: float, source: str) -> Intensity:
        """One number for all times.

        Args:
            g_per_kWh: Grams of CO2 equivalent per kilowatt hour.
            source: Who says so.

        Returns:
            The intensity.
        """
        return cls(source, np.array([g_per_kWh]), np.array([], dtype=np.int64))

    @property
    def end_ns(self) -> int:
        """Until when the last value of a series counts: as long as values usually do."""
        return int(self.begins_ns[-1]) + int(np.median(np.diff(self.begins_ns)))

    def mean(self, point: str, first_ns: int, last_ns: int) -> float:
        """The mean over a stretch of time.

        Args:
            point: Whose time it is, for the message.
            first_ns: Its begin, ns since 1970.
            last_ns: Its end, later.

        Returns:
            Grams per kilowatt hour.

        Raises:
            UserError: The series does not reach over all of it.
        """
        if not len(self.begins_ns):
            return float(self.g_per_kWh[0])
        if first_ns < self.begins_ns[0] or last_ns > self.end_ns:
            ran, begin, end = (_civil(int(t_ns)) for t_ns in (first_ns, self.begins_ns[0], self.end_ns))
            raise UserError(
                f"--co2: {point} ran at {ran}, and {self.source} has {begin} to {end}; give a series that has all points, or a "
                "number"
            )
        edges = np.concatenate([self.begins_ns, [self.end_ns]]).astype(np.float64)
        inside = np.clip(edges, first_ns, last_ns)
        shares = np.diff(inside)
        if not shares.sum():
            return float(self.g_per_kWh[np.searchsorted(self.begins_ns, first_ns, side="right") - 1])
        return float((shares * self.g_per_kWh).sum() / shares.sum())


def _civil(t_ns: int) -> str:
    return f"{np.datetime64(t_ns, 'ns').astype('datetime64[s]')} UTC"


@dataclass(frozen=True)
class Price:
    """What a kilowatt hour costs, in the currency that somebody states."""

    per_kWh: float
    currency: str


@dataclass(frozen=True)
class Supply:
    """What the user says about the electricity of a study; ``words`` are the options of the command line that said so."""

    intensity: Intensity | None = None
    price: Price | None = None
    words: tuple[str, ...] = ()


NOTHING_STATED = Supply()
