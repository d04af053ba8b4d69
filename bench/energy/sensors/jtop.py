"""Power of a Jetson's supply rails through jetson-stats (jtop), where the sensors themselves may not be read.

Asks the service behind ``/run/jtop.sock``: milliwatts of each rail (the product of INA3221 voltage and current, cut to
1 mW), one snapshot each second; the first client of the service sets its interval, and each snapshot costs the board a
full round of statistics. Needs the package jetson-stats in the service's version, and the group ``jtop``. Readings have no
time of their own. ``avg`` is a running mean of integers and never used. It includes what ``jetson`` includes, which is
preferred: it reads the same sensors 20 times as often.

jetson-stats is AGPL-3.0: optional, imported when this source is opened, in the process that reads power.
"""

from __future__ import annotations

import queue
from multiprocessing import AuthenticationError
from pathlib import Path
from typing import Any, ClassVar

from bench.energy.sensor_base.jetson_rails import arrange
from bench.energy.sensor_base.source import Place, Source, SourceUnavailable, register
from bench.joules.channel import Channel, Kind

INTERVAL_S = 1.0
"""Asked of the service; at 0.1 s it was seen to become unstable."""


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

    @classmethod
    def open(cls, place: Place) -> Source:
        """Open a client of the service of this machine."""
        if place.root != Path("/"):
            raise SourceUnavailable(f"jtop asks the service of this machine, not the tree {place.root}; use energy.root=/")
        try:
            import jtop
        except ImportError as error:
            raise SourceUnavailable(f"jetson-stats cannot be imported ({error}); `pip install jetson-stats`") from None
        errors = (jtop.JtopException, OSError, EOFError, AuthenticationError, queue.Empty, ValueError, LookupError)
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
            return [powers_mW[channel.id] for channel in self.channels]
        except self.errors as error:
            raise OSError(f"jtop: {str(error) or type(error).__name__}") from None

    def close(self) -> None:
        """Close what ``open`` opened."""
        self.client.close()


def _powers_mW(client: Any) -> dict[str, int]:
    """Of every rail, the total too where it is one: without a name it is jtop's own sum."""
    power = client.power
    total = power["tot"]
    rails = {**power["rail"], **({total["name"]: total} if "name" in total else {})}
    return {name: int(rail["power"]) for name, rail in rails.items()}
