"""What a source is, and which one a host uses."""

from __future__ import annotations

import difflib
import importlib
import os
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from bench.energy.channel import Channel, Kind
from bench.errors import UserError

Opener = Callable[[Path], int]


def open_for_reading(path: Path) -> int:
    return os.open(path, os.O_RDONLY)


class SourceUnavailable(Exception):
    """This host does not have the source, or does not let us read it; the message says why and what to do."""


class Source(ABC):
    """Reads raw integers. ``open`` finds what is there under ``root`` (a real ``/``, or a tree in a test)."""

    name: ClassVar[str]
    kind: ClassVar[Kind]
    rank: ClassVar[int]
    """``energy=auto`` takes the available source of the lowest rank."""
    not_measured: ClassVar[tuple[str, ...]] = ()
    channels: tuple[Channel, ...]

    @classmethod
    @abstractmethod
    def open(cls, root: Path, board: Mapping[str, Any], opener: Opener = open_for_reading) -> Source:
        """Raises SourceUnavailable."""

    @abstractmethod
    def read(self) -> list[int]:
        """One raw integer for each channel. Raises OSError or ValueError when the source fails."""

    @abstractmethod
    def close(self) -> None:
        """Give files back."""


_found: dict[str, type[Source]] = {}


def register(source: type[Source]) -> type[Source]:
    _found[source.name] = source
    return source


def registered() -> dict[str, type[Source]]:
    """Every source of the package by name, the preferred first."""
    import bench.energy.sources as package

    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
    return dict(sorted(_found.items(), key=lambda item: item[1].rank))


def select(
    wanted: str, board: Mapping[str, Any], root: Path, opener: Opener = open_for_reading
) -> tuple[Source, list[dict[str, str]]]:
    """The source to use, and what was left out and why.

    ``auto`` takes the best that this host has. A source asked for by name is never replaced by another: UserError says
    why it cannot be read.
    """
    known = registered()
    if wanted != "auto":
        if wanted not in known:
            near = difflib.get_close_matches(wanted, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise UserError(f"unknown energy source {wanted}; known are auto, none, {', '.join(known)}{hint}")
        try:
            return known[wanted].open(root, board, opener), []
        except SourceUnavailable as why:
            raise UserError(f"energy={wanted} cannot be read: {why}") from None
    left_out: list[dict[str, str]] = []
    for name, source in known.items():
        try:
            return source.open(root, board, opener), left_out
        except SourceUnavailable as why:
            left_out.append({"source": name, "why": str(why)})
    raise UserError("no energy source on this host: " + "; ".join(f"{o['source']}: {o['why']}" for o in left_out))
