"""The place and the look of every strategy in figures and tables: as the strategy itself says (``strategies.base``).

Records may name a strategy that is not installed here. It comes last, with a look that depends on its name alone, so that it is
the same in every figure of every study.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence

from strategies.base import appearances
from strategies.common.appearance import LAST, SPARE_COLOURS, SPARE_HATCHES, SPARE_MARKERS, Appearance


def appearance_of(strategy: str) -> Appearance:
    """The look of a strategy.

    Args:
        strategy: Its name, which need not be registered.

    Returns:
        Its own, or a spare one that follows from the name alone.
    """
    known = appearances()
    if strategy in known:
        return known[strategy]
    number = zlib.crc32(strategy.encode())  # the same in every process, unlike a hash of Python
    colours = _unused(SPARE_COLOURS, (look.colour for look in known.values()))
    markers = _unused(SPARE_MARKERS, (look.marker for look in known.values()))
    hatches = _unused(SPARE_HATCHES, (look.hatch for look in known.values()))
    return Appearance(
        order=LAST + 1,
        colour=colours[number % len(colours)],
        marker=markers[number // 8 % len(markers)],
        hatch=hatches[number // 64 % len(hatches)],
        label=strategy,
    )


def place(strategy: str) -> tuple[int, str]:
    """The key by which strategies are sorted in figures and tables.

    Args:
        strategy: Its name, which need not be registered.

    Returns:
        Order and name; those that are not registered come last, by name.
    """
    return appearance_of(strategy).order, strategy


def _unused(spare: Sequence[str], used: Iterable[str]) -> list[str]:
    """The spare looks that no registered strategy has; all where every one is used."""
    looks_in_use = set(used)
    return [look for look in spare if look not in looks_in_use] or list(spare)
