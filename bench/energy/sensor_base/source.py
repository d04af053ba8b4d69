"""The base class of every sensor and meter, and the registry of them all."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from bench.cluster.board_class import BoardClass
from bench.common.user_error import UserError
from bench.joules.channel import Channel, Kind
from strategies.common.registry import Registry

Opener = Callable[[Path], int]
Settings = Mapping[str, Any]
"""A meter's entry in the inventory, without the keys that every meter has: values are checked by the meter."""


def open_for_reading(path: Path) -> int:
    """Open a file for reading.

    Args:
        path: The file.

    Returns:
        Its descriptor.

    Raises:
        OSError: It cannot be opened.
    """
    return os.open(path, os.O_RDONLY)


class SourceUnavailable(Exception):
    """This host does not have the source, or does not let us read it; the message says why and what to do."""


@dataclass(frozen=True)
class Place:
    """Where a source opens.

    ``root`` is a real ``/``, or a tree in a test; ``board`` describes the host's class. A meter has its ``settings`` in the
    inventory, such as ``address``. ``opener`` opens files for reading.
    """

    root: Path
    board: BoardClass = field(default_factory=lambda: BoardClass("unknown"))
    settings: Settings = field(default_factory=dict)
    opener: Opener = open_for_reading


class Source(ABC):
    """A sensor or a meter: ``open`` finds what is there, ``read`` gives raw integers, one for each of ``channels``.

    Joules and watts are made of them later (``bench.joules``): the reader of a source stays simple.
    """

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
    failed_parts: Mapping[str, int] = {}
    """How many readings failed of channels that others have inside (``part_readings``)."""
    taken_ns: int | None = None
    """When the last reading was taken, in ns of this host's monotonic clock; None: while it was read."""

    @classmethod
    @abstractmethod
    def open(cls, place: Place) -> Source:
        """Open the source on this host.

        Args:
            place: The root of sys and proc, the board, and a meter's settings.

        Returns:
            The source, ready to be read.

        Raises:
            SourceUnavailable: With one line: what was wrong, what was found, what to do.
        """

    @abstractmethod
    def read(self) -> list[int]:
        """Read all channels once.

        Returns:
            One raw integer for each channel.

        Raises:
            OSError: The source fails.
            ValueError: The source gives something that is no number.
        """

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
