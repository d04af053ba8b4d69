"""What an inventory says of a meter and of the parts that are no hosts. Light imports: the sampler process reads this too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class MeterEntry:
    """A meter: its kind (``source``), the hosts behind it, the other parts behind it, and the host that reads it.

    ``settings`` are the kind's own, such as ``address``; the class of the meter says which there are.
    """

    source: str
    hosts: tuple[str, ...]
    includes: tuple[str, ...]
    reader: str
    settings: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """One flat block, as it stands in an inventory."""
        return {
            "source": self.source,
            "hosts": list(self.hosts),
            "includes": list(self.includes),
            "reader": self.reader,
            **self.settings,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> MeterEntry:
        """The entry that ``to_dict`` wrote.

        Args:
            values: Its keys and values; those that are no field are the meter's settings.

        Returns:
            The entry.
        """
        settings = {key: value for key, value in values.items() if key not in MEMBERS}
        return cls(values["source"], tuple(values["hosts"]), tuple(values["includes"]), values["reader"], settings)


MEMBERS = ("source", "hosts", "includes", "reader")
"""The keys of an entry that every kind of meter has."""


@dataclass(frozen=True)
class OtherPart:
    """A part that is no host, such as a switch.

    It is estimated (``power_W`` in watts, and its ``source``), measured inside of a ``meter``, or neither.
    """

    power_W: float | None
    source: str | None
    meter: str | None
