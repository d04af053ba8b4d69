"""The parts of a total: which traces have the energy of which hosts, so that nothing counts twice and nothing is missing."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from bench.joules.channel import EVERYTHING, Kind, Trace, cover
from bench.joules.energy_curve import Array, Curve, curve_of, joules_at
from bench.joules.integration import Energy, energy, sum_of_sensors, sum_of_windows

Window = tuple[float, float]


@dataclass(frozen=True)
class Part:
    """Hosts, by their names in the inventory, and the curves that together have their energy.

    It has several hosts where one meter has them all.
    """

    hosts: tuple[str, ...]
    curves: tuple[Curve, ...]

    @property
    def name(self) -> str:
        """The names of the hosts."""
        return " + ".join(self.hosts)

    @property
    def kind(self) -> Kind:
        """A part that has one modelled channel in it is modelled."""
        return "measured" if all(curve.trace.kind == "measured" for curve in self.curves) else "modelled"

    def energies(self, windows: Sequence[Window], clock_s: float) -> Energy:
        """Joules of all windows.

        Args:
            windows: Begin and end of each, in seconds on the common axis.
            clock_s: The error bound of the host's clock, in seconds.

        Returns:
            The sum over windows and curves with its uncertainty.
        """
        return sum_of_sensors(sum_of_windows([energy(curve, *window, clock_s) for window in windows]) for curve in self.curves)

    def joules_at(self, times_s: Array | Sequence[float]) -> Array:
        """Cumulative joules of all curves.

        Args:
            times_s: Seconds on the common axis, [n].

        Returns:
            Joules, [n].
        """
        return np.sum([joules_at(curve, times_s) for curve in self.curves], axis=0)

    def levels(self) -> list[str]:
        """Where the channels of the total sit: wall, board, package, component."""
        return sorted({level for curve in self.curves for level in _levels(curve.trace)})


@dataclass(frozen=True)
class Cover:
    """A disjoint cover of the hosts, what reads beside it, and what has no reading."""

    parts: tuple[Part, ...]
    checks: tuple[tuple[Curve, Curve | Part], ...]
    """Curves that are in no total, with what they can be compared with."""
    others: Mapping[str, Curve]
    """Curves of meters that have only parts that are no hosts, by the meter's name."""
    missing: tuple[str, ...]

    @property
    def kind(self) -> Kind | Literal["none"]:
        """A total that has one modelled host in it is modelled; ``none`` without readings."""
        if not self.parts:
            return "none"
        return "measured" if all(part.kind == "measured" for part in self.parts) else "modelled"

    @property
    def complete(self) -> bool:
        """Whether every host has readings."""
        return bool(self.parts) and not self.missing

    def in_total(self, trace: Trace) -> list[str]:
        """The channels of a trace that are in the total.

        Args:
            trace: One of the traces that the cover was made from.

        Returns:
            Their ids; none of a cross-check.
        """
        if not any(curve.trace is trace for part in self.parts for curve in part.curves):
            return []
        return [trace.channels[index].id for index in cover(trace.channels)]


def find_cover(traces: Sequence[Trace], hosts: Sequence[str], to_common: Callable[[int, float], float]) -> Cover:
    """The cover of ``hosts``.

    A meter has everything of its hosts, so their own sensors become cross-checks; so does a sensor that was calibrated
    against one, or that contains everything of its host. Without these a host is the sum of its sources, each counting a
    sensor once.

    Args:
        traces: All readings of a run.
        hosts: The names of its hosts in the inventory.
        to_common: From (rank, nanoseconds of its host's clock) to seconds on the common axis.

    Returns:
        The parts of the total, the cross-checks, meters of other parts, and hosts without readings.
    """
    curves = [curve_of(trace, partial(to_common, trace.rank)) for trace in traces]
    parts: list[Part] = []
    others: dict[str, Curve] = {}
    metered: dict[str, Part] = {}
    for curve in curves:
        name = curve.trace.meter
        behind = tuple(host for host in hosts if host in curve.trace.covers)
        if name is not None and not behind:
            others[name] = curve
        elif name is not None:
            part = Part(behind, (curve,))
            parts.append(part)
            metered.update(dict.fromkeys(behind, part))
    checks: list[tuple[Curve, Curve | Part]] = []
    for host in hosts:
        of_host = [curve for curve in curves if curve.trace.meter is None and curve.trace.label == host]
        main = [curve for curve in of_host if curve.trace.check_of is None]
        checks += [(curve, _by_source(main, curve.trace.check_of)) for curve in of_host if curve.trace.check_of]
        if host in metered:
            alone = len(metered[host].hosts) == 1
            checks += [(curve, metered[host]) for curve in main if alone and curve.trace.kind == "measured"]
        elif main:
            calibrated = [curve for curve in main if curve.trace.calibration is not None][:1]
            alone_enough = calibrated or [curve for curve in main if _has_everything(curve.trace)][:1]
            parts.append(Part((host,), tuple(alone_enough or main)))
            checks += [(curve, parts[-1]) for curve in main if alone_enough and curve is not alone_enough[0]]
    covered = {host for part in parts for host in part.hosts}
    order = {host: number for number, host in enumerate(hosts)}
    parts.sort(key=lambda part: order[part.hosts[0]])
    return Cover(tuple(parts), tuple(checks), others, tuple(host for host in hosts if host not in covered))


def _has_everything(trace: Trace) -> bool:
    """A source of the host itself that is at its input: all other sources are inside it."""
    return any(EVERYTHING in channel.contains for channel in trace.channels)


def _levels(trace: Trace) -> list[str]:
    if trace.calibration is not None:
        return [trace.calibration.level]
    return [trace.channels[index].level for index in cover(trace.channels)]


def _by_source(curves: Sequence[Curve], source: str | None) -> Curve:
    return next(curve for curve in curves if curve.trace.source == source)


def total_J(parts: Sequence[Part], window: Window) -> float:
    """Joules of all parts in one window.

    Args:
        parts: The parts of the total.
        window: Begin and end, in seconds on the common axis.

    Returns:
        Joules.
    """
    return math.fsum(float(np.diff(part.joules_at(window))[0]) for part in parts)
