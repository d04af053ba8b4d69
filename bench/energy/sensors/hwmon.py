"""A chip of the kernel's hwmon that measures power or energy: wired to a host, a regulator's, or inside a server or GPU.

Wired: INA219, INA226, INA228, INA3221 and their like; regulators and power supplies by PMBus; inside a server, a processor or
a GPU: ACPI power meters (Grace), SCMI, X-Gene, zenergy, amdgpu, xe.

Reads, of the channel that the entry names, ``/sys/class/hwmon/hwmonN/energyK_input`` (microjoules), else ``powerK_input`` or
``powerK_average`` (microwatts), else ``inK_input`` times ``currK_input`` (mV, mA) of the same wire. Channels are known by
their labels, whatever the case; a chip with several is refused without ``channel`` or ``sum``. A value that is switched off
(``_enable`` 0) or faulty is refused too. Renewed every ``update_interval`` or ``powerK_average_interval``, else every 51 ms
(INA228, INA237, INA238), 1.1 ms (INA219, INA220), 1 s (other chips: the kernel may keep a reading that long). Steps follow
from the shunt: 2.5 uV * 25 (INA226) or 10 uV * 20 (INA219) over ``shunt_resistor``, 40 uV over ``shuntK_resistor`` (INA3221);
else 1 mV and 1 mA. Readable by everyone on most systems.

It includes what its wires go around: say so with ``scope`` and ``level``; chips inside a processor or GPU see that part alone
(``level: package``). Set the shunt that is soldered in, in the device tree or in ``shunt_resistor``: all values are in
proportion to it. The host that carries the chip reads it. Never run on the hardware.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Literal

from bench.energy.sensor_base.chip_choice import ChosenChannel, choose
from bench.energy.sensor_base.external_meter import ACCURACY, Meter, channel, channels
from bench.energy.sensor_base.hwmon_chips import find_chips
from bench.energy.sensor_base.kernel_numbers import KernelNumbers, number_of, open_numbers
from bench.energy.sensor_base.source import Place, Source, SourceUnavailable, register
from bench.joules.channel import Channel

CYCLE_S = {"ina219": 1.1e-3, "ina220": 1.1e-3, "ina226": 35.2e-3, "ina230": 35.2e-3, "ina231": 35.2e-3, "ina3221": 6.6e-3}
INA238_CYCLE_S = 16 * 3 * 1.052e-3
COUNTER_CYCLE_S, OTHER_CYCLE_S = 0.1, 1.0
POWER_LSB_UW_OHM = {"ina219": 200, "ina220": 200, "ina226": 62.5, "ina230": 62.5, "ina231": 62.5}
"""The step of the power register times the shunt."""
SHUNT_LSB_NV, BUS_LSB_MV, USUAL_SHUNT_UOHM = 40_000, 8, 10_000
"""Of an INA3221, and the shunt that its driver assumes."""
INSIDE_A_PART = ("zenergy", "amd_energy", "amdgpu", "xe", "i915", "k10temp", "nouveau", "power_meter", "apm_xgene")
"""Chips that are inside a processor, module or GPU and see nothing else."""


@register
class Hwmon(Meter):
    """Channels of a chip of the kernel's hwmon: their accumulator, their power, or voltage times current."""

    name: ClassVar[str] = "hwmon"
    rank: ClassVar[int] = 50
    period_s: float = 0.05
    levels: ClassVar[tuple[str, ...]] = ("board", "wall", "package")
    settings: ClassVar[dict[str, str]] = {
        "address": "the chip: its name and i2c device such as ina226 1-0040, either of them, or a channel's label",
        "channel": "the channel's label, or its files such as power2 or in3*curr2; needed where there are several",
        "sum": "instead: several channels that are added up, [a, b]",
        "level": "board (default: at the boards' inputs), wall (before their power supply) or package (a processor or GPU)",
        "scope": "what its wires go around, in words",
        **ACCURACY,
    }

    def __init__(self, numbers: Sequence[KernelNumbers], channels: tuple[Channel, ...]) -> None:
        super().__init__(channels)
        self.numbers = numbers

    @classmethod
    def open(cls, place: Place) -> Source:
        """Open the channels that the entry names."""
        settings = place.settings
        chosen = choose(find_chips(place.root), place)
        kind = _kind(chosen)
        inside = all(one.chip.name in INSIDE_A_PART for one in chosen)
        level = settings.get("level", "package" if inside else "board")
        if level not in cls.levels:
            raise SourceUnavailable(f"level: {level} is unknown; use board, wall or package")
        numbers: list[KernelNumbers] = []
        first: list[list[int]] = []
        try:
            for one in chosen:
                title = f"{one.channel.name} of {one.chip.title}"
                opened, values = open_numbers([part.path for part in one.channel.best], place.opener, title)
                numbers.append(opened)
                first.append(values)
        except SourceUnavailable:
            for opened in numbers:
                opened.close()
            raise
        lsb_uW = math.hypot(*(_lsb_uW(one, values) for one, values in zip(chosen, first, strict=True)))
        update_s = max(_cycle_s(one) for one in chosen)
        scope = f"{settings.get('scope', 'what its wires go around')} ({_said_of(chosen)})"
        reading = channel(kind, scope, {**settings, "level": level}, lsb_uW, update_s, 1e-6)
        return cls(numbers, channels(*((None, reading) if kind == "counter" else (reading, None))))

    def values(self) -> dict[str, int]:
        """Microjoules or microwatts of the channels, added up."""
        return {self.channels[0].id: sum(math.prod(numbers.read()) for numbers in self.numbers)}

    def close(self) -> None:
        """Close what ``open`` opened."""
        for numbers in self.numbers:
            numbers.close()


