"""The most that hosts can draw, and where that is known from: what a reading must stay below."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.joules.cover import Part
from bench.joules.metered_parts import OtherPart

SUPPLY_LOSSES = 1.25
"""A limit is what a board's supply can give; at the wall a supply of 80 % takes so many times that."""
DESCRIBING = (".yaml", ".yml")
"""Inventories give each host its class; a plain hostfile cannot, and its hosts get the cluster's."""
MOST_HOST_W = 15e3
"""Above the largest servers: a DGX B200 is specified with 14.3 kW."""


@dataclass(frozen=True)
class HostLimit:
    """The most that a host can draw, W, by its board class.

    ``stated`` tells whether the inventory gives the class; one that only stands for hosts that nobody described says little
    about them.
    """

    watts: float
    board: str
    stated: bool


@dataclass(frozen=True)
class PartLimit:
    """The most that all hosts of a part can draw together, W; ``words`` say whose limit that is."""

    watts: float
    words: str
    stated: bool
    hosts: int

    def fails(self, watts: float) -> bool:
        """Whether a reading beyond the limit cannot be.

        Args:
            watts: The reading, W.

        Returns:
            False where the class is a stand-in and a large server could draw it.
        """
        return self.stated or watts > MOST_HOST_W * self.hosts


def limit_of(part: Part, limits: Mapping[str, HostLimit], others: Sequence[OtherPart]) -> PartLimit | None:
    """The limit of a part: of all hosts behind its meter, and of what else is behind it.

    Args:
        part: The part of the total.
        limits: The limit of each host, by its name.
        others: Parts that are no hosts and may be behind a meter.

    Returns:
        The limit; None where that of a host or of another part is not known.
    """
    trace = part.curves[0].trace
    hosts = trace.covers if trace.meter is not None else part.hosts
    known = [limits[host] for host in hosts if host in limits]
    included = [other.power_W for other in others if trace.meter is not None and trace.meter in other.meters]
    if len(known) < len(hosts) or not known or None in included:
        return None
    watts = SUPPLY_LOSSES * (math.fsum(one.watts for one in known) + math.fsum(power or 0.0 for power in included))
    classes = ", ".join(sorted({f"{one.board} {one.watts:g} W" for one in known}))
    stated = all(one.stated for one in known)
    standing_in = "" if stated else " (the class stands in for hosts that the hostfile does not describe)"
    words = f"its limit is {watts:.4g} W, {SUPPLY_LOSSES:g} x that of its class ({classes}){standing_in}"
    return PartLimit(watts, words, stated, len(hosts))
