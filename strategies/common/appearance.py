"""How a strategy is drawn. Said by the strategy itself, so that figures need no table of names; nothing is drawn here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

LAST = 1000
"""The place of a strategy that gives none: behind those that do, by name."""
SPARE_COLOURS = ("#F0E442", "#332288", "#882255", "#999933", "#AA4499", "#117733", "#88CCEE", "#CC6677")
"""Colours of strategies that give none: the last of Okabe and Ito's, then Paul Tol's muted ones."""
SPARE_MARKERS = ("X", "<", ">", "p", "h", "d", "8", "H")
SPARE_HATCHES = ("--", "||", "**", "OO", "xx", "//", "..", "++")


@dataclass(frozen=True)
class Appearance:
    """The place and the look of one strategy in figures and tables.

    Attributes:
        order: Its place among the strategies, ascending.
        colour: ``#RRGGBB``; together with the others told apart by people with any colour vision.
        marker: Matplotlib's letter of a marker.
        hatch: Matplotlib's pattern of a bar.
        label: Its short name.
    """

    order: int
    colour: str
    marker: str
    hatch: str
    label: str


def with_defaults(declared: Mapping[str, Appearance | None]) -> dict[str, Appearance]:
    """The appearance of every strategy, in order: as declared, or the first spare look that no other strategy has.

    Args:
        declared: By name; None for a strategy that says nothing.

    Returns:
        The same for the same names, whatever their order.
    """
    looks = {name: appearance for name, appearance in declared.items() if appearance is not None}
    for name in sorted(set(declared) - set(looks)):
        others = list(looks.values())
        colour = _first_unused(SPARE_COLOURS, {look.colour for look in others}, name)
        marker = _first_unused(SPARE_MARKERS, {look.marker for look in others}, name)
        hatch = _first_unused(SPARE_HATCHES, {look.hatch for look in others}, name)
        looks[name] = Appearance(LAST, colour, marker, hatch, name)
    return dict(sorted(looks.items(), key=lambda item: (item[1].order, item[0])))


def _first_unused(choices: tuple[str, ...], used: set[str], name: str) -> str:
    """The first choice that is not used; where all are, one that depends on the name alone."""
    free = [choice for choice in choices if choice not in used]
    return free[0] if free else choices[sum(name.encode()) % len(choices)]
