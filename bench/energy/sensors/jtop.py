"""Power of a Jetson's supply rails through jetson-stats (jtop), where the sensors themselves may not be read.

Asks the service behind ``/run/jtop.sock``: milliwatts of each rail (the product of INA3221 voltage and current, cut to
1 mW; versions 3 and 4.0 have tegrastats' milliwatts, under shortened names), one snapshot each second; the first client of
the service sets its interval, and each snapshot costs the board a full round of statistics. Needs the package jetson-stats
in the service's version, and the group ``jtop``. Readings have no
time of their own. ``avg`` is a running mean of integers and never used. It includes what ``jetson`` includes, which is
preferred: it reads the same sensors 20 times as often.

jetson-stats is AGPL-3.0: optional, imported when this source is opened, in the process that reads power.
"""

from __future__ import annotations

import queue
from multiprocessing import AuthenticationError
from pathlib import Path
from typing import Any, ClassVar

from bench.energy.sensor_base.jetson_rails import SUMS, TOTALS, arrange
from bench.energy.sensor_base.part_readings import PartReadings
from bench.energy.sensor_base.source import Place, Source, SourceUnavailable, register
from bench.joules.channel import Channel, Kind

INTERVAL_S = 1.0
"""Asked of the service; at 0.1 s it was seen to become unstable."""

XAVIER = tuple(SUMS["AGX Xavier"])
KNOWN = dict.fromkeys(
    [*(label for _, _, inside in TOTALS.values() for label in inside), *TOTALS]
    + [label for rails in SUMS.values() for top, inside in rails.items() for label in (top, *inside)]
)
"""Labels of all rails of all boards."""


@register
class Jtop(Source):
    """The rails of the board, as the service tells them."""

    name: ClassVar[str] = "jtop"
    kind: ClassVar[Kind] = "measured"
    rank: ClassVar[int] = 21
    sensor: ClassVar[str] = "jetson"
    period_s: float = 0.5
    not_measured: tuple[str, ...] = ("power supply losses", "carrier board, except where there is a rail VIN")

    def __init__(self, client: Any, channels: tuple[Channel, ...], errors: tuple[type[Exception], ...]) -> None:
        self.client, self.channels, self.errors = client, channels, errors
        self.parts = PartReadings(channels)
        self.failed_parts = self.parts.failures

    @classmethod
    def open(cls, place: Place) -> Source:
        """Open a client of the service of this machine."""
        if place.root != Path("/"):
            raise SourceUnavailable(f"jtop asks the service of this machine, not the tree {place.root}; use energy.root=/")
        try:
            import jtop
        except ImportError as error:
            raise SourceUnavailable(f"jetson-stats cannot be imported ({error}); `pip install jetson-stats`") from None
        errors = (jtop.JtopException, OSError, EOFError, AuthenticationError, queue.Empty, ValueError, LookupError, TypeError)
        client = jtop.jtop(interval=INTERVAL_S)
        try:
            client.start()
            rails = arrange(list(_powers_mW(client)))
        except SourceUnavailable:
            client.close()
            raise
        except errors as error:
            client.close()
            why = " ".join((str(error) or type(error).__name__).split())
            raise SourceUnavailable(
                f"jtop: {why}; see `systemctl status jtop`, that this user is in the group jtop, and that both have one version"
            ) from None
        channels = tuple(
            Channel(
                id=rail.label,
                kind="power",
                scale=1e-3,
                scope=rail.scope,
                level=rail.level,
                update_period_s=float(client.interval),
                contains=rail.contains,
            )
            for rail in rails
        )
        return cls(client, channels, errors)

    def read(self) -> list[int]:
        """Milliwatts of each rail."""
        try:
            if not self.client.ok(spin=True):
                raise OSError("the connection to jtop has ended")
            powers_mW = _powers_mW(self.client)
            return [
                self.parts.value(channel.id, lambda channel=channel: powers_mW[channel.id])  # type: ignore[misc]
                for channel in self.channels
            ]
        except self.errors as error:
            raise OSError(f"jtop: {str(error) or type(error).__name__}") from None

    def close(self) -> None:
        """Close what ``open`` opened."""
        self.client.close()


def _powers_mW(client: Any) -> dict[str, int]:
    """Of every rail that has a power, the total too where it is one: without a name it is jtop's own sum."""
    power = client.power
    if isinstance(power, tuple):
        return _before_4_1(*power)
    rails, total = _block(power, "rail"), _block(power, "tot")
    if "name" in total:
        rails = {**rails, str(total["name"]): total}
    return {name: int(rail["power"]) for name, rail in rails.items() if _has(rail, "power")}


def _before_4_1(total: Any, rails: Any) -> dict[str, int]:
    """Versions 3 and 4.0 have ``(total, rails)``, shortened names, and a total whose name they took away."""
    powers_mW = {name: int(rail["cur"]) for name, rail in rails.items() if _has(rail, "cur")}
    whole = {short: label for label in KNOWN if label not in XAVIER for short in _shortened(label)}
    if set(XAVIER) <= set(powers_mW):
        whole = {}
    named = {whole.get(name, name): power for name, power in powers_mW.items()}
    if not _has(total, "cur"):
        raise ValueError("no total in the reply of jtop")
    total_mW = int(total["cur"])
    if total_mW == sum(named.values()):  # its own sum, where no rail has IN in its name
        return named
    if any(name.startswith("POM_") for name in named):
        return {**named, "POM_5V_IN": total_mW}
    # On AGX Orin it takes VIN_SYS_5V0 for a total, by the letters IN.
    return {**named, ("VIN_SYS_5V0" if "VDD_CPU_CV" in named else "VDD_IN"): total_mW}


def _shortened(label: str) -> list[str]:
    """As version 3 and as version 4.0 show it."""
    both = label, label.replace("VDDQ_", "")
    return [name.replace("VDD_", "").replace("POM_", "").replace("_", " ") for name in both]


def _has(rail: Any, key: str) -> bool:
    return isinstance(rail, dict) and rail.get(key) is not None


def _block(power: Any, name: str) -> dict[str, Any]:
    block = power.get(name) if isinstance(power, dict) else None
    if not isinstance(block, dict):
        raise ValueError(f"no {name} in the reply of jtop, {str(power)[:60]}")
    return block
