"""Joulescope JS110 and JS220, DC meters by USB, by their maker's package (an extra: ``pip install edgejoule[joulescope]``).

Takes the statistics that the instrument makes of all its samples (two million a second), twice a second: the energy
accumulator in joules, from 0 when it is opened, which counts, and the mean power. A reading is one of them: the reader waits
for the next, so nothing is taken twice. Steps are below a nanojoule. Needs permission for the USB device (maker's udev rules).
It includes all that is fed through it, at a board's input: up to 15 V and 3 A (10 A for short). Its accuracy is in the maker's
data sheet: give ``accuracy``. Never run on the hardware: a stand-in for the package in tests only.
"""

from __future__ import annotations

import contextlib
import threading
import time
from decimal import Decimal
from typing import Any, ClassVar

from bench.energy.sensor_base.external_meter import ACCURACY, LEVEL, Meter, channel, channels, exact, micro, pick
from bench.energy.sensor_base.source import Place, Source, SourceUnavailable, register
from bench.energy.transport.maker_package import as_os_error, imported
from bench.joules.channel import Channel

NANO, UPDATE_PERIOD_S, TIMEOUT_S = 9, 0.5, 3.0
ENERGY, POWER = ("accumulators", "energy"), ("signals", "power", "avg")
UNITS = {"energy": "J", "power": "W"}


@register
class Joulescope(Meter):
    """The energy accumulator, and the mean power between two statistics."""

    name: ClassVar[str] = "joulescope"
    rank: ClassVar[int] = 58
    period_s: float = UPDATE_PERIOD_S / 4  # it waits for the next statistics
    settings: ClassVar[dict[str, str]] = {
        "address": "any, or a part of the instrument's name, such as its serial number",
        **LEVEL,
        **ACCURACY,
    }

    def __init__(self, device: Any, channels: tuple[Channel, ...]) -> None:
        super().__init__(channels)
        self.device = device
        self.news, self.seen, self.count = threading.Condition(), 0, 0
        self.newest: tuple[Any, int] = ({}, 0)

    @classmethod
    def open(cls, place: Place) -> Source:
        """Open the instrument, after its first statistics."""
        settings = {"level": "board", **place.settings}
        package = imported("joulescope", "joulescope", "joulescope")
        try:
            with as_os_error():
                device = _choose(list(package.scan(config="auto")), str(settings["address"]))
                device.open()
        except (OSError, ValueError) as error:
            raise SourceUnavailable(f"joulescope: {error}; check the cable and the maker's udev rules") from None
        scope = f"everything behind {device}"
        energy = channel("counter", scope, settings, 1, UPDATE_PERIOD_S, 1e-9)
        power = channel("power", scope, settings, 1, UPDATE_PERIOD_S, 1e-9)
        source = cls(device, channels(power, energy))
        try:
            with as_os_error():
                device.statistics_callback_register(source._take, "sensor")
            source.values()
            source.seen -= 1  # the first reading is this one
        except (OSError, ValueError) as error:
            source.close()
            raise SourceUnavailable(f"{device}: {error}; check that nothing else uses it") from None
        return source

    def _take(self, statistics: Any) -> None:
        """Called by the package's thread."""
        with self.news:
            self.newest, self.count = (statistics, time.monotonic_ns()), self.count + 1
            self.news.notify_all()

    def values(self) -> dict[str, int]:
        """Nanojoules and nanowatts of the next statistics."""
        with self.news:
            if not self.news.wait_for(lambda: self.count > self.seen, TIMEOUT_S):
                raise OSError(f"no statistics within {TIMEOUT_S:g} s")
            (statistics, came_ns), self.seen = self.newest, self.count
        numbers = {"energy": _number(statistics, "energy", *ENERGY), "power": _number(statistics, "power", *POWER)}
        self.taken_ns = came_ns
        return {name: micro(number, NANO) for name, number in numbers.items()}

    def close(self) -> None:
        """Close what ``open`` opened."""
        with contextlib.suppress(Exception):  # it may be gone
            self.device.statistics_callback_unregister(self._take, "sensor")
        with contextlib.suppress(Exception):
            self.device.close()


def _number(statistics: Any, name: str, *keys: str) -> Decimal:
    unit = pick(statistics, *keys, "units")
    if unit != UNITS[name]:
        raise ValueError(f"{name} is in {str(unit)[:20]!r}, not in {UNITS[name]}")
    return exact(pick(statistics, *keys, "value"))


def _choose(devices: list[Any], address: str) -> Any:
    names = [str(device) for device in devices]
    matching = [device for device in devices if address == "any" or address.casefold() in str(device).casefold()]
    if len(matching) == 1:
        return matching[0]
    raise SourceUnavailable(
        f"address: {address!r} is {len(matching) or 'none'} of the instruments {', '.join(names) or '(there are none)'}; "
        "give one's serial number, and check the cable"
    )
