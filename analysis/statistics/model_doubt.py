"""How far a ratio of modelled joules can be trusted: configurations on boards of one class share the error of its model.

Joules of a configuration are I_c at idle and D_c above it on the boards of each class c, as shares of all. The relative errors
of the idle and of the other coefficients of a class are independent, u_c each. Then a ratio of two configurations has

    (u_ratio / ratio)^2 = sum over classes u_c^2 [(I_c - I'_c)^2 + (D_c - D'_c)^2].

Equal shares: the model cannot spoil the ratio, and says nothing about it either, for it is the ratio of their times.
``docs/explanation/modelled-power.md``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from analysis.statistics.joule_uncertainty import COVERAGE_FACTOR
from analysis.statistics.rank_tests import Ratio
from bench.common.unfitted_model import UNFITTED_U
from bench.record.energy_record import EnergyRecord
from bench.record.host_energy_record import HostEnergyRecord
from bench.record.record import MeasuredRecord

SAME_SHARES = 0.02
"""Idle shares that differ by less are the same: a ratio of 1 % is out of any model's reach."""


@dataclass(frozen=True)
class ModelShares:
    """The joules of a configuration by the board class whose model made them, as shares of all its joules."""

    idle: Mapping[str, float]
    above: Mapping[str, float]
    relative_u: Mapping[str, float]
    """Of each class's model, a standard uncertainty."""

    @property
    def classes(self) -> str:
        """The classes, as a phrase."""
        return " and ".join(sorted(self.idle))

    @property
    def largest_u(self) -> float:
        """The largest relative uncertainty of the classes' models."""
        return max(self.relative_u.values())


def model_shares(records: Sequence[MeasuredRecord]) -> ModelShares | None:
    """The shares of a configuration.

    Args:
        records: Its repeats.

    Returns:
        Means over the repeats; None where no joule of them is modelled, or none is known.
    """
    each = [shares for record in records if (shares := _of_record(record)) is not None]
    if not each:
        return None
    classes = sorted({name for shares in each for name in shares.idle})
    return ModelShares(
        idle={name: fmean(shares.idle.get(name, 0.0) for shares in each) for name in classes},
        above={name: fmean(shares.above.get(name, 0.0) for shares in each) for name in classes},
        relative_u={name: max(shares.relative_u.get(name, 0.0) for shares in each) for name in classes},
    )


def _of_record(record: MeasuredRecord) -> ModelShares | None:
    energy = record.energy
    if energy.kind != "modelled" or not energy.total_J or not energy.mean_power_W:
        return None
    hosts = [host for host in energy.by_host if host.kind == "modelled"]
    if not hosts:
        return _of_total(energy, " and ".join(sorted(set(record.point.boards))) or "boards", energy.mean_power_W)
    idle: dict[str, float] = {}
    above: dict[str, float] = {}
    relative_u: dict[str, float] = {}
    for host in hosts:
        name, whole = host.modelled_as or host.board, host.total_J / energy.total_J
        at_idle = whole * _idle_share(host)
        idle[name] = idle.get(name, 0.0) + at_idle
        above[name] = above.get(name, 0.0) + whole - at_idle
        stated = [channel.model_u for channel in host.channels if channel.model_u is not None]
        relative_u[name] = max([relative_u.get(name, 0.0), *(stated or [UNFITTED_U])])
    return ModelShares(idle, above, relative_u)


def _of_total(energy: EnergyRecord, name: str, mean_W: float) -> ModelShares:
    """Of a record that does not tell its hosts apart."""
    share = min((energy.idle_W or 0.0) / mean_W, 1.0)
    return ModelShares({name: share}, {name: 1.0 - share}, {name: UNFITTED_U})


def _idle_share(host: HostEnergyRecord) -> float:
    """Of the joules of a host those that it would have taken at idle."""
    idle_W = host.idle_W
    if idle_W is None:
        idle_W = math.fsum(channel.baseline_W or 0.0 for channel in host.channels)
    return min(idle_W / host.mean_power_W, 1.0) if host.mean_power_W > 0 else 0.0


def ratio_u(one: ModelShares | None, base: ModelShares | None) -> float:
    """The relative standard uncertainty that the models give a ratio.

    Args:
        one: The shares over the line; None: measured.
        base: Those under it.

    Returns:
        0 where both are measured.
    """
    squares = 0.0
    for name in {*(one.idle if one else ()), *(base.idle if base else ())}:
        u = max(shares.relative_u.get(name, 0.0) for shares in (one, base) if shares is not None)
        parts = [[(shares.get(name, 0.0) if shares else 0.0) for shares in pair] for pair in _pairs(one, base)]
        squares += u**2 * math.fsum((a - b) ** 2 for a, b in parts)
    return math.sqrt(squares)


def _pairs(one: ModelShares | None, base: ModelShares | None) -> list[tuple[Mapping[str, float], Mapping[str, float]]]:
    nothing: Mapping[str, float] = {}
    return [
        (one.idle if one else nothing, base.idle if base else nothing),
        (one.above if one else nothing, base.above if base else nothing),
    ]


def restates_time(one: ModelShares | None, base: ModelShares | None) -> bool:
    """Whether a ratio of modelled joules is that of times (and numbers of boards), and no second result.

    Args:
        one: The shares over the line; None: measured.
        base: Those under it.

    Returns:
        True where both have the same idle share on boards of the same classes.
    """
    if one is None or base is None or set(one.idle) != set(base.idle):
        return False
    return all(abs(a[name] - b[name]) <= SAME_SHARES for a, b in _pairs(one, base) for name in a)


def widened(ratio: Ratio, u: float) -> Ratio:
    """A ratio with the uncertainty of the models in its interval.

    The distances of the logarithms to the ends of the interval and 1.96 u add in quadrature, as they are independent.

    Args:
        ratio: Of joules, by the repeats alone.
        u: From ``ratio_u``.

    Returns:
        A copy; the same ratio where it has no interval or ``u`` is 0.
    """
    if ratio.low is None or ratio.high is None or u == 0:
        return ratio
    down, up = (math.hypot(math.log(ratio.ratio / bound), COVERAGE_FACTOR * u) for bound in (ratio.low, ratio.high))
    low, high = ratio.ratio * math.exp(-down), ratio.ratio * math.exp(up)
    return replace(ratio, low=low, high=high, method=f"{ratio.method}, widened by the model's {100 * u:.2g} %")
