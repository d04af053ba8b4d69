"""The lines of JSON between a sampler process and its parent: the order at its start and the answer to it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from bench.cluster.board_class import BoardClass
from bench.energy.sampling.meter_entry import MeterEntry
from bench.joules.channel import Channel, Kind


@dataclass(frozen=True)
class SamplerOrder:
    """Tells a sampler process which sources to read.

    ``sources`` are names, or ``auto`` or ``measured``, or nothing; ``meters`` the meters that this host
    reads, by name; ``metered`` whether a meter, read here or elsewhere, has this host's energy. ``board`` describes the
    host's class, ``root`` is that of its sys and proc. ``period_s`` None leaves each source its own.
    """

    sources: tuple[str, ...]
    board: BoardClass
    root: str
    period_s: float | None
    meters: Mapping[str, MeterEntry]
    metered: bool

    def to_json(self) -> str:
        """The order as one line."""
        meters = {name: meter.to_dict() for name, meter in self.meters.items()}
        return json.dumps({**self.__dict__, "board": self.board.to_dict(), "meters": meters})

    @classmethod
    def from_json(cls, line: str) -> SamplerOrder:
        """The order that ``to_json`` wrote.

        Args:
            line: One line of JSON.

        Returns:
            The order.
        """
        values = json.loads(line)
        meters = {name: MeterEntry.from_dict(meter) for name, meter in values["meters"].items()}
        return cls(
            **{**values, "sources": tuple(values["sources"]), "board": BoardClass.from_dict(values["board"]), "meters": meters}
        )


@dataclass(frozen=True)
class SourceBeingRead:
    """A source that the sampler process reads: ``meter`` and ``check_of`` are those of a ``Trace``."""

    source: str
    kind: Kind
    meter: str | None
    check_of: str | None
    period_s: float
    channels: tuple[Channel, ...]
    not_measured: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The plain values that the answer carries."""
        return {**self.__dict__, "channels": [asdict(channel) for channel in self.channels]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SourceBeingRead:
        """The source that ``to_dict`` wrote.

        Args:
            values: Its keys and values, read back from JSON.

        Returns:
            The source with its channels.
        """
        channels = tuple(Channel(**{**channel, "contains": tuple(channel["contains"])}) for channel in values["channels"])
        return cls(**{**values, "channels": channels, "not_measured": tuple(values["not_measured"])})


@dataclass(frozen=True)
class SamplerAnswer:
    """Comes when the first readings stand: the sources that are read, and those that were left out, each with the reason."""

    sources: tuple[SourceBeingRead, ...]
    left_out: tuple[dict[str, str], ...]

    def to_dict(self) -> dict[str, Any]:
        """The plain values that the line carries."""
        return {"sources": [source.to_dict() for source in self.sources], "left_out": list(self.left_out)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SamplerAnswer:
        """The answer that ``to_dict`` wrote.

        Args:
            values: Its keys and values, read back from JSON.

        Returns:
            The answer.
        """
        return cls(tuple(SourceBeingRead.from_dict(source) for source in values["sources"]), tuple(values["left_out"]))


@dataclass(frozen=True)
class SamplerEnd:
    """Comes before the readings themselves: how many integers each source has, failed readings, processor seconds."""

    values: tuple[int, ...]
    errors: tuple[int, ...]
    cpu_s: float
    failed_parts: tuple[dict[str, int], ...] = ()
    """Of each source, how many readings failed of channels that others have inside."""
