"""A power meter chip that you wired to a host: INA219, INA226, INA228, INA237, INA238 and their like, by the kernel's hwmon.

Reads, of the chip that the settings name, ``/sys/class/hwmon/hwmonN/energy1_input`` (microjoules, a 40-bit accumulator in
the chip: INA228, INA700, INA780, SQ52206), else ``power1_input`` (microwatts), else ``in1_input`` times ``curr1_input`` (mV,
mA). Renewed every ``update_interval``, else every 51 ms (INA228, INA237, INA238) or 1.1 ms (INA219, INA220). Steps follow
from the shunt: 2.5 uV * 25 (INA226) or 10 uV * 20 (INA219) over ``shunt_resistor``. Readable by everyone on most systems.

It includes what its wires go around: say so with ``scope`` and ``level``. Set the shunt that is soldered in, in the device
tree or in ``shunt_resistor``: all values are in proportion to it. The host that carries the chip reads it.
"""

from __future__ import annotations

import math
import os
from contextlib import ExitStack
from pathlib import Path
from typing import ClassVar, Literal

from bench.energy.sensor_base.external_meter import ACCURACY, Meter, channel, channels
from bench.energy.sensor_base.source import Place, Source, SourceUnavailable, register
from bench.joules.channel import Channel

READINGS = (("energy1_input",), ("power1_input",), ("in1_input", "curr1_input"))
"""What a chip may have, the best first."""
CYCLE_S = {"ina219": 1.1e-3, "ina220": 1.1e-3, "ina226": 35.2e-3, "ina230": 35.2e-3, "ina231": 35.2e-3}
USUAL_CYCLE_S = 16 * 3 * 1.052e-3
POWER_LSB_UW_OHM = {"ina219": 200, "ina220": 200, "ina226": 62.5, "ina230": 62.5, "ina231": 62.5}
"""The step of the power register times the shunt."""


@register
class Hwmon(Meter):
    """A chip of the kernel's hwmon: its accumulator, its power, or voltage times current."""

    name: ClassVar[str] = "hwmon"
    rank: ClassVar[int] = 50
    period_s: float = 0.05
    settings: ClassVar[dict[str, str]] = {
        "address": "the chip: its name and i2c device such as ina226 1-0040, either of them, or its label",
        "level": "board (default: at the boards' inputs) or wall (before their power supply)",
        "scope": "what its wires go around, in words",
        **ACCURACY,
    }

    def __init__(self, files: list[int], channels: tuple[Channel, ...]) -> None:
        super().__init__(channels)
        self.files = files

    @classmethod
    def open(cls, place: Place) -> Source:
        """Open the chip that ``address`` names."""
        settings = place.settings
        level = settings.get("level", "board")
        if level not in ("board", "wall"):
            raise SourceUnavailable(f"level: {level} is unknown; use board or wall")
        folder, chip, device = _find(place.root, str(settings.get("address", "")))
        names = next((names for names in READINGS if all((folder / name).exists() for name in names)), None)
        if names is None:
            raise SourceUnavailable(f"{folder} ({chip} {device}) measures neither energy nor power, nor voltage and current")
        scope = f"{settings.get('scope', 'what its wires go around')} ({chip} {device})"
        kind: Literal["counter", "power"] = "counter" if names[0].startswith("energy") else "power"
        reading = channel(kind, scope, {**settings, "level": level}, _lsb_uW(folder, chip, names), _cycle_s(folder, chip), 1e-6)
        meter = cls([], channels(*((None, reading) if kind == "counter" else (reading, None))))
        with ExitStack() as on_failure:
            on_failure.callback(meter.close)
            try:
                for name in names:
                    meter.files.append(place.opener(folder / name))
                meter.values()
            except (OSError, ValueError) as error:
                raise SourceUnavailable(
                    f"{folder / name} ({chip} {device}): {error}; `sudo chmod a+r` it, or see dmesg"
                ) from None
            on_failure.pop_all()
        return meter

    def values(self) -> dict[str, int]:
        """Microjoules or microwatts of the chip."""
        return {self.channels[0].id: math.prod(int(os.pread(file, 32, 0)) for file in self.files)}

    def close(self) -> None:
        """Close what ``open`` opened."""
        for file in self.files:
            os.close(file)


def _find(root: Path, address: str) -> tuple[Path, str, str]:
    """The folder of the chip that ``address`` names, its name and its i2c device."""
    known, matching = [], []
    for folder in sorted((root / "sys/class/hwmon").glob("hwmon*")):
        chip = (_text(folder / "name") or "?").lower()
        device = (folder / "device").resolve().name
        labels = [label for label in (_text(path) for path in sorted(folder.glob("*_label"))) if label]
        known.append(f"{chip} {device}")
        if address in (f"{chip} {device}", device, chip, *labels):
            matching.append((folder, chip, device))
    if len(matching) == 1:
        return matching[0]
    how_many = "several" if matching else "none"
    raise SourceUnavailable(
        f"address: {address!r} names {how_many} of the chips {', '.join(known) or '(there are none)'} in "
        f"{root / 'sys/class/hwmon'}; give name and device, and load the chip's driver (ina2xx, ina238)"
    )


def _text(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None


def _cycle_s(folder: Path, chip: str) -> float:
    interval_ms = _text(folder / "update_interval")
    return int(interval_ms) / 1e3 if interval_ms else CYCLE_S.get(chip, USUAL_CYCLE_S)


def _lsb_uW(folder: Path, chip: str, names: tuple[str, ...]) -> float:
    """The drivers of the other chips do not tell their shunt: 1."""
    shunt_uohm = _text(folder / "shunt_resistor")
    if names != ("power1_input",) or chip not in POWER_LSB_UW_OHM or not shunt_uohm:
        return 1.0
    return POWER_LSB_UW_OHM[chip] * 1e6 / int(shunt_uohm)
