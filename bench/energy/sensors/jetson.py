"""Power of a Jetson's supply rails, from the sensors on its module: INA3221, and on Thor an INA238 at the board's input.

Reads, for each rail, voltage and current of the kernel's hwmon driver (``/sys/bus/i2c/drivers/ina3221/B-00AA/hwmon/hwmonN/
inX_input`` in mV, ``currX_input`` in mA, JetPack 5 and later), or power of the older driver (``ina3221x/B-00AA/iio:deviceN/
in_powerX_input`` in mW, JetPack 4), or power of the INA238 (``power1_input`` in uW). Rails are known by their label. A raw
value is mV * mA, an exact integer of microwatts; 8 mV and 40 uV / shunt are the steps, so 8 mA with 5 mOhm.

Three channels of 2.2 ms are renewed every 6.6 ms, unless ``update_interval`` says otherwise. Each file waits for the
sensor's next conversion: a rail takes up to 13 ms, three rails about 40 ms, in which the processor sleeps; voltage and
current come from different conversions. No permission is needed on most systems.

A total rail (VDD_IN, POM_5V_IN: the module; VIN: module and carrier board) contains all others. Boards without one are
the sum of rails that are fed side by side: AGX Xavier, AGX Orin. A rail inside of a total that fails during a run is left
out, and the record says how many of its readings failed. Their carrier board is not seen. The sensors' accuracy
depends on the shunts and is not published.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from bench.energy.sensor_base.jetson_rails import Rail, arrange
from bench.energy.sensor_base.kernel_numbers import KernelNumbers, number_of, said, text_of
from bench.energy.sensor_base.part_readings import PartReadings
from bench.energy.sensor_base.source import Place, Source, SourceUnavailable, register
from bench.joules.channel import Channel, Kind

CONVERSION_S = 2.2e-3
INA238_CYCLE_S = 16 * 3 * 1.052e-3
"""The kernel has it average 16 samples of shunt, bus and temperature."""
SHUNT_LSB_NV, USUAL_SHUNT_UOHM = 40_000, 5_000
FOLDERS = {"ina3221": "hwmon/hwmon*", "ina3221x": "iio:device*", "ina238": "hwmon/hwmon*"}


@dataclass(frozen=True)
class Sensor:
    """A rail as the kernel shows it: the product of the numbers in ``files``, times ``scale``, is its power in watts."""

    label: str
    files: tuple[Path, ...]
    voltage: Path
    scale: float
    update_period_s: float
    current_lsb_mA: float


@register
class Jetson(Source):
    """The rails of the board, those of the total first."""

    name: ClassVar[str] = "jetson"
    kind: ClassVar[Kind] = "measured"
    rank: ClassVar[int] = 20
    sensor: ClassVar[str] = "jetson"
    not_measured: tuple[str, ...] = ("power supply losses", "carrier board, except where there is a rail VIN")

    def __init__(self, numbers: list[KernelNumbers], channels: tuple[Channel, ...]) -> None:
        self.numbers, self.channels = numbers, channels
        self.parts = PartReadings(channels)
        self.failed_parts = self.parts.failures

    @classmethod
    def open(cls, place: Place) -> Source:
        """Open all rails that are known parts of the total; a part that cannot be read is left out, and said so."""
        sensors = find_sensors(place.root)
        by_label = {sensor.label: sensor for sensor in sensors}
        opened, channels, unread = list[KernelNumbers](), list[Channel](), dict[str, str]()
        for rail in arrange([sensor.label for sensor in sensors]):
            sensor, numbers = by_label[rail.label], None
            try:
                numbers = KernelNumbers(sensor.files, place.opener)
                math.prod(numbers.first())
                voltage_mV = number_of(sensor.voltage) or 0
            except (OSError, ValueError) as error:
                if numbers is not None:
                    numbers.close()
                if rail.level == "component":
                    unread[rail.label] = said(error)
                    continue
                cls(opened, ()).close()
                raise SourceUnavailable(
                    f"rail {rail.label}, {said(error)}; see whether this user may read it, or use energy.source=jtop"
                ) from None
            opened.append(numbers)
            channels.append(_channel(rail, sensor, voltage_mV))
        return cls(opened, _without(channels, unread))

    def read(self) -> list[int]:
        """Power of each rail, in the unit of its driver; a part of another rail that fails does not take the others with it."""
        return [
            self.parts.value(channel.id, lambda numbers=numbers: math.prod(numbers.read()))  # type: ignore[misc]
            for channel, numbers in zip(self.channels, self.numbers, strict=True)
        ]

    def close(self) -> None:
        """Close what ``open`` opened."""
        for numbers in self.numbers:
            numbers.close()


def _without(channels: Sequence[Channel], unread: Mapping[str, str]) -> tuple[Channel, ...]:
    """Channels without the rails that cannot be read; the first channel's scope names those."""
    if not unread:
        return tuple(channels)
    words = "; ".join(f"{label} left out: {why}" for label, why in unread.items())
    kept = [replace(c, contains=tuple(name for name in c.contains if name not in unread)) for c in channels]
    return (replace(kept[0], scope=f"{kept[0].scope}; {words}"), *kept[1:])


