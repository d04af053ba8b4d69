"""TP-Link Kasa and Tapo plugs, by python-kasa (an extra: ``pip install edgejoule[kasa]``; its licence is GPL-3.0).

Reads ``Module.Energy``: the current consumption in watts (replies have milliwatts, the oldest plugs microwatts), which
counts, and beside it the counter of plugs with the legacy protocol, in watt-hours: steps of 3600 J, a cross-check over
hours. Newer plugs have no counter but one that starts again each day: it is not read. The makers do not say how often a
value is renewed, nor its accuracy: one second is assumed, and ``accuracy`` is yours to give. Read each second. Legacy
plugs (port 9999) need no permission; newer ones and all Tapo plugs need the account's user and password. It includes
all behind the socket, the power supplies too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from decimal import Decimal
from typing import Any, ClassVar, TypeVar

from bench.energy.sensor_base.external_meter import ACCURACY, PASSWORD, Meter, channel, channels, exact, micro, password, whole
from bench.energy.sensor_base.source import Place, Source, SourceUnavailable, register
from bench.energy.transport.http_json import TIMEOUT_S
from bench.joules.channel import Channel

UPDATE_PERIOD_S = 1.0
KILO = 9  # kilowatt-hours to microwatt-hours
ENERGY_LSB_UWH = 1_000_000
LEGACY_PORT = 9999
OPEN_TIMEOUT_S = 10.0
Result = TypeVar("Result")


@register
class Kasa(Meter):
    """The current consumption, and the counter of plugs with the legacy protocol."""

    name: ClassVar[str] = "kasa"
    rank: ClassVar[int] = 53
    networked: ClassVar[bool] = True
    settings: ClassVar[dict[str, str]] = {
        "address": "the plug's IP address, such as 192.168.1.53",
        "channel": "the socket of a power strip, from 1",
        "port": "of the legacy protocol (default 9999)",
        "user": "the account's e-mail address, for plugs that need one",
        **PASSWORD,
        **ACCURACY,
    }

    def __init__(self, loop: asyncio.AbstractEventLoop, device: Any, module: Any, channels: tuple[Channel, ...]) -> None:
        super().__init__(channels)
        self.loop, self.device, self.module = loop, device, module

    @classmethod
    def open(cls, place: Place) -> Source:
        """Open the plug at ``address``, asked once."""
        settings = place.settings
        try:
            import kasa
        except ImportError as error:
            raise SourceUnavailable(f"python-kasa cannot be imported ({error}); pip install edgejoule[kasa]") from None
        secret, address = password(settings), str(settings["address"])
        if secret is not None and "user" not in settings:
            raise SourceUnavailable("password_env without user; give the account's e-mail address as user")
        login = None if secret is None else kasa.Credentials(str(settings["user"]), secret)
        port, number = whole(settings, "port", LEGACY_PORT), whole(settings, "channel", 0)
        loop = asyncio.new_event_loop()
        device = None
        try:
            device = _wait(loop, _connect(kasa, address, port, login), OPEN_TIMEOUT_S)
            plug = _socket(address, device, number)
            module = plug.modules.get(kasa.Module.Energy)
            if module is None:
                raise SourceUnavailable(f"{address} is a {device.model}, which does not measure; use a plug that does")
            scope = f"everything behind {device.model}{f' socket {number}' if number else ''}, power supplies included"
            status = _wait(loop, module.get_status(), TIMEOUT_S)
            power = channel("power", scope, settings, 1 if "power" in dict(status) else 1_000, UPDATE_PERIOD_S)
            counts = module.supports(kasa.interfaces.Energy.ModuleFeature.CONSUMPTION_TOTAL)
            energy = channel("counter", scope, settings, ENERGY_LSB_UWH, UPDATE_PERIOD_S) if counts else None
            source = cls(loop, device, module, channels(power, energy))
            source.values()
            return source
        except SourceUnavailable:
            _end(loop, device)
            raise
        except (OSError, ValueError) as error:
            _end(loop, device)
            needs = "" if login else ", and give user and password_env if it is a newer Kasa or a Tapo"
            raise SourceUnavailable(f"{address} cannot be read ({error}); check that the plug is there{needs}") from None

    def values(self) -> dict[str, int]:
        """Microwatts, and microwatt-hours where there is a counter."""
        status = _wait(self.loop, self.module.get_status(), TIMEOUT_S)
        values = {"power": micro(_number(status, "power"))}
        if len(self.channels) > 1:
            values["energy"] = micro(_number(status, "total"), KILO)
        return values

    def close(self) -> None:
        """Close what ``open`` opened."""
        _end(self.loop, self.device)


async def _connect(kasa: Any, address: str, port: int, login: Any) -> Any:
    """A legacy plug directly; one with an account by asking it for its protocol."""
    if login is None:
        override = None if port == LEGACY_PORT else port
        return await kasa.Device.connect(config=kasa.DeviceConfig(address, timeout=int(TIMEOUT_S), port_override=override))
    device = await kasa.Discover.discover_single(
        address, credentials=login, port=None if port == LEGACY_PORT else port, timeout=int(TIMEOUT_S)
    )
    if device is None:
        raise OSError("no plug answers at this address")
    try:
        await device.update()
    except BaseException:
        await device.disconnect()
        raise
    return device


def _socket(address: str, device: Any, number: int) -> Any:
    if number == 0:
        return device
    if not 1 <= number <= len(device.children):
        raise SourceUnavailable(f"{address} is a {device.model} with {len(device.children)} sockets; channel: {number} is none")
    return device.children[number - 1]


def _wait(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Result], timeout_s: float) -> Result:
    """Its result; every failure of the library as OSError, and in time: it would try four times and sleep between."""
    from kasa import KasaException

    async def limited() -> Result:
        return await asyncio.wait_for(work, timeout_s)

    try:
        return loop.run_until_complete(limited())
    except asyncio.TimeoutError:
        raise OSError(f"no answer within {timeout_s:.0f} s") from None
    except (KasaException, KeyError, AttributeError, TypeError) as error:
        cause = error.__cause__ or error  # the library wraps what happened in "Communication error on ..."
        raise OSError(" ".join(str(cause).split())[:120] or type(cause).__name__) from None


def _number(status: Any, key: str) -> Decimal:
    value = getattr(status, key)
    if value is None:
        raise ValueError(f"no {key} in the reply {str(dict(status))[:80]}")
    return exact(value)


def _end(loop: asyncio.AbstractEventLoop, device: Any) -> None:
    if loop.is_closed():
        return
    if device is not None:
        loop.run_until_complete(device.disconnect())
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
