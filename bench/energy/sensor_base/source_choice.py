"""Which sources of a host are read: the choices of ``energy.source``, cross-checks, and meters by their entries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.common.user_error import UserError
from bench.energy.sensor_base.source import Place, Source, SourceUnavailable, meters, on_board
from strategies.common.registry import unknown_name

WHOLE = ("auto", "measured")
"""Choices of ``energy.source`` that stand for everything a host has, with and without the modelled source."""


def check_name(name: str) -> None:
    """Check a name that ``energy.source`` was given.

    Args:
        name: The name.

    Raises:
        UserError: No source of a board has it.
    """
    known = [*WHOLE, "none", "meters", *on_board()]
    if name in meters():
        raise UserError(
            f"energy.source={name} is a meter: describe it under meters: in the inventory or energy.meters and use "
            "energy=meters or energy=auto"
        )
    if name not in known:
        raise UserError(unknown_name("energy.source", name, known))


@dataclass(frozen=True)
class OpenedSource:
    """A source at work. ``check_of`` names the source of this host that reads the same sensor, ``meter`` its name."""

    source: Source
    meter: str | None = None
    check_of: str | None = None


def select(names: Sequence[str], place: Place, metered: bool = False) -> tuple[list[OpenedSource], list[dict[str, str]]]:
    """Open the host's own sources.

    ``auto`` takes every measured source that this host has, one for each sensor, and the modelled one where there is
    none and no meter either; ``measured`` never takes the modelled one. A source asked for by name is never replaced by
    another.

    Args:
        names: ``auto`` or ``measured`` alone, or names of sources.
        place: Where the sources open.
        metered: Whether a meter has this host's energy.

    Returns:
        The open sources, and what was left out: ``source`` and ``why``.

    Raises:
        UserError: A source asked for by name cannot be read, or the host has none.
    """
    if names[0] in WHOLE:
        return _everything(names[0], place, metered)
    known, opened = on_board(), list[OpenedSource]()
    try:
        for name in names:
            first = next((o.source.name for o in opened if o.source.sensor == known[name].sensor), None)
            opened.append(OpenedSource(known[name].open(place), check_of=first))
    except SourceUnavailable as why:
        for one in opened:
            one.source.close()
        raise UserError(f"energy={name} cannot be read: {why}") from None
    return opened, []


def _everything(choice: str, place: Place, metered: bool) -> tuple[list[OpenedSource], list[dict[str, str]]]:
    opened: list[OpenedSource] = []
    left_out: list[dict[str, str]] = []
    for name, source in on_board().items():
        same_sensor = next((o.source.name for o in opened if o.source.sensor == source.sensor), None)
        if source.kind == "modelled" and (choice == "measured" or opened or metered):
            why = "energy=measured never models" if choice == "measured" else "there is another source"
        elif not source.automatic:
            why = f"only by name (energy.source={name})"
        elif same_sensor:
            why = f"{same_sensor} reads the same"
        else:
            try:
                opened.append(OpenedSource(source.open(place)))
                continue
            except SourceUnavailable as problem:
                why = str(problem)
        left_out.append({"source": name, "why": why})
    if not opened and not metered:
        raise UserError("no energy source on this host: " + "; ".join(f"{o['source']}: {o['why']}" for o in left_out))
    return opened, left_out


def open_meter(name: str, settings: Mapping[str, Any], place: Place) -> OpenedSource:
    """Open a meter by its settings in the inventory.

    Args:
        name: The meter's name.
        settings: Its entry; ``source`` names the kind.
        place: The root of sys and proc, and the board.

    Returns:
        The meter, ready to be read.

    Raises:
        UserError: It cannot be reached.
    """
    try:
        source = meters()[settings["source"]].open(Place(place.root, place.board, settings, place.opener))
    except SourceUnavailable as why:
        address = next((settings[key] for key in ("address", "resource", "command", "url") if key in settings), "?")
        raise UserError(f"meter {name} ({settings['source']} at {address}) cannot be read: {why}") from None
    return OpenedSource(source, meter=name)
