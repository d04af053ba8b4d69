"""The loads of a session that fits a power model, designed so that each coefficient shows: a list, and what makes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.energy.calibration.load_generator import Workers

PARTLY = (0.5, 0.25)
"""Uses of all cores that show the exponent."""
MOST_CLOCKS = 4


@dataclass(frozen=True)
class Step:
    """``cores`` at ``work`` (matrix, stream or send) for a ``duty`` of the time; ``clock_Hz`` None: the highest clock."""

    cores: int
    duty: float = 1.0
    work: str = "matrix"
    clock_Hz: float | None = None

    @property
    def words(self) -> str:
        """The load in words."""
        if self.work == "send":
            return "bytes on the wire"
        if self.cores == 0:
            return "idle"
        of = f"{self.cores} core{'s' if self.cores > 1 else ''}"
        duty = "" if self.duty == 1 else f" for {100 * self.duty:g} % of the time"
        work = ", memory stream" if self.work == "stream" else ""
        clock = "" if self.clock_Hz is None else f" at {self.clock_Hz / 1e9:g} GHz"
        return f"{of}{duty}{work}{clock}"


def design(cores: int, clocks_Hz: Sequence[float], network: bool) -> list[Step]:
    """The loads of a session.

    Args:
        cores: Of the host.
        clocks_Hz: Clocks that can be set, rising; empty where none can.
        network: Whether bytes can be sent.

    Returns:
        Idle, 1, 2, 4, ... and all cores, all cores for part of the time, at each lower clock, memory streams, and bytes.
    """
    counts = sorted({*(2**power for power in range(cores.bit_length()) if 2**power < cores), cores})
    return [
        Step(0),
        *(Step(count) for count in counts),
        *(Step(cores, duty) for duty in PARTLY),
        *(Step(cores, clock_Hz=clock) for clock in clocks_Hz[:-1]),
        *(Step(count, work="stream") for count in sorted({1, cores})),
        *([Step(1, work="send")] if network else []),
    ]


def some_clocks(clocks_Hz: Sequence[float]) -> list[float]:
    """At most ``MOST_CLOCKS`` of the clocks that can be set, with the lowest and the highest.

    Args:
        clocks_Hz: All of them.

    Returns:
        Rising.
    """
    rising = sorted(set(clocks_Hz))
    if len(rising) <= MOST_CLOCKS:
        return rising
    return [rising[round(place * (len(rising) - 1) / (MOST_CLOCKS - 1))] for place in range(MOST_CLOCKS)]


def start(step: Step, address: str | None) -> Workers:
    """The processes that make a load.

    Args:
        step: The load.
        address: Where bytes are sent to, ``HOST:PORT``.

    Returns:
        A context that keeps them at work.
    """
    words = {"send": ("send", str(address)), "stream": ("stream",)}.get(step.work, ())
    return Workers([step.duty] * step.cores, words)
