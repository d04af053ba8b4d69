"""The chips of the kernel's hwmon and what each of them measures: volts, amperes, watts and joules by kind and number.

Files are ``inN_input`` (mV), ``currN_input`` (mA), ``powerN_input`` or ``powerN_average`` (uW) and ``energyN_input`` (uJ); a
label is in ``KINDN_label`` (``power1_oem_info`` of an ACPI power meter). Some drivers keep them in the folder ``device``. A
quantity whose ``_enable`` is 0 or whose ``_fault`` is 1 measures nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bench.energy.sensor_base.kernel_numbers import number_of, text_of

Electric = Literal["in", "curr", "power", "energy"]
KINDS: tuple[Electric, ...] = ("in", "curr", "power", "energy")
READING = re.compile(r"(in|curr|power|energy)(\d+)_(input|average)\Z")


@dataclass(frozen=True)
class Quantity:
    """One value of a chip.

    Attributes:
        kind: ``in`` (mV), ``curr`` (mA), ``power`` (uW) or ``energy`` (uJ).
        number: Its number among those of its kind.
        path: The file to read.
        label: What the driver or the device tree calls it; None without a label.
        interval_ms: The time over which a power is an average; None for one of a moment, or where it is not told.
        averaged: Whether the file is the driver's average.
        off: Why it measures nothing now; None where it does.
    """

    kind: Electric
    number: int
    path: Path
    label: str | None = None
    interval_ms: int | None = None
    averaged: bool = False
    off: str | None = None

    @property
    def short_name(self) -> str:
        """Its name without the ending, such as ``power1``."""
        return f"{self.kind}{self.number}"


@dataclass(frozen=True)
class Chip:
    """A chip: the folder with its values, its name in small letters, and its device."""

    folder: Path
    name: str
    device: str
    label: str | None
    quantities: tuple[Quantity, ...]

    @property
    def title(self) -> str:
        """Name and device, by which an entry names it."""
        return f"{self.name} {self.device}"


def find_chips(root: Path) -> list[Chip]:
    """All chips of a host, in the order of their folders.

    Args:
        root: Where the host's ``sys`` is.

    Returns:
        The chips, also those that measure no power.
    """
    folders = (root / "sys/class/hwmon").glob("hwmon*")
    return [_chip(folder) for folder in sorted(folders, key=lambda folder: (len(folder.name), folder.name))]


def _chip(folder: Path) -> Chip:
    device = folder / "device"
    own = _quantities(folder)
    where = folder if own or not device.is_dir() else device
    name = text_of(folder / "name") or text_of(device / "name") or "?"
    return Chip(
        where,
        name.lower(),
        device.resolve().name if device.is_dir() else folder.name,
        text_of(folder / "label"),
        own or (_quantities(where) if where is device else ()),
    )


def _quantities(folder: Path) -> tuple[Quantity, ...]:
    """By kind and number; of a power that has both files, the one of a moment."""
    try:
        names = sorted(path.name for path in folder.iterdir())
    except OSError:
        return ()
    readings: dict[tuple[int, int], Quantity] = {}
    for name in names:
        match = READING.match(name)
        if match is None or (match[3] == "average" and match[1] != "power"):
            continue
        kind, number = next(kind for kind in KINDS if kind == match[1]), int(match[2])
        key = (KINDS.index(kind), number)
        if match[3] == "input" or key not in readings:
            readings[key] = _quantity(folder, kind, number, match[3] == "average")
    return tuple(readings[key] for key in sorted(readings))


def _quantity(folder: Path, kind: Electric, number: int, averaged: bool) -> Quantity:
    name = f"{kind}{number}"
    path = folder / f"{name}_{'average' if averaged else 'input'}"
    label = text_of(folder / f"{name}_label") or text_of(folder / f"{name}_oem_info")
    interval_ms = number_of(folder / f"{name}_average_interval") if averaged else None
    off = None
    if number_of(folder / f"{name}_enable") == 0:
        off = f"{name}_enable is 0"
    elif (number_of(folder / f"{name}_fault") or 0) != 0:
        off = f"{name}_fault is set"
    return Quantity(kind, number, path, label, interval_ms, averaged, off)
