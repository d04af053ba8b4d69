"""Busy time of cores as a power model weighs it: a busy second of a slow clock, or of a core that idles between, costs less."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Sequence

AVERAGE_S = 1.0
"""Over which a core's use is averaged: published wattages over use were read at about one reading a second."""
LEAST_USE = 0.01


class CoreUse:
    """Adds up busy seconds, each times ``use ** (exponent - 1)`` and the share of its clock.

    With the use u of a core over the last second this makes a power of ``a(f) u^b`` while u is steady.

    Args:
        exponent: b.
        clocks: Clock (Hz) and its share of the power at the highest one, rising; empty: one clock.
    """

    def __init__(self, exponent: float, clocks: Sequence[tuple[float, float]] = ()) -> None:
        self.exponent, self.clocks = exponent, tuple(clocks)
        self.seconds = 0.0
        """Of one core at full use and the highest clock, since the first call."""
        self._past: deque[tuple[float, tuple[float, ...]]] = deque()

    def add(self, now_s: float, busy_s: Sequence[float], clocks_Hz: Sequence[float] = ()) -> float:
        """Weigh what was added to the busy time of each core.

        Args:
            now_s: The time of the reading.
            busy_s: Busy seconds of each core since any time.
            clocks_Hz: Of each core; empty where they are not known: the highest.

        Returns:
            ``seconds``.
        """
        if self._past and now_s > self._past[-1][0]:
            last, (old_s, old) = self._past[-1][1], self._past[0]
            for core, (busy, before, begin) in enumerate(zip(busy_s, last, old, strict=True)):
                use = min(max((busy - begin) / (now_s - old_s), LEAST_USE), 1.0)
                share = self.share(clocks_Hz[core]) if clocks_Hz else 1.0
                self.seconds += max(busy - before, 0.0) * use ** (self.exponent - 1) * share
        self._past.append((now_s, tuple(busy_s)))
        while len(self._past) > 2 and now_s - self._past[1][0] >= AVERAGE_S:
            self._past.popleft()
        return self.seconds

    def share(self, clock_Hz: float) -> float:
        """What a busy core draws at a clock, linear between those that are known.

        Args:
            clock_Hz: The clock.

        Returns:
            Its share of the power at the highest clock.
        """
        if not self.clocks:
            return 1.0
        place = bisect_right([clock for clock, _ in self.clocks], clock_Hz)
        if place in (0, len(self.clocks)):
            return self.clocks[min(place, len(self.clocks) - 1)][1]
        (low, one), (high, other) = self.clocks[place - 1 : place + 1]
        return one + (clock_Hz - low) / (high - low) * (other - one)
