"""Zones of the kernel's powercap that are not RAPL's own: arm-scmi of Arm firmware, dtpm, and others.

Reads ``/sys/class/powercap/TYPE:N[:M]/energy_uj`` (microjoules, a counter that starts again after ``max_energy_range_uj``),
else ``power_uw`` (microwatts) of the zone that ``address`` names, or of those of ``sum``. How often firmware renews them is not
told: 0.1 s is assumed for a counter, 1 s for a power. Root alone may read some. It includes what the firmware says that the
zone is: say so with ``scope``; a zone's children are inside it, and their sum with it is refused. Zones of ``dtpm`` are
modelled by the kernel from an energy model and the use of the processors: the scope says so. Never run on the hardware.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from bench.energy.sensor_base.external_meter import ACCURACY, Meter, channel, channels, wanted_names
from bench.energy.sensor_base.kernel_numbers import KernelNumbers, number_of, open_numbers, text_of
from bench.energy.sensor_base.source import Place, Source, SourceUnavailable, register
from bench.joules.channel import Channel

READINGS = ("energy_uj", "power_uw")
COUNTER_S, POWER_S = 0.1, 1.0
MODELLED = ("dtpm",)


@register
class Powercap(Meter):
    """Zones of powercap: their counter, else their power."""

    name: ClassVar[str] = "powercap"
    rank: ClassVar[int] = 56
    period_s: float = 0.1
    levels: ClassVar[tuple[str, ...]] = ("board", "wall", "package")
    settings: ClassVar[dict[str, str]] = {
        "address": "the zone: its name or its folder such as arm-scmi:0, or its kind such as arm-scmi where that has one zone",
        "sum": "several zones of that kind that are added up, [a, b]",
        "level": "package (default), board or wall",
        "scope": "what the zone is, in words",
        **ACCURACY,
    }

    def __init__(self, numbers: KernelNumbers, channels: tuple[Channel, ...]) -> None:
        super().__init__(channels)
        self.numbers = numbers

    @classmethod
    def open(cls, place: Place) -> Source:
        """Open the zones that the entry names."""
        settings = place.settings
        zones = _choose(place)
        files = [_reading(zone) for zone in zones]
        if len({path.name for path in files}) > 1:
            raise SourceUnavailable(f"sum: {', '.join(map(_title, zones))} have a counter and a power; make a meter of each")
        numbers, _ = open_numbers(files, place.opener, ", ".join(map(_title, zones)))
        modelled = "; modelled by the kernel" if any(zone.name.startswith(MODELLED) for zone in zones) else ""
        scope = f"{settings.get('scope', 'what the zone is')} ({' + '.join(map(_title, zones))}{modelled})"
        entry = {"level": "package", **settings}
        if files[0].name != "energy_uj":
            return cls(numbers, channels(channel("power", scope, entry, 1, POWER_S, 1e-6), None))
        largest = number_of(zones[0] / "max_energy_range_uj") if len(zones) == 1 else None
        counter = channel("counter", scope, entry, 1, COUNTER_S, 1e-6, largest + 1 if largest and largest > 0 else None)
        return cls(numbers, channels(None, counter))

    def values(self) -> dict[str, int]:
        """Microjoules or microwatts of the zones, added up."""
        return {self.channels[0].id: sum(self.numbers.read())}

    def close(self) -> None:
        """Close what ``open`` opened."""
        self.numbers.close()


def _choose(place: Place) -> list[Path]:
    """The zones of the entry; none of them inside another."""
    tree, address = place.root / "sys/class/powercap", str(place.settings.get("address", "")).strip().casefold()
    zones = [zone for zone in sorted(tree.glob("*:*")) if _reading(zone).exists()]
    chosen = _matching(zones, address)
    names = wanted_names(place.settings)
    if names:
        chosen = [zone for name in names for zone in _one(_matching(chosen or zones, name.casefold()), name, zones)]
    elif len(chosen) != 1:
        chosen = _one(chosen, str(place.settings.get("address", "")), zones)
    for zone in chosen:
        if any(zone.name.startswith(f"{other.name}:") for other in chosen):
            raise SourceUnavailable(
                f"sum: {_title(zone)} is inside another of its zones, their sum counts it twice; leave one out"
            )
    return chosen


def _matching(zones: Sequence[Path], wanted: str) -> list[Path]:
    exact = [zone for zone in zones if wanted in (zone.name.casefold(), (text_of(zone / "name") or "").casefold())]
    return exact or [zone for zone in zones if zone.name.partition(":")[0].casefold() == wanted]


def _one(matching: list[Path], name: str, zones: Sequence[Path]) -> list[Path]:
    if len(matching) == 1:
        return matching
    listed = ", ".join(f"{_title(zone)} {_now(zone)}" for zone in (matching or zones)[:16]) or "none that measures"
    raise SourceUnavailable(
        f"{name!r} names {len(matching) or 'no'} zones of powercap; there are {listed}; give one, or sum: [a, b]"
    )


def _reading(zone: Path) -> Path:
    return next((zone / name for name in READINGS if (zone / name).exists()), zone / READINGS[0])


def _title(zone: Path) -> str:
    return f"{text_of(zone / 'name') or '?'} ({zone.name})"


def _now(zone: Path) -> str:
    value = number_of(_reading(zone))
    return "unreadable" if value is None else f"{value / 1e6:.6g} {'J' if _reading(zone).name == 'energy_uj' else 'W'}"
