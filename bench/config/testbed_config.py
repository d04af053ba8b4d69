"""Emulated boards of a point: their links, shares of the processor and memory."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Link:
    """A full-duplex link: its rate in each direction, and what only netem can do: one-way delay and share of lost packets."""

    name: str
    rate_bit_s: float
    delay_s: float | None = None
    loss: float | None = None


@dataclass(frozen=True)
class Board:
    """An emulated board. ``quota_cores`` of this machine's processor (null: all of it); ``memory_bytes`` (null: no limit)."""

    name: str
    address: str
    board: str
    link: Link
    switch: str | None = None
    quota_cores: float | None = None
    memory_bytes: int | None = None


@dataclass(frozen=True)
class Wiring:
    """The part of a testbed that cannot be changed while it is up: boards have a name, an address and a switch each."""

    name: str
    network: str
    boards: tuple[tuple[str, str, str | None], ...]
    uplink: bool


@dataclass(frozen=True)
class Testbed:
    """All boards of a cluster, the network that they share, and what turned their speeds into quotas.

    ``scale_cores`` are the cores of a board of speed 1.0 (null: no quotas); ``cores`` those of this machine.
    """

    name: str
    network: str
    boards: tuple[Board, ...]
    uplink: Link | None
    cores: int
    scale_cores: float | None

    @property
    def switches(self) -> list[str | None]:
        """In the order of the boards; the first is the middle of the star that the uplinks make."""
        return list(dict.fromkeys(board.switch for board in self.boards))

    @property
    def launch_address(self) -> str:
        """The address of this machine among the boards: the last of the network."""
        return str(ipaddress.IPv4Network(self.network)[-2])

    @property
    def wiring(self) -> Wiring:
        """The part that cannot be changed while the testbed is up."""
        boards = tuple((board.name, board.address, board.switch) for board in self.boards)
        return Wiring(self.name, self.network, boards, self.uplink is not None)

    def to_dict(self) -> dict[str, Any]:
        """The testbed as JSON has it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Testbed:
        """A testbed as ``to_dict`` wrote it.

        Args:
            values: The JSON object.

        Returns:
            The same testbed.
        """
        boards = tuple(Board(**{**board, "link": Link(**board["link"])}) for board in values["boards"])
        uplink = None if values["uplink"] is None else Link(**values["uplink"])
        return cls(**{**values, "boards": boards, "uplink": uplink})
