"""The powers that were read while ranks waited: what rank 0 hands to the command."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class WaitingSegment:
    """One state in one round.

    ``ranks`` wait as ``wait`` says (None: all are idle). ``watts`` are of the host, with the random standard uncertainty
    ``random_u_W`` and the relative systematic one. ``cores`` are those that one waiting rank (idle: any) used,
    ``cores_wanted`` those that it would have used on a free machine.
    """

    state: str
    wait: str | None
    ranks: int
    round: int
    watts: float
    random_u_W: float
    systematic: float
    quality: str
    cores: float
    cores_wanted: float


@dataclass(frozen=True)
class WaitingReadings:
    """All segments, and how they were read: kind and name of the source, where its channels sit, what they do not have."""

    kind: str
    source: str
    levels: tuple[str, ...]
    not_measured: tuple[str, ...]
    segments: tuple[WaitingSegment, ...]

    def to_dict(self) -> dict[str, Any]:
        """The plain values, for JSON."""
        return {
            "kind": self.kind,
            "source": self.source,
            "levels": list(self.levels),
            "not_measured": list(self.not_measured),
            "segments": [asdict(segment) for segment in self.segments],
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> WaitingReadings:
        """The readings that ``to_dict`` wrote.

        Args:
            values: Its keys and values, read back from JSON.

        Returns:
            The same readings.
        """
        return cls(
            values["kind"],
            values["source"],
            tuple(values["levels"]),
            tuple(values["not_measured"]),
            tuple(WaitingSegment(**segment) for segment in values["segments"]),
        )
