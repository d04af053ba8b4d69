"""The facts of a run that its energy depends on: windows, hosts, phases, and the work done."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.joules.attribution import Stretches
from bench.joules.cover import Window
from bench.joules.reused_idle import ReusedIdle


@dataclass(frozen=True)
class Run:
    """One run on the common axis, in seconds.

    ``windows`` are the timed ones, ``idle_windows`` those before and after; they have no length where ``reused_idle`` has
    the watts of another point. ``why_idle`` says why that could not be, where it was asked for. ``rank_host`` has the host of
    every rank by its
    name in the inventory, ``stretches`` the times of its phases. ``samples``, ``tokens`` and ``steps`` are those of the
    timed windows.
    """

    windows: Sequence[Window]
    idle_windows: Sequence[Window]
    rank_host: Mapping[int, str]
    stretches: Mapping[int, Stretches]
    samples: int
    tokens: int
    steps: int
    reused_idle: ReusedIdle | None = None
    why_idle: str | None = None

    @property
    def hosts(self) -> list[str]:
        """Hosts that take part, in the order of their ranks."""
        return list(dict.fromkeys(host for _, host in sorted(self.rank_host.items())))

    @property
    def window_s(self) -> float:
        """Length of all timed windows together."""
        return math.fsum(end - begin for begin, end in self.windows)

    @property
    def idle_s(self) -> float:
        """Length of all idle windows together."""
        return math.fsum(end - begin for begin, end in self.idle_windows)
