"""RAPL energy counters of x86 processors, through the powercap tree.

Microjoules since boot in ``/sys/class/powercap/intel-rapl:N[:M]/energy_uj``, renewed about every millisecond, starting
again at ``max_energy_range_uj``. AMD processors use the same names. Zones are known by their name, never by index:
``psys`` is a zone of its own beside the packages and contains them; ``core`` and ``uncore`` are part of their package,
``dram`` is not.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from bench.energy.channel import Channel, Kind
from bench.energy.sources.base import Opener, Source, SourceUnavailable, open_for_reading, register

UPDATE_PERIOD_S = 1e-3
LSB_UJ = 61.0
ALLOW = (
    'allow it for good with a udev rule (SUBSYSTEM=="powercap", RUN+="/bin/chmod -R a+r /sys%p"), a tmpfiles.d line '
    "(z /sys/class/powercap/intel-rapl:*/energy_uj 0444), or the sysfsutils line "
    "(mode class/powercap/intel-rapl:0/energy_uj = 0444)"
)


@dataclass(frozen=True)
class Zone:
    folder: Path
    name: str
    parent: str | None

    @property
    def key(self) -> str:
        """Unique and stable: the package's name for a package, ``package-0/core`` below it."""
        return self.name if self.parent is None else f"{self.parent}/{self.name}"


@register
class Rapl(Source):
    name: ClassVar[str] = "rapl"
    kind: ClassVar[Kind] = "measured"
    rank: ClassVar[int] = 10
    not_measured: ClassVar[tuple[str, ...]] = ("power supply losses", "disks, fans and network of the host")

    def __init__(self, files: list[int], channels: tuple[Channel, ...]) -> None:
        self.files, self.channels = files, channels

    @classmethod
    def open(cls, root: Path, board: Mapping[str, Any], opener: Opener = open_for_reading) -> Source:
        zones = find_zones(root)
        files: list[int] = []
        channels: list[Channel] = []
        contains = _contains(zones)
        for zone in zones:
            try:
                file = opener(zone.folder / "energy_uj")
                limit = int((zone.folder / "max_energy_range_uj").read_text())
            except PermissionError:
                raise SourceUnavailable(f"{zone.folder}/energy_uj may not be read; {ALLOW}") from None
            except (OSError, ValueError) as error:
                raise SourceUnavailable(f"{zone.folder}: {error}") from None
            files.append(file)
            channels.append(
                Channel(
                    id=zone.key,
                    kind="counter",
                    scale=1e-6,
                    scope=zone.name,
                    modulus=limit + round(LSB_UJ),
                    update_period_s=UPDATE_PERIOD_S,
                    lsb=LSB_UJ,
                    contains=contains[zone.key],
                )
            )
        return cls(*_without_mirrors(files, channels))

    def read(self) -> list[int]:
        return [int(os.pread(file, 32, 0)) for file in self.files]

    def close(self) -> None:
        for file in self.files:
            os.close(file)


def find_zones(root: Path) -> list[Zone]:
    """All zones by name; those of the memory-mapped interface only where the other interface does not have them."""
    tree = root / "sys/class/powercap"
    if not tree.is_dir():
        raise SourceUnavailable(f"{tree} does not exist: no RAPL on this machine, or the kernel lacks powercap")
    found: dict[str, Zone] = {}
    for prefix in ("intel-rapl", "intel-rapl-mmio"):
        names = {}
        for folder in sorted(tree.glob(f"{prefix}:*")):
            try:
                names[folder.name] = (folder / "name").read_text().strip()
            except OSError:
                continue
        for folder_name, name in names.items():
            above = folder_name.rsplit(":", 1)[0]
            zone = Zone(tree / folder_name, name, names.get(above))
            found.setdefault(zone.key, zone)
    if not found:
        raise SourceUnavailable(f"{tree} holds no intel-rapl zone")
    return list(found.values())


def _contains(zones: list[Zone]) -> dict[str, tuple[str, ...]]:
    packages = [zone.key for zone in zones if zone.parent is None and zone.name != "psys"]
    inside: dict[str, tuple[str, ...]] = {}
    for zone in zones:
        own = [other.key for other in zones if other.parent == zone.name and other.name != "dram"]
        inside[zone.key] = tuple(packages + [z.key for z in zones if z.parent]) if zone.name == "psys" else tuple(own)
    return inside


def _without_mirrors(files: list[int], channels: list[Channel]) -> tuple[list[int], tuple[Channel, ...]]:
    """Some processors show one counter as several packages: equal twice, while it moves, is the same counter."""

    def values() -> list[int]:
        return [int(os.pread(file, 32, 0)) for file in files]

    first = values()
    packages = [i for i, channel in enumerate(channels) if "/" not in channel.id and channel.id != "psys"]
    mirrors: set[int] = set()
    if len(packages) > 1 and len({first[i] for i in packages}) < len(packages):
        time.sleep(0.01)
        second = values()
        for n, i in enumerate(packages):
            same = [j for j in packages[:n] if first[j] == first[i] and second[j] == second[i] and second[i] != first[i]]
            mirrors.update([i] if same else [])
    keep = [
        i
        for i, c in enumerate(channels)
        if i not in mirrors and not any(c.id.startswith(f"{channels[m].id}/") for m in mirrors)
    ]
    return [files[i] for i in keep], tuple(channels[i] for i in keep)
