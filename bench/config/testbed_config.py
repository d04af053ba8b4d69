"""Emulated boards of a point: their links, shares of the processor and memory, and how their time is dilated."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.config import config_json
from bench.config.config_field import setting
from bench.config.dilation_config import TrainingTarget


@dataclass(frozen=True)
class Link:
    """A full-duplex link: its rate in each direction, and what only netem can do: one-way delay and share of lost packets."""

    name: str
    rate_bit_s: float
    delay_s: float | None = None
    loss: float | None = None


@dataclass(frozen=True)
class Board:
    """An emulated board. ``quota_cores`` of this machine's processor (null: all of it); ``memory_bytes`` (null: no limit).

    ``target`` is the training rate that it stands for, where the dilation follows from the classes.
    """

    name: str
    address: str
    board: str
    link: Link
    switch: str | None = None
    quota_cores: float | None = None
    memory_bytes: int | None = None
    target: TrainingTarget | None = setting(None, "the training rate that the board stands for", absent=True)


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

    ``scale_cores`` are the cores of a board of speed 1.0 (null: no quotas); ``cores`` those of this machine. ``dilation`` is
    ``class`` or a number, null for none; ``latency_s`` that of the slowest link's description, one way (null: not known).
    ``cpus`` are the processors that the boards run on (null: all of the machine's).
    ``factor`` is set of boards that are up with dilated links: then rates, delays and quotas are those of this machine's time.
    """

    name: str
    network: str
    boards: tuple[Board, ...]
    uplink: Link | None
    cores: int
    scale_cores: float | None
    dilation: str | float | None = setting(None, "class, or seconds of this machine for one of the boards", absent=True)
    latency_s: float | None = setting(None, "latency of the links' descriptions, one way", absent=True)
    factor: float | None = setting(None, "the dilation of boards that are up", absent=True)
    cpus: tuple[int, ...] | None = setting(None, "processors of this machine that boards are confined to", absent=True)

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
        return config_json.to_json(self)  # type: ignore[no-any-return]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Testbed:
        """A testbed as ``to_dict`` wrote it.

        Args:
            values: The JSON object.

        Returns:
            The same testbed.

        Raises:
            UserError: It was written by another version.
        """
        return config_json.from_json(cls, values, "the testbed")
