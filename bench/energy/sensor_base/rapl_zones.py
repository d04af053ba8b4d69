"""The energy counters of the powercap tree: which zones there are, and the channels of those that count.

Not a source, but what ``rapl``, ``perf`` and ``pyjoules`` all need.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench.energy.sensor_base.rapl_counters import is_psys, only, those_that_count
from bench.energy.sensor_base.source import Place, SourceUnavailable
from bench.joules.channel import Channel, Level

UPDATE_PERIOD_S = 1e-3
COUNTS = 2**32
NUMBERED = re.compile(r"[a-z-]+(?::[0-9]+)+")
"""A zone's folder: its kind and the numbers on the way to it."""
USUAL_LSB_UJ = 1e6 / 2**14
"""The step of most processors, where the zone does not say its range."""
ALLOW = (
    'allow it for good with a udev rule (SUBSYSTEM=="powercap", RUN+="/bin/chmod -R a+r /sys%p"), a tmpfiles.d line '
    "(z /sys/class/powercap/intel-rapl:*/energy_uj 0444), or the sysfsutils line "
    "(mode class/powercap/intel-rapl:0/energy_uj = 0444)"
)


@dataclass(frozen=True)
class Zone:
    """A counter of the powercap tree.

    ``key`` is unique and stable: the package's name for a package, ``package-0/core`` below it. ``range_uJ`` is the largest
    value, None where the zone does not say.
    """

    folder: Path
    name: str
    key: str
    parent: str | None
    range_uJ: int | None

    @property
    def level(self) -> Level:
        """Where it sits, by its name."""
        return "board" if is_psys(self.key) else "package" if self.parent is None or self.name == "dram" else "component"

    @property
    def lsb_uJ(self) -> float:
        """The kernel gives the range as (2^32 - 1) steps."""
        return (self.range_uJ or USUAL_LSB_UJ * (COUNTS - 1)) / (COUNTS - 1)


def open_counters(place: Place) -> tuple[list[int], tuple[Channel, ...]]:
    """Open every zone that counts.

    Args:
        place: The root under which the powercap tree lies, and how files are opened.

    Returns:
        An open file for each counter (``read_counters`` reads them, the caller closes them), and its channel.

    Raises:
        SourceUnavailable: There is no zone, one may not be read, or which of them count cannot be told.
    """
    zones = find_zones(place.root)
    channels = tuple(_channel(zone, zones) for zone in zones)
    files: list[int] = []
    with ExitStack() as on_failure:
        on_failure.callback(_close, files)
        try:
            for zone in zones:
                files.append(place.opener(zone.folder / "energy_uj"))
            keep, counting = those_that_count(channels, lambda: read_counters(files))
        except PermissionError:
            raise SourceUnavailable(f"{zone.folder}/energy_uj may not be read; {ALLOW}") from None
        except (OSError, ValueError) as error:
            raise SourceUnavailable(f"{zone.folder}: {error}; see whether `cat energy_uj` works there") from None
        on_failure.pop_all()
    return only(files, keep), counting


def read_counters(files: Sequence[int]) -> list[int]:
    """The raw values of counters.

    Args:
        files: Open descriptors of their files.

    Returns:
        The value of each, in microjoules.

    Raises:
        OSError: A file cannot be read.
        ValueError: A file holds no number.
    """
    return [int(os.pread(file, 32, 0)) for file in files]


def _close(files: Sequence[int]) -> None:
    for file in files:
        os.close(file)


def find_zones(root: Path) -> list[Zone]:
    """All zones; those of the memory-mapped interface only where the other interface does not have them.

    Args:
        root: Where the host's ``sys`` is.

    Returns:
        The zones, at least one.

    Raises:
        SourceUnavailable: There is no powercap or no zone, or a zone does not describe itself.
    """
    tree = root / "sys/class/powercap"
    if not tree.is_dir():
        raise SourceUnavailable(f"{tree} does not exist: no RAPL on this machine, or the kernel lacks powercap")
    _refuse_masked(root, tree)
    zones: dict[str, Zone] = {}
    for prefix in ("intel-rapl", "intel-rapl-mmio"):
        of_interface: dict[str, Zone] = {}
        keys: dict[str, str] = {}
        named = [folder for folder in tree.glob(f"{prefix}:*") if NUMBERED.fullmatch(folder.name)]
        for folder in sorted(named, key=_numbers):
            largest = folder / "max_energy_range_uj"
            try:
                name = (folder / "name").read_text().strip()
                range_uJ = (max(0, int(largest.read_text())) if largest.exists() else 0) or None
            except (OSError, ValueError) as error:
                raise SourceUnavailable(f"{folder} does not describe itself: {error}; reload the intel_rapl modules") from None
            parent = keys.get(folder.name.rsplit(":", 1)[0])
            key = name if parent is None else f"{parent}/{name}"
            # One interface never shows a counter twice on purpose: the same name again is another counter.
            keys[folder.name] = key = key if key not in of_interface else f"{key} ({folder.name})"
            of_interface[key] = Zone(folder, name, key, parent, range_uJ)
        zones = {**of_interface, **zones}
    if not zones:
        others = sorted(folder.name for folder in tree.glob("*:*"))
        instead = f"; its zones {', '.join(others)} are read by a meter (source: powercap)" if others else ""
        raise SourceUnavailable(
            f"{tree} holds no intel-rapl zone; load the module intel_rapl_msr, or use another source{instead}"
        )
    return sorted(zones.values(), key=lambda zone: (zone.folder.name.split(":")[0], _numbers(zone.folder)))


def _refuse_masked(root: Path, tree: Path) -> None:
    """A container runtime hides what is behind the links of the powercap class, which stay and lead nowhere."""
    hidden = [path.name for path in sorted(tree.iterdir()) if path.is_symlink() and not path.exists()]
    behind = root / "sys/devices/virtual/powercap"
    empty = behind.is_dir() and not any(behind.iterdir()) and not any(tree.glob("*:*"))
    if hidden or empty:
        shown = f"the link {hidden[0]} leads nowhere" if hidden else f"{behind} is empty"
        raise SourceUnavailable(
            f"powercap is masked in this container: {tree} is there, and {shown}, because the runtime hides "
            f"/sys/devices/virtual/powercap; start the container with the host's sys mounted (docker run -v /sys:/host/sys:ro, "
            f"energy.root=/host) or with --security-opt systempaths=unconfined"
        )


def _numbers(folder: Path) -> list[int]:
    return [int(number) for number in folder.name.split(":")[1:]]


def _channel(zone: Zone, zones: Sequence[Zone]) -> Channel:
    others = [other for other in zones if not is_psys(other.key)]
    inside = others if is_psys(zone.key) else [z for z in others if z.parent == zone.key and z.name != "dram"]
    part = "board" if is_psys(zone.key) else "memory" if zone.name == "dram" else "processor"
    return Channel(
        id=zone.key,
        kind="counter",
        scale=1e-6,
        scope=f"{part}: {zone.key}" + ("" if zone.range_uJ else ", range not given: a restart of the counter is an error"),
        level=zone.level,
        modulus=zone.range_uJ + round(zone.lsb_uJ) if zone.range_uJ else None,
        update_period_s=UPDATE_PERIOD_S,
        lsb=zone.lsb_uJ,
        contains=tuple(other.key for other in inside),
    )
