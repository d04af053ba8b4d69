"""A battery, a charger or a power management chip of the kernel's class power_supply.

Reads ``/sys/class/power_supply/NAME/power_now`` (microwatts), else ``voltage_now`` times ``current_now`` (microvolts,
microamperes). A battery counts while it discharges: while it charges, its power is not the board's, and there is no reading;
drivers differ in the sign, so a discharging battery's is taken without it. A supply (Mains, USB) counts while it is online.
``energy_now`` and ``charge_now`` are what is left, in coarse steps, and not used. How often it is renewed is not told: most
fuel gauges take 1 s or more, 1 s is assumed. Readable by everyone. It includes all that is fed by the battery or through the
supply, losses of the battery's converter included, those of the charger not. Never run on the hardware.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import ClassVar

from bench.energy.sensor_base.external_meter import ACCURACY, Meter, channel, channels
from bench.energy.sensor_base.kernel_numbers import KernelNumbers, number_of, open_numbers, said, text_of
from bench.energy.sensor_base.source import Place, Source, SourceUnavailable, register
from bench.joules.channel import Channel

UPDATE_PERIOD_S = 1.0
MICRO, PICO = 1e-6, 1e-12


@register
class PowerSupply(Meter):
    """Power out of a battery or through a supply."""

    name: ClassVar[str] = "power_supply"
    rank: ClassVar[int] = 57
    period_s: float = 0.5
    settings: ClassVar[dict[str, str]] = {
        "address": "its name under /sys/class/power_supply, such as BAT0",
        "level": "board (default) or wall",
        "scope": "what it feeds, in words",
        **ACCURACY,
    }

    def __init__(self, folder: Path, battery: bool, numbers: KernelNumbers, channels: tuple[Channel, ...]) -> None:
        super().__init__(channels)
        self.folder, self.battery, self.numbers = folder, battery, numbers

    @classmethod
    def open(cls, place: Place) -> Source:
        """Open the supply that the entry names."""
        settings = place.settings
        folder = _find(place)
        files = _files(folder)
        battery = (text_of(folder / "type") or "").casefold() == "battery"
        title = f"{folder.name}, {text_of(folder / 'type') or 'unknown'}"
        scope = f"{settings.get('scope', 'what it feeds')} ({title})"
        numbers, _ = open_numbers(files, place.opener, title)
        lsb = 1.0
        if len(files) > 1:  # one microvolt and one microampere
            lsb = max(1.0, math.hypot(*(number_of(path) or 0 for path in files)))
        power = channel(
            "power", scope, {"level": "board", **settings}, lsb, UPDATE_PERIOD_S, MICRO if len(files) == 1 else PICO
        )
        source = cls(folder, battery, numbers, channels(power, None))
        try:
            source.values()
        except (OSError, ValueError) as error:
            source.close()
            raise SourceUnavailable(f"{said(error)} ({title})") from None
        return source

    def values(self) -> dict[str, int]:
        """Microwatts, or picowatts of volts times amperes."""
        status, online = text_of(self.folder / "status"), number_of(self.folder / "online")
        if self.battery and status != "Discharging":
            raise ValueError(f"{self.folder / 'status'} is {status}: a battery's power is the board's while it discharges only")
        if not self.battery and online == 0:
            raise ValueError(f"{self.folder / 'online'} is 0: nothing is fed through it")
        product = math.prod(self.numbers.read())
        return {"power": abs(product) if self.battery else product}

    def close(self) -> None:
        """Close what ``open`` opened."""
        self.numbers.close()


def _find(place: Place) -> Path:
    tree, address = place.root / "sys/class/power_supply", str(place.settings.get("address", "")).strip()
    known = sorted(folder for folder in tree.glob("*") if folder.is_dir())
    matching = [folder for folder in known if folder.name.casefold() == address.casefold()]
    if len(matching) != 1:
        listed = ", ".join(f"{folder.name} ({text_of(folder / 'type') or 'unknown'})" for folder in known) or "(there are none)"
        raise SourceUnavailable(f"address: {address!r} is none of the supplies {listed} in {tree}; give one of them")
    return matching[0]


def _files(folder: Path) -> list[Path]:
    """Its watts, else its volts and amperes."""
    if (folder / "power_now").exists():
        return [folder / "power_now"]
    both = [folder / "voltage_now", folder / "current_now"]
    missing = [path.name for path in both if not path.exists()]
    if missing:
        raise SourceUnavailable(f"{folder} has neither power_now nor {' and '.join(missing)}: it does not measure power")
    return both
