"""Meters on a rail or in a cabinet that speak Modbus TCP, by pymodbus (an extra: ``pip install edgejoule[modbus]``).

Reads the number at ``register`` of the holding or input ``table``, of its ``type`` (int16 to uint64, float32, float64) and
``word_order``, in its ``unit`` times ``scale``; ``energy_register`` (``energy_type``, ``energy_unit``, ``energy_scale``) is a
counter beside a power. Which register has what is in the maker's table, and numbers there often count from 30001 (input) or
40001 (holding): give the protocol's address, from 0. There is no default unit. All bits set, the least integer, and infinity
are no value. Steps are one unit of an integer, the last of seven digits of a float32. How often a meter renews its registers is
its own: taken to be ``period_s`` (default 1.0); two numbers are two requests. No permission is needed: Modbus has none. It
includes what the meter is in front of. Never run on the hardware: pymodbus' own server in tests only.
"""

from __future__ import annotations

from typing import ClassVar

from bench.energy.sensor_base.external_meter import ACCURACY, LEVEL, Meter
from bench.energy.sensor_base.quantity_settings import UNIT_SETTINGS, NamedQuantity, named_quantities, quantity_channels
from bench.energy.sensor_base.source import Place, Source, SourceUnavailable, register
from bench.energy.transport.modbus_registers import Device, Register, register_of
from bench.joules.channel import Channel


@register
class Modbus(Meter):
    """Registers of a device: a power, a counter, or both."""

    name: ClassVar[str] = "modbus"
    rank: ClassVar[int] = 54
    networked: ClassVar[bool] = True
    settings: ClassVar[dict[str, str]] = {
        "address": "the device or its gateway, such as 192.168.1.71 or 192.168.1.71:502",
        "device": "its number behind a gateway (default 1)",
        "table": "holding (default) or input",
        "register": "the number's first register, by the protocol's address from 0",
        "type": "int16, uint16 (default), int32, uint32, int64, uint64, float32 or float64",
        "word_order": "of numbers of several registers: big (default) or little",
        "byte_order": "inside of a register: big (default) or little",
        **UNIT_SETTINGS,
        "scale": "what one unit of that number is, such as 0.1 (default 1)",
        "energy_register": "the first register of a counter, beside a power",
        "energy_type": "of the counter (default: that of the number)",
        "energy_scale": "what one unit of the counter is (default 1)",
        "period_s": "how often to read it (default 1.0)",
        **LEVEL,
        **ACCURACY,
    }

    def __init__(
        self,
        device: Device,
        places: dict[str, Register],
        quantities: dict[str, NamedQuantity],
        period_s: float,
        channels: tuple[Channel, ...],
    ) -> None:
        super().__init__(channels)
        self.device, self.places, self.quantities = device, places, quantities
        self.period_s = period_s  # an entry may have its own

    @classmethod
    def open(cls, place: Place) -> Source:
        """Open the device, asked once."""
        settings = place.settings
        quantities = named_quantities(settings, "register", "0")
        places = {
            name: register_of(settings, one.setting.removesuffix("register"), one.where) for name, one in quantities.items()
        }
        device = Device(settings)
        try:
            numbers = {name: device.number(one) for name, one in places.items()}
        except (OSError, ValueError) as error:
            device.close()
            raise SourceUnavailable(
                f"{device.where}, device {device.device}: {error}; check address, device, table, register and type"
            ) from None
        period_s = float(settings.get("period_s", cls.period_s))
        by = " and ".join(f"{device.table} register {one.number} ({one.type})" for one in places.values())
        scope = f"everything behind device {device.device} at {device.where}, by {by}"
        return cls(device, places, quantities, period_s, quantity_channels(quantities, numbers, scope, settings, period_s))

    def values(self) -> dict[str, int]:
        """Microwatts and microjoules."""
        return {name: one.raw(self.device.number(self.places[name])) for name, one in self.quantities.items()}

    def close(self) -> None:
        """Close what ``open`` opened."""
        self.device.close()
