"""A power and a counter as an entry names them: where each is in the meter's replies, and its unit.

Shared by meters whose replies say nothing of units (``http``, ``mqtt``, ``snmp``, ``modbus``). There is no default unit, for a
wrong one would be wrong joules. Raw values are whole microwatts and microjoules.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from bench.energy.sensor_base.external_meter import channel, channels, exact, micro, step
from bench.energy.sensor_base.source import Settings, SourceUnavailable
from bench.joules.channel import Channel

POWER_UNITS = {"mW": Decimal("0.001"), "W": Decimal(1), "kW": Decimal(1000)}
ENERGY_UNITS = {
    "J": Decimal(1),
    "kJ": Decimal(1000),
    "Wmin": Decimal(60),
    "mWh": Decimal("3.6"),
    "Wh": Decimal(3600),
    "kWh": Decimal(3_600_000),
}
"""Watts and joules of a unit."""
SCALE = 1e-6
UNIT_SETTINGS = {
    "unit": "of that number: mW, W, kW, or J, kJ, Wmin, mWh, Wh, kWh",
    "energy_unit": "of that counter: J, kJ, Wmin, mWh, Wh, kWh",
}


@dataclass(frozen=True)
class NamedQuantity:
    """One number of a meter.

    Attributes:
        where: Its place in the meter's replies, as the entry has it.
        setting: The setting that names the place.
        factor: Watts or joules of one of its units.
    """

    where: str
    setting: str
    factor: Decimal

    def raw(self, number: Decimal) -> int:
        """A reading in whole small units.

        Args:
            number: The number of the reply.

        Returns:
            Microwatts or microjoules.
        """
        return micro(number * self.factor)


def named_quantities(settings: Settings, setting: str, example: str, whole_reply: bool = False) -> dict[str, NamedQuantity]:
    """The power and the counter that an entry names.

    Args:
        settings: The meter's entry: ``SETTING``, ``unit`` and ``scale``, and the same with ``energy_`` before.
        setting: The setting that names a place, such as ``path``.
        example: A place, for the advice.
        whole_reply: Whether a unit without a place means the whole reply.

    Returns:
        By ``power`` and ``energy``; at least one.

    Raises:
        SourceUnavailable: The entry does not say what is read.
    """
    units = {**POWER_UNITS, **ENERGY_UNITS}
    quantities: dict[str, NamedQuantity] = {}
    for prefix, known in (("", units), ("energy_", ENERGY_UNITS)):
        place_key, unit_key = f"{prefix}{setting}", f"{prefix}unit"
        place, unit = settings.get(place_key), settings.get(unit_key)
        if place is None and unit is None:
            continue
        if (place is None and not (whole_reply and not prefix)) or str(unit) not in known:
            raise SourceUnavailable(
                f"{place_key}: {place} with {unit_key}: {unit} does not say what is read; give both, "
                f"the unit one of {', '.join(known)}"
            )
        name = "power" if str(unit) in POWER_UNITS else "energy"
        if name in quantities:
            raise SourceUnavailable(f"{setting} and {place_key} are two counters; make a meter of each, or {setting} a power")
        factor = known[str(unit)] * _scale(settings, f"{prefix}scale")
        quantities[name] = NamedQuantity("" if place is None else str(place), place_key, factor)
    if not quantities:
        raise SourceUnavailable(f"{setting} and unit are not given; give them, such as {setting}: {example} and unit: W")
    return quantities


def _scale(settings: Settings, key: str) -> Decimal:
    try:
        scale = exact(settings.get(key, 1))
    except ValueError as error:
        raise SourceUnavailable(f"{key}: {error}") from None
    if not scale:
        raise SourceUnavailable(f"{key}: 0 would make every reading 0; give what one unit of the number is")
    return scale


def quantity_channels(
    quantities: Mapping[str, NamedQuantity], numbers: Mapping[str, Decimal], scope: str, settings: Settings, period_s: float
) -> tuple[Channel, ...]:
    """The channels of the quantities, with the last digit of the first numbers as their step.

    Args:
        quantities: By ``power`` and ``energy``.
        numbers: The first number of each.
        scope: In words, the part of the cluster that the meter is in front of.
        settings: The meter's entry, for its level and accuracy.
        period_s: How often the meter renews them.

    Returns:
        One or two channels, the one that counts first.
    """
    made: dict[str, Channel] = {}
    for name, quantity in quantities.items():
        lsb = max(1, int(step(numbers[name], 9) * abs(quantity.factor) / 1000))
        made[name] = channel("power" if name == "power" else "counter", scope, settings, lsb, period_s, SCALE)
    return channels(made.get("power"), made.get("energy"))
