"""Rack distribution units and others that answer SNMP, by pysnmp (an extra: ``pip install edgejoule[snmp]``).

Reads the object ``oid`` in its ``unit`` times ``scale``; ``energy_oid`` with ``energy_unit`` and ``energy_scale`` is a counter
beside a power. Which object has what is in the maker's MIB: APC's second generation has power in hundredths of a kilowatt
(``unit: W, scale: 10``), whole 10 W steps, so a small board is seen badly; outlets of metered units in watts. There is no
default. Both numbers come in one request (GET). Version 2c with ``community_env`` (default: the community public), or 3
with ``user``, ``password_env`` (SHA) and ``privacy_env`` (AES). Steps are one unit of the number, or the last digit of text.
How often a unit renews its values is its own, seconds mostly: taken to be ``period_s`` (default 1.0). It includes what hangs
on the outlet, bank or unit that the object is of. Never run on the hardware: a real agent (snmpd) in tests only.
"""

from __future__ import annotations

from typing import ClassVar

from bench.energy.sensor_base.external_meter import ACCURACY, LEVEL, PASSWORD, Meter
from bench.energy.sensor_base.quantity_settings import UNIT_SETTINGS, NamedQuantity, named_quantities, quantity_channels
from bench.energy.sensor_base.source import Place, Source, SourceUnavailable, register
from bench.energy.transport.snmp_agent import Agent, oid_of
from bench.joules.channel import Channel


@register
class Snmp(Meter):
    """Objects of an agent: a power, a counter, or both."""

    name: ClassVar[str] = "snmp"
    rank: ClassVar[int] = 54
    networked: ClassVar[bool] = True
    settings: ClassVar[dict[str, str]] = {
        "address": "the agent, such as 192.168.1.70 or 192.168.1.70:161",
        "oid": "the object, in numbers, such as 1.3.6.1.4.1.318.1.1.26.4.3.1.5.1",
        **UNIT_SETTINGS,
        "scale": "what one unit of that number is, such as 10 for hundredths of a kW in W (default 1)",
        "energy_oid": "an object that is a counter, beside a power",
        "energy_scale": "the same of the counter (default 1)",
        "period_s": "how often to read it (default 1.0)",
        "community_env": "version 2c: the environment variable that holds the community (default: public)",
        "user": "version 3: the user",
        **PASSWORD,
        "privacy_env": "version 3: the environment variable that holds the passphrase for AES (default: no privacy)",
        **LEVEL,
        **ACCURACY,
    }

    def __init__(
        self, agent: Agent, quantities: dict[str, NamedQuantity], period_s: float, channels: tuple[Channel, ...]
    ) -> None:
        super().__init__(channels)
        self.agent, self.quantities = agent, quantities
        self.oids = _oids(quantities)
        self.period_s = period_s  # an entry may have its own

    @classmethod
    def open(cls, place: Place) -> Source:
        """Open the agent, asked once."""
        settings = place.settings
        quantities = named_quantities(settings, "oid", "1.3.6.1.4.1.318.1.1.26.4.3.1.5.1")
        oids = _oids(quantities)
        agent = Agent(settings)
        try:
            numbers = dict(zip(quantities, agent.numbers(oids), strict=True))
        except (OSError, ValueError) as error:
            agent.close()
            raise SourceUnavailable(
                f"the agent {agent.where} cannot be read: {error}; check address, oid, and community or user"
            ) from None
        period_s = float(settings.get("period_s", cls.period_s))
        scope = f"everything behind the unit at {agent.where}, by {' and '.join(oids)}"
        return cls(agent, quantities, period_s, quantity_channels(quantities, numbers, scope, settings, period_s))

    def values(self) -> dict[str, int]:
        """Microwatts and microjoules."""
        numbers = self.agent.numbers(self.oids)
        return {name: one.raw(number) for (name, one), number in zip(self.quantities.items(), numbers, strict=True)}

    def close(self) -> None:
        """Close what ``open`` opened."""
        self.agent.close()


def _oids(quantities: dict[str, NamedQuantity]) -> list[str]:
    return [oid_of(one.setting, one.where) for one in quantities.values()]