def _kind(chosen: Sequence[ChosenChannel]) -> Literal["counter", "power"]:
    """Counters are not added to powers."""
    counters = [one.channel.name for one in chosen if one.channel.best[0].kind == "energy"]
    if counters and len(counters) < len(chosen):
        powers = [one.channel.name for one in chosen if one.channel.name not in counters]
        raise SourceUnavailable(
            f"sum: {', '.join(counters)} counts energy and {', '.join(powers)} has power only; make a meter of each"
        )
    return "counter" if counters else "power"


def _said_of(chosen: Sequence[ChosenChannel]) -> str:
    """Chips and channels in words, with what an average is over."""
    texts = []
    for one in chosen:
        first = one.channel.best[0]
        average = f", average over {first.interval_ms} ms" if first.interval_ms else ", average" if first.averaged else ""
        texts.append(f"{one.chip.title}: {one.channel.title}{average}")
    return " + ".join(texts)


def _cycle_s(one: ChosenChannel) -> float:
    first = one.channel.best[0]
    interval_ms = first.interval_ms or number_of(one.chip.folder / "update_interval")
    if interval_ms is not None and interval_ms > 0:
        return interval_ms / 1e3
    if one.chip.name.startswith("ina"):
        return CYCLE_S.get(one.chip.name, INA238_CYCLE_S)
    return COUNTER_CYCLE_S if first.kind == "energy" else OTHER_CYCLE_S


def _lsb_uW(one: ChosenChannel, values: Sequence[int]) -> float:
    """The drivers of most chips do not tell their shunt: the files' last digits."""
    chip, parts = one.chip, one.channel.best
    if len(parts) == 1:
        shunt_uohm = number_of(chip.folder / "shunt_resistor")
        known = parts[0].kind == "power" and chip.name in POWER_LSB_UW_OHM and shunt_uohm is not None and shunt_uohm > 0
        return POWER_LSB_UW_OHM[chip.name] * 1e6 / (shunt_uohm or 1) if known else 1.0
    step_mV, step_mA = 1.0, 1.0
    if chip.name == "ina3221":
        shunt_uohm = number_of(chip.folder / f"shunt{parts[1].number}_resistor")
        step_mV, step_mA = BUS_LSB_MV, SHUNT_LSB_NV / (shunt_uohm if shunt_uohm and shunt_uohm > 0 else USUAL_SHUNT_UOHM)
    return max(1.0, math.hypot(values[0] * step_mA, values[1] * step_mV))
