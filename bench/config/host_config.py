"""One host of an inventory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from bench.config.config_field import setting


@dataclass(frozen=True)
class Host:
    """One machine.

    ``slots`` are the ranks it takes; ``python`` (null: the same as here) must be the same path wherever it is null;
    ``threads`` (null: cores / slots) are those of one rank.

    ``user`` logs in over ssh (null: as ssh says). ``env`` are variables of this host's ranks alone.
    ``device`` (cpu or gpu) says which device of its class an emulated board stands for.
    ``link`` (a file in conf/link) and ``switch`` say how it is connected, ``speed`` how fast it computes, 1.0 for the
    fastest (null: from its board class). ``memory_bytes`` limits an emulated board.
    """

    address: str
    slots: int = 1
    board: str = ""
    python: str | None = None
    threads: int | None = None
    name: str | None = None
    link: str | None = None
    switch: str | None = None
    speed: float | None = None
    memory_bytes: int | None = None
    user: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    device: str | None = setting(None, "device that an emulated board stands for: cpu or gpu", absent=True)

    @property
    def label(self) -> str:
        """The name, or the address of a host without one: how tables, meters and records call it."""
        return self.name or self.address

    @property
    def login(self) -> str:
        """As ssh takes it: ``user@address``, or the address."""
        return f"{self.user}@{self.address}" if self.user else self.address

    def to_dict(self) -> dict[str, Any]:
        """The host as JSON has it."""
        return asdict(self)
