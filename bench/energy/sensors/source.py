"""What a source is, and which ones a host uses."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from bench.common.user_error import UserError
from bench.joules.channel import Channel, Kind
from strategies.common.registry import Registry, unknown_name

Opener = Callable[[Path], int]
WHOLE = ("auto", "measured")
"""Choices of ``energy.source`` that stand for everything a host has, with and without the modelled source."""


def open_for_reading(path: Path) -> int:
    return os.open(path, os.O_RDONLY)


class SourceUnavailable(Exception):
    """This host does not have the source, or does not let us read it; the message says why and what to do."""


@dataclass(frozen=True)
class Place:
    """Where a source opens: ``root`` (a real ``/``, or a tree in a test), the board's description, and for a meter its
    settings in the inventory (``address`` and what the meter needs). ``opener`` opens files for reading."""

    root: Path
    board: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    opener: Opener = open_for_reading


class Source(ABC):
    """Reads raw integers. ``open`` finds what is there; a meter is reached by its settings."""

    name: ClassVar[str]
    kind: ClassVar[Kind]
    rank: ClassVar[int]
    """``energy=auto`` tries sources in this order."""
    sensor: ClassVar[str]
    """What is read. Of several sources with one sensor the first is used, others asked for by name are cross-checks."""
    period_s: float = 0.05
    """How often to read it."""
    automatic: ClassVar[bool] = True
    """``energy=auto`` may choose it."""
    settings: ClassVar[Mapping[str, str]] = {}
    """A meter's settings and what they mean; empty for a source of the host itself."""
    not_measured: tuple[str, ...] = ()
    channels: tuple[Channel, ...]

    @classmethod
    @abstractmethod
    def open(cls, place: Place) -> Source:
        """Raises SourceUnavailable with one line: what was wrong, what was found, what to do."""

    @abstractmethod
    def read(self) -> list[int]:
        """One raw integer for each channel. Raises OSError or ValueError when the source fails."""

    @abstractmethod
    def close(self) -> None:
        """Give files and connections back."""


_SOURCES: Registry[type[Source]] = Registry(
    "energy source", "bench.energy.sensors", "edgejoule.sensors", order=lambda source: source.rank, error=UserError
)
register = _SOURCES.register
registered = _SOURCES.all
"""Every source by name, the preferred first."""


def meters() -> dict[str, type[Source]]:
    """The sources that are external meters, by name."""
    return {name: source for name, source in registered().items() if source.settings}


def on_board() -> dict[str, type[Source]]:
    """The sources that a host has itself, by name, the preferred first."""
    return {name: source for name, source in registered().items() if not source.settings}


def check_name(wanted: str) -> None:
    """UserError for a name that ``energy.source`` cannot have."""
    known = [*WHOLE, "none", "meters", *on_board()]
    if wanted in meters():
        raise UserError(
            f"energy.source={wanted} is a meter: describe it under meters: in the inventory or energy.meters and use "
            "energy=meters or energy=auto"
        )
    if wanted not in known:
        raise UserError(unknown_name("energy.source", wanted, known))


@dataclass(frozen=True)
class Opened:
    """A source at work. ``check_of`` names the source of this host that reads the same sensor, ``meter`` its name."""

    source: Source
    meter: str | None = None
    check_of: str | None = None


def select(wanted: Sequence[str], place: Place, metered: bool = False) -> tuple[list[Opened], list[dict[str, str]]]:
    """The host's own sources to read, and what was left out and why.

    ``auto`` takes every measured source that this host has, one for each sensor, and the modelled one where there is
    none and no meter (``metered``) either; ``measured`` never takes the modelled one. A source asked for by name is
    never replaced by another: UserError says why it cannot be read.
    """
    if wanted[0] in WHOLE:
        return _everything(wanted[0], place, metered)
    known, opened = on_board(), list[Opened]()
    try:
        for name in wanted:
            first = next((o.source.name for o in opened if o.source.sensor == known[name].sensor), None)
            opened.append(Opened(known[name].open(place), check_of=first))
    except SourceUnavailable as why:
        for found in opened:
            found.source.close()
        raise UserError(f"energy={name} cannot be read: {why}") from None
    return opened, []


def _everything(wanted: str, place: Place, metered: bool) -> tuple[list[Opened], list[dict[str, str]]]:
    opened: list[Opened] = []
    left_out: list[dict[str, str]] = []
    for name, source in on_board().items():
        taken = next((o.source.name for o in opened if o.source.sensor == source.sensor), None)
        if source.kind == "modelled" and (wanted == "measured" or opened or metered):
            why = "energy=measured never models" if wanted == "measured" else "there is another source"
        elif not source.automatic:
            why = f"only by name (energy.source={name})"
        elif taken:
            why = f"{taken} reads the same"
        else:
            try:
                opened.append(Opened(source.open(place)))
                continue
            except SourceUnavailable as problem:
                why = str(problem)
        left_out.append({"source": name, "why": why})
    if not opened and not metered:
        raise UserError("no energy source on this host: " + "; ".join(f"{o['source']}: {o['why']}" for o in left_out))
    return opened, left_out


def open_meter(name: str, settings: Mapping[str, Any], place: Place) -> Opened:
    """The meter ``name`` of the inventory. Raises UserError when it cannot be reached."""
    try:
        source = meters()[settings["source"]].open(Place(place.root, place.board, settings, place.opener))
    except SourceUnavailable as why:
        at = next((settings[key] for key in ("address", "resource", "command") if key in settings), "?")
        raise UserError(f"meter {name} ({settings['source']} at {at}) cannot be read: {why}") from None
    return Opened(source, meter=name)
