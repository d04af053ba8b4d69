"""Otii Arc and Ace, DC supplies that measure, through their maker's package (an extra: ``pip install edgejoule[otii]``).

Asks the Otii server at ``address`` (the program Otii 3 or otii_server, port 1905) for the main current ``mc`` and voltage
``mv`` of a device: volts times amperes are watts of one moment, from two requests, so the counter of a meter is better for a
load that changes fast. The package logs in and reserves a licence (Automation) with OTII_USERNAME and OTII_PASSWORD where the
server is not logged in. The device's output stays as it is: switch it on in the program. It samples at 4 kHz (Arc, current)
and more; the server's renewal is not documented, 0.1 s is assumed. It includes all that is fed by the device, at a board's
input: up to 5 V and 5 A (Arc). Never run on the hardware: a stand-in for the package in tests only.
"""

from __future__ import annotations

import contextlib
from decimal import Decimal
from typing import Any, ClassVar

from bench.energy.sensor_base.external_meter import ACCURACY, LEVEL, Meter, channel, channels, exact, micro
from bench.energy.sensor_base.source import Place, Source, SourceUnavailable, register
from bench.energy.transport.maker_package import as_os_error, imported
from bench.joules.channel import Channel

PORT, UPDATE_PERIOD_S, CONNECT_S = 1905, 0.1, 5
LSB_UW = 1.0


@register
class Otii(Meter):
    """Main voltage times main current."""

    name: ClassVar[str] = "otii"
    rank: ClassVar[int] = 58
    networked: ClassVar[bool] = True
    period_s: float = 0.1
    settings: ClassVar[dict[str, str]] = {
        "address": "the Otii server, such as 192.168.1.20 or 192.168.1.20:1905",
        "channel": "the device's name, where the server has several",
        **LEVEL,
        **ACCURACY,
    }

    def __init__(self, client: Any, device: Any, channels: tuple[Channel, ...]) -> None:
        super().__init__(channels)
        self.client, self.device = client, device

    @classmethod
    def open(cls, place: Place) -> Source:
        """Open the server's device, asked once."""
        settings = {"level": "board", **place.settings}
        host, _, port = str(settings["address"]).partition(":")
        if not host or (port and not port.isdigit()):
            raise SourceUnavailable(f"address: {settings['address']} is no server; write it like 192.168.1.20:1905")
        client = imported("otii_tcp_client.otii_client", "otii_tcp_client", "otii").OtiiClient()
        try:
            with as_os_error():
                server = client.connect(host=host, port=int(port or PORT), try_for_seconds=CONNECT_S)
                device = _choose(server.get_devices(), settings.get("channel"))
            power = channel("power", f"everything behind {device.name}", settings, LSB_UW, UPDATE_PERIOD_S)
            source = cls(client, device, channels(power, None))
            source.values()
        except SourceUnavailable:
            _leave(client)
            raise
        except (OSError, ValueError) as error:
            _leave(client)
            raise SourceUnavailable(
                f"the Otii server {settings['address']}: {error}; check that it runs, its licence, and that the output is on"
            ) from None
        return source

    def values(self) -> dict[str, int]:
        """Microwatts."""
        with as_os_error():
            volts, amperes = self._number("mv"), self._number("mc")
        return {"power": micro(volts * amperes)}

    def _number(self, channel: str) -> Decimal:
        return exact(self.device.get_value(channel))

    def close(self) -> None:
        """Leave the server."""
        _leave(self.client)


def _leave(client: Any) -> None:
    with contextlib.suppress(Exception):  # it may be gone
        client.disconnect()


def _choose(devices: list[Any], name: Any) -> Any:
    names = [str(device.name) for device in devices]
    matching = [device for device in devices if name is None or str(device.name).casefold() == str(name).casefold()]
    if len(matching) == 1:
        return matching[0]
    listed = ", ".join(names) or "(there are none)"
    raise SourceUnavailable(f"channel: {name} is none or not one of the devices {listed}; give one")
