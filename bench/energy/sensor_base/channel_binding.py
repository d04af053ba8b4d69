"""Which values of a chip belong to one channel: joules, watts, volts and amperes of the same wire. Pure.

Labels bind first: the same label, or labels that differ in the words for volts, amperes, watts and joules only (``vin``,
``iin`` and ``pin``; ``vout1``, ``iout1`` and ``pout1`` of a regulator). A kind without any label takes the labels of the kind
that has them, number by number, as the INA3221 does. Without labels the same number is the same channel where volts and
amperes have the same numbers; else they are bound only where the chip is known, never the volts of an input to the amperes
of an output.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.energy.sensor_base.hwmon_chips import Electric, Quantity

BOUND_BY_NUMBER: Mapping[str, tuple[tuple[int, int], ...]] = {
    "ina3221": ((1, 1), (2, 2), (3, 3)),  # in4 to in6 are shunt voltages, in7 and curr4 are sums
    "ltc4151": ((1, 1),),
    "ltc2990": ((1, 1), (3, 2)),
    "adm1177": ((0, 1),),
}
"""Volts and amperes of one wire, where numbers alone do not tell: by the driver's documentation in the kernel."""
REGULATOR = re.compile(r"([vip])(in|out|cap|mon)(\d*(?:\.\d+)?)\Z")
ELECTRIC_WORDS = {
    *("v", "i", "p", "e", "volt", "volts", "voltage", "curr", "current", "amp", "amps", "ampere"),
    *("power", "pow", "pwr", "watt", "watts", "energy", "enm", "enrg", "joule"),
}
"""Words of a label that say what is measured, not where."""


@dataclass(frozen=True)
class ChipChannel:
    """One wire of a chip: its joules, its watts, or its volts and amperes; whichever of them the chip has."""

    name: str
    energy: Quantity | None = None
    power: Quantity | None = None
    voltage: Quantity | None = None
    current: Quantity | None = None

    @property
    def best(self) -> tuple[Quantity, ...]:
        """What to read: joules before watts before volts and amperes, of those that measure; empty where none does."""
        for group in ((self.energy,), (self.power,), (self.voltage, self.current)):
            working = [part for part in group if part is not None and part.off is None]
            if len(working) == len(group):
                return tuple(working)
        return ()

    @property
    def off(self) -> str:
        """Why it measures nothing; empty where it does."""
        whys = [part.off for part in (self.energy, self.power, self.voltage, self.current) if part is not None and part.off]
        return "" if self.best else " and ".join(whys)

    @property
    def title(self) -> str:
        """Its name, with the files' names where the name is a label."""
        files = "*".join(part.short_name for part in self.best)
        return self.name if self.name == files or not files else f"{self.name} ({files})"


def bind(chip: str, quantities: Sequence[Quantity]) -> list[ChipChannel]:
    """The channels of a chip.

    Args:
        chip: The driver's name for it, in small letters.
        quantities: All its values.

    Returns:
        The channels that measure power or energy, or would if they were switched on, in the order of their numbers.
    """
    keys = _keys(chip, quantities)
    channels: list[ChipChannel] = []
    for key in dict.fromkeys(keys.values()):
        part = {quantity.kind: quantity for quantity in quantities if keys[quantity] == key}
        energy, power, voltage, current = (part.get(kind) for kind in ("energy", "power", "in", "curr"))
        if voltage is None and current is not None:
            voltage = _common_input(key, keys)
        if voltage is None or current is None or not _may_bind(chip, voltage, current, quantities):
            voltage = current = None
        if any((energy, power, voltage)):
            channels.append(ChipChannel(_name(energy, power, voltage, current), energy, power, voltage, current))
    return channels


def _keys(chip: str, quantities: Sequence[Quantity]) -> dict[Quantity, str]:
    """What the values of one wire have in common; never two of one kind."""
    keys = {quantity: _key(quantity, quantities) for quantity in quantities}
    for voltage_number, current_number in BOUND_BY_NUMBER.get(chip, ()):
        voltage, current = _numbered(quantities, "in", voltage_number), _numbered(quantities, "curr", current_number)
        if voltage is not None and current is not None:
            keys[current] = keys[voltage]
    times = Counter((quantity.kind, key) for quantity, key in keys.items())
    twice = {key for (_, key), number in times.items() if number > 1}
    return {quantity: f"{key} #{quantity.number}" if key in twice else key for quantity, key in keys.items()}


def _key(quantity: Quantity, quantities: Sequence[Quantity]) -> str:
    """What values of one wire have in common: the label without the electric words, or the number."""
    label = quantity.label or _label_of_number(quantity, quantities)
    words = stem(label) if label else ""
    if words:
        return words
    # Joules belong to the watts of their number only where there are as many of both.
    alone = quantity.kind == "energy" and not _same_numbers("energy", "power", quantities)
    return f"energy#{quantity.number}" if alone else f"#{quantity.number}"


def _label_of_number(quantity: Quantity, quantities: Sequence[Quantity]) -> str | None:
    """For a kind without labels: the label of the same number in a kind that has the same numbers."""
    if any(other.label for other in quantities if other.kind == quantity.kind):
        return None
    for kind in ("power", "energy", "curr", "in"):
        other = _numbered(quantities, kind, quantity.number)
        if other is not None and other.label and _same_numbers(quantity.kind, kind, quantities):
            return other.label
    return None


def _same_numbers(one: Electric, other: Electric, quantities: Sequence[Quantity]) -> bool:
    """Whether two kinds have the same numbers; in0, which is a shunt or a supply, does not count."""
    numbers = [{q.number for q in quantities if q.kind == kind and (q.kind, q.number) != ("in", 0)} for kind in (one, other)]
    return numbers[0] == numbers[1]


def stem(label: str) -> str:
    """A label without what says volts, amperes, watts or joules.

    Args:
        label: As the driver has it.

    Returns:
        Its other words in small letters; empty where there are none.
    """
    regulator = REGULATOR.match(label.lower())
    if regulator is not None:
        return f"{regulator[2]} {regulator[3]}".strip()
    words = re.findall(r"[a-z]+\d*|[^a-z\s_:;,()-]+", label.lower())
    return " ".join(word for word in words if word not in ELECTRIC_WORDS)


def _numbered(quantities: Sequence[Quantity], kind: Electric, number: int) -> Quantity | None:
    return next((quantity for quantity in quantities if quantity.kind == kind and quantity.number == number), None)


def _common_input(key: str, keys: Mapping[Quantity, str]) -> Quantity | None:
    """The one input voltage of a regulator, for the current of one of its pages (``iin1``)."""
    if not re.fullmatch(r"in \d+", key):
        return None
    inputs = [quantity for quantity, other in keys.items() if quantity.kind == "in" and other == "in"]
    return inputs[0] if len(inputs) == 1 else None


def _may_bind(chip: str, voltage: Quantity, current: Quantity, quantities: Sequence[Quantity]) -> bool:
    """Whether volts and amperes are of one wire for sure."""
    if chip in BOUND_BY_NUMBER:
        return (voltage.number, current.number) in BOUND_BY_NUMBER[chip]
    return bool(voltage.label and current.label) or _same_numbers("in", "curr", quantities)


def _name(energy: Quantity | None, power: Quantity | None, voltage: Quantity | None, current: Quantity | None) -> str:
    parts = [part for part in (energy, power, voltage, current) if part is not None]
    labels = [part.label for part in parts if part.label]
    return labels[0] if labels else "*".join(part.short_name for part in (parts if energy is power is None else parts[:1]))
