"""Shelly plugs and meters of the second generation and later, by HTTP.

Reads ``GET /rpc/Switch.GetStatus?id=N`` (or ``PM1``, ``EM1``): ``apower`` in watts (replies show steps of 0.1 W) and
``aenergy.total`` in watt-hours with three decimals, which is 3.6 J: the counter counts. An ``EM1`` clamp has its
counter in ``EM1Data`` with two decimals, 36 J: there the power counts. The makers do not say how often a value is
renewed, nor its accuracy for small loads: one second is assumed, and ``accuracy`` is yours to give. Read each second.
No permission is needed, or the device's password (digest, SHA-256). It includes all behind the socket or clamp, the
power supplies too. A counter that is set to zero while it is read is seen and makes the energy invalid.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from bench.energy.sensor_base.external_meter import ACCURACY, PASSWORD, Meter, channel, channels, exact, micro, pick, whole
from bench.energy.sensor_base.source import Place, Source, SourceUnavailable, register
from bench.energy.transport.http_json import Client, meter_client
from bench.joules.channel import Channel

UPDATE_PERIOD_S = 1.0
POWER_LSB_UW = 100_000


@dataclass(frozen=True)
class Component:
    """Where a component has its power (W) and its counter (Wh), and the counter's step in microwatt-hours."""

    namespace: str
    power: str
    energy_namespace: str
    energy: tuple[str, ...]
    energy_lsb: int


COMPONENTS = {
    "switch": Component("Switch", "apower", "Switch", ("aenergy", "total"), 1_000),
    "pm1": Component("PM1", "apower", "PM1", ("aenergy", "total"), 1_000),
    "em1": Component("EM1", "act_power", "EM1Data", ("total_act_energy",), 10_000),
}


@register
class Shelly(Meter):
    """Power and counter of one component."""

    name: ClassVar[str] = "shelly"
    rank: ClassVar[int] = 50
    networked: ClassVar[bool] = True
    settings: ClassVar[dict[str, str]] = {
        "address": "the plug's URL, such as http://192.168.1.50",
        "component": "what measures: switch (default), pm1 or em1",
        "channel": "the component's id (default 0)",
        "user": "always admin (default)",
        **PASSWORD,
        **ACCURACY,
    }

    def __init__(self, client: Client, component: Component, number: int, channels: tuple[Channel, ...]) -> None:
        super().__init__(channels)
        self.client, self.component, self.number = client, component, number

    @classmethod
    def open(cls, place: Place) -> Source:
        """Open the component, asked once."""
        component = COMPONENTS.get(str(place.settings.get("component", "switch")))
        if component is None:
            raise SourceUnavailable(f"component: {place.settings['component']} is unknown; use {', '.join(COMPONENTS)}")
        number = whole(place.settings, "channel", 0)
        client = meter_client(place.settings, "digest", "admin")
        try:
            scope = f"everything behind {_model(client)}, power supplies included"
            power = channel("power", scope, place.settings, POWER_LSB_UW, UPDATE_PERIOD_S)
            energy = channel("counter", scope, place.settings, component.energy_lsb, UPDATE_PERIOD_S)
            source = cls(client, component, number, channels(power, energy))
            try:
                source.values()
            except (OSError, ValueError) as error:
                client.explain(error, f"Shelly with a {component.namespace} component of id {number} that measures power")
        except SourceUnavailable:
            client.close()
            raise
        return source

    def values(self) -> dict[str, int]:
        """Microwatts and microwatt-hours."""
        component = self.component
        status = self._status(component.namespace)
        counters = status if component.energy_namespace == component.namespace else self._status(component.energy_namespace)
        return {
            "power": micro(exact(pick(status, component.power))),
            "energy": micro(exact(pick(counters, *component.energy))),
        }

    def _status(self, namespace: str) -> Any:
        return self.client.get(f"/rpc/{namespace}.GetStatus?id={self.number}")

    def close(self) -> None:
        """Close what ``open`` opened."""
        self.client.close()


def _model(client: Client) -> str:
    """The device in words; ``/shelly`` needs no password in any generation."""
    about = client.first("/shelly", "Shelly")
    if isinstance(about, dict) and "gen" not in about and "type" in about:
        raise SourceUnavailable(
            f"{client.where} is a Shelly of the first generation ({about['type']}), which has no /rpc; use one of the "
            "second or later, or put Tasmota on it and use source: tasmota"
        )
    if not isinstance(about, dict) or "gen" not in about:
        raise SourceUnavailable(f"{client.where}/shelly says {str(about)[:60]}: no Shelly; check the address")
    return f"Shelly {about.get('model')} (generation {about['gen']}, firmware {about.get('ver')})"
