"""What a source reads, and a host's readings. Light imports: the sampler process uses this too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Kind = Literal["measured", "modelled"]
Level = Literal["wall", "board", "package", "component"]
EVERYTHING = "*"


@dataclass(frozen=True)
class Channel:
    """One integer that a source reads.

    ``kind`` is ``counter`` (energy grows with the raw value: joules = scale * difference) or ``power`` (watts = scale *
    raw). ``modulus`` is the raw value at which a counter starts again (None: it does not). ``update_period_s`` is how
    often the hardware renews it, ``lsb`` its smallest step in raw units, ``accuracy`` its relative error (standard
    uncertainty; None: unknown), ``noise_W`` the standard deviation of one power reading. ``baseline_W`` is added for
    the time that passes (modelled sources: the idle power). ``level`` says where it sits: before the power supply
    (wall), at the board's input (board), at a processor or module (package), or at a part of one (component).
    ``scope`` says in words what is inside, ``contains`` lists the ids of channels of the same source whose energy is
    part of this one; ``*`` stands for all other channels of the hosts that it covers, of any source. ``model_u`` is the
    relative standard uncertainty of the model that makes joules of it (None: measured). ``may_stand`` says that a
    counter may stand still (bytes: there may be none).
    """

    id: str
    kind: Literal["counter", "power"]
    scale: float
    scope: str
    level: Level = "package"
    modulus: int | None = None
    update_period_s: float = 0.0
    lsb: float = 1.0
    accuracy: float | None = None
    noise_W: float = 0.0
    contains: tuple[str, ...] = ()
    baseline_W: float = 0.0
    model_u: float | None = None
    may_stand: bool = False


def cover(channels: Sequence[Channel]) -> list[int]:
    """The channels that make the total: those that no other channel contains, so nothing counts twice.

    Args:
        channels: All channels of a source.

    Returns:
        Their indices, in order.
    """
    whole = [index for index, channel in enumerate(channels) if EVERYTHING in channel.contains]
    if whole:
        return whole[:1]
    inside = {name for channel in channels for name in channel.contains}
    return [index for index, channel in enumerate(channels) if channel.id not in inside]


@dataclass(frozen=True)
class Calibration:
    """A sensor against a better meter: ``watts = gain * sensor + offset_W``.

    ``gain_u`` and ``offset_u_W`` are standard uncertainties, ``covariance`` is theirs. ``against`` names the meter, ``scope``
    and ``level`` say what the corrected value contains and where, ``made`` is the day.
    """

    gain: float
    offset_W: float
    gain_u: float
    offset_u_W: float
    covariance: float
    against: str
    scope: str
    made: str
    level: Level = "wall"


@dataclass(frozen=True)
class Trace:
    """All readings of one source on one host. Times are CLOCK_MONOTONIC ns of that host, before and after each reading.

    ``raw`` is int64 [samples, channels]. Nothing here is ever changed: joules are functions of it. ``covers`` are the
    hosts whose energy it has, by their names in the inventory: the host itself, or those on a meter. ``check_of``
    names the source that reads the same sensor another way: then this trace is a cross-check and in no total.
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
    label: str = ""
    """The host's name in the inventory."""
    covers: tuple[str, ...] = ()
    meter: str | None = None
    """The meter's name in the inventory; None for a source of the host itself."""
    check_of: str | None = None
    calibration: Calibration | None = None
    left_out: tuple[dict[str, str], ...] = ()
    not_measured: tuple[str, ...] = ()
    cpu_s: float = 0.0
    errors: int = 0
    rank: int = 0
    """A rank on this host: its clock correction is the host's."""

    @property
    def gain(self) -> float:
        """What calibration multiplies readings by; 1 without one."""
        return 1.0 if self.calibration is None else self.calibration.gain
