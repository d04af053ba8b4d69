"""A number that says where it is from, as the descriptions of boards and links have them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class SourcedNumber:
    """A value in the unit that its key names, the page or derivation it is from, and for a peak rate the device."""

    value: float
    source: str
    device: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The plain values, as they stand in a description."""
        return {key: value for key, value in self.__dict__.items() if value is not None}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any] | None) -> SourcedNumber | None:
        """The number that ``to_dict`` wrote.

        Args:
            values: ``value``, ``source`` and perhaps ``device``; None: not known.

        Returns:
            The number; None for None.
        """
        return None if values is None else cls(**values)