def _channel(rail: Rail, sensor: Sensor, voltage_mV: int) -> Channel:
    return Channel(
        id=rail.label,
        kind="power",
        scale=sensor.scale,
        scope=rail.scope,
        level=rail.level,
        update_period_s=sensor.update_period_s,
        # A step of the current, at the voltage of now, is a step of the power.
        lsb=max(1.0, abs(voltage_mV) * sensor.current_lsb_mA * 1e-6 / sensor.scale),
        contains=rail.contains,
    )


def find_sensors(root: Path) -> list[Sensor]:
    """All sensors with labelled rails.

    Args:
        root: Where the host's ``sys`` is.

    Returns:
        The sensors, at least one.

    Raises:
        SourceUnavailable: There is none.
    """
    kinds = {"ina3221": _hwmon, "ina3221x": _iio, "ina238": _input_sensor}
    sensors = [sensor for driver, folder in _folders(root) for sensor in kinds[driver](folder)]
    if not sensors:
        raise SourceUnavailable(
            f"{root / 'sys/bus/i2c/drivers'} has no ina3221, ina3221x or ina238 with rails: no Jetson with a power sensor "
            "(the Nano 2GB has none); use a meter"
        )
    return sensors


def sensor_settings(root: Path) -> dict[str, dict[str, Any]]:
    """How the sensors are set, for the record.

    Args:
        root: Where the host's ``sys`` is.

    Returns:
        Settings by i2c device; None for one that the driver does not tell.
    """
    by_device: dict[str, dict[str, Any]] = {}
    for driver, folder in _folders(root):
        device = folder.parent if driver == "ina3221x" else folder.parent.parent
        by_device[device.name] = {
            "driver": driver,
            "update_interval_ms": number_of(folder / "update_interval"),
            "samples": number_of(folder / "samples"),
            "shunt_uohm": {path.name.split("_")[0]: number_of(path) for path in sorted(folder.glob("shunt*_resistor"))},
        }
    return by_device


def _folders(root: Path) -> list[tuple[str, Path]]:
    """Each sensor's driver and the folder of its readings, in the order of the i2c addresses."""
    drivers = root / "sys/bus/i2c/drivers"
    return [(name, folder) for name, below in FOLDERS.items() for folder in sorted((drivers / name).glob(f"*-00*/{below}"))]


def _hwmon(folder: Path) -> list[Sensor]:
    """Inputs 1 to 3; 4 to 7 are shunt voltages and their sum. A rail that is not connected has no label, or NC."""
    labels = {n: label for n in (1, 2, 3) if (label := text_of(folder / f"in{n}_label"))}
    interval_ms, samples = number_of(folder / "update_interval"), number_of(folder / "samples") or 1
    period_s = interval_ms / 1e3 if interval_ms and interval_ms > 0 else CONVERSION_S * len(labels) * samples
    sensors = []
    for n, label in labels.items():
        voltage, current = folder / f"in{n}_input", folder / f"curr{n}_input"
        shunt_uohm = number_of(folder / f"shunt{n}_resistor") or USUAL_SHUNT_UOHM
        lsb_mA = SHUNT_LSB_NV / abs(shunt_uohm)
        sensors.append(Sensor(label, (voltage, current), voltage, 1e-6, period_s, lsb_mA))
    return [sensor for sensor in sensors if sensor.label != "NC"]


def _iio(folder: Path) -> list[Sensor]:
    texts = {path.name.rsplit("_", 1)[1]: text_of(path) for path in sorted(folder.glob("rail_name_*"))}
    labels = {n: label for n, label in texts.items() if label}
    sensors, lsb_mA = [], SHUNT_LSB_NV / USUAL_SHUNT_UOHM
    for n, label in labels.items():
        power, voltage = folder / f"in_power{n}_input", folder / f"in_voltage{n}_input"
        sensors.append(Sensor(label, (power,), voltage, 1e-3, CONVERSION_S * len(labels), lsb_mA))
    return [sensor for sensor in sensors if sensor.label != "NC"]


def _input_sensor(folder: Path) -> list[Sensor]:
    """The kernel gives the INA238 no label, and does not tell its shunt."""
    return [Sensor("VIN", (folder / "power1_input",), folder / "in1_input", 1e-6, INA238_CYCLE_S, 0.0)]
