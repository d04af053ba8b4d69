"""What a source reads, and a host's readings. Light imports: the sampler process uses this too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Kind = Literal["measured", "modelled"]


@dataclass(frozen=True)
class Channel:
    """One integer that a source reads.

    ``kind`` is ``counter`` (energy grows with the raw value: joules = scale * difference) or ``power`` (watts = scale *
    raw). ``modulus`` is the raw value at which a counter starts again (None: it does not). ``update_period_s`` is how
    often the hardware renews it, ``lsb`` its smallest step in raw units, ``accuracy`` its relative error (None:
    unknown). ``baseline_W`` is added for the time that passes (modelled sources: the idle power). ``scope`` says in
    words what is inside, ``contains`` lists the ids of channels whose energy is part of this one.
    """

    id: str
    kind: Literal["counter", "power"]
    scale: float
    scope: str
    modulus: int | None = None
    update_period_s: float = 0.0
    lsb: float = 1.0
    accuracy: float | None = None
    contains: tuple[str, ...] = ()
    baseline_W: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "contains": list(self.contains)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Channel:
        return cls(**{**values, "contains": tuple(values["contains"])})


def cover(channels: Sequence[Channel]) -> list[int]:
    """Indices of the channels that make the total: those that no other channel contains, so nothing counts twice."""
    inside = {name for channel in channels for name in channel.contains}
    return [index for index, channel in enumerate(channels) if channel.id not in inside]


@dataclass(frozen=True)
class HostTrace:
    """All readings of one host. Times are CLOCK_MONOTONIC ns of that host, read before and after each reading.

    ``raw`` is int64 [samples, channels]. Nothing here is ever changed: joules are functions of it.
    """

    host: str
    boot_id: str
    board: str
    source: str
    kind: Kind
    period_s: float
    channels: tuple[Channel, ...]
    t_before_ns: NDArray[np.int64]
    t_after_ns: NDArray[np.int64]
    raw: NDArray[np.int64]
    left_out: tuple[dict[str, str], ...] = ()
    not_measured: tuple[str, ...] = ()
    cpu_s: float = 0.0
    errors: int = 0
    rank: int = 0
    """A rank on this host: its clock correction is the host's."""
    label: str = field(default="")
    """The host's name in the inventory, where it differs from ``host``."""
