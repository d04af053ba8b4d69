"""Shelly plugs and meters of the second generation and later, by HTTP.

Reads ``GET /rpc/Switch.GetStatus?id=N`` (or ``PM1``, ``EM1``, ``EM``, ``Light``, ``Cover``): ``apower`` in watts (replies
show steps of 0.1 W) and
``aenergy.total`` in watt-hours with three decimals, which is 3.6 J: the counter counts. An ``EM1`` clamp has its
counter in ``EM1Data`` with two decimals, 36 J (three phases: ``EM``, ``EMData``): there the power counts. A device with
several components that measure is refused without ``channel`` or ``sum``, with what each reads. The makers do not
say how often a value is renewed, nor its accuracy for small loads: one second is assumed, and ``accuracy`` is yours to
give. Read each second.
No permission is needed, or the device's password (digest, SHA-256). It includes all behind the socket or clamp, the
power supplies too. A counter that is set to zero while it is read is seen and makes the energy invalid.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from bench.energy.sensor_base.external_meter import (
    ACCURACY,
    PASSWORD,
    Meter,
    asked_ids,
    channel,
    channels,
    exact,
    micro,
    pick,
)
from bench.energy.sensor_base.source import Place, Source, SourceUnavailable, register
from bench.energy.transport.http_json import Client, StatusError, meter_client
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
    "em": Component("EM", "total_act_power", "EMData", ("total_act",), 10_000),
    "light": Component("Light", "apower", "Light", ("aenergy", "total"), 1_000),
    "cover": Component("Cover", "apower", "Cover", ("aenergy", "total"), 1_000),
}


@register
class Shelly(Meter):
    """Power and counter of one component, or of several of a kind added up."""

    name: ClassVar[str] = "shelly"
    rank: ClassVar[int] = 50
    networked: ClassVar[bool] = True
    settings: ClassVar[dict[str, str]] = {
        "address": "the plug's URL, such as http://192.168.1.50",
        "component": "what measures: switch, pm1, em1, em (three phases), light or cover (default: the only one that does)",
        "channel": "the component's id from 0, or all; needed where there are several",
        "sum": "instead: several ids that are added up, [0, 1]",
        "user": "always admin (default)",
        **PASSWORD,
        **ACCURACY,
    }

    def __init__(self, client: Client, component: Component, numbers: tuple[int, ...], channels: tuple[Channel, ...]) -> None:
        super().__init__(channels)
        self.client, self.component, self.numbers = client, component, numbers

    @classmethod
    def open(cls, place: Place) -> Source:
        """Open the components, asked once."""
        asked = str(place.settings["component"]) if "component" in place.settings else None
        if asked is not None and asked not in COMPONENTS:
            raise SourceUnavailable(f"component: {asked} is unknown; use {', '.join(COMPONENTS)}")
        ids = asked_ids(place.settings)
        client = meter_client(place.settings, "digest", "admin")
        try:
            model = _model(client)
            kind, numbers = _choose(_there(client), asked, ids)
            component = COMPONENTS[kind]
            of_several = f", {kind} {' + '.join(map(str, numbers))}" if numbers != (0,) else ""
            scope = f"everything behind {model}{of_several}, power supplies included"
            power = channel("power", scope, place.settings, POWER_LSB_UW, UPDATE_PERIOD_S)
            energy = channel("counter", scope, place.settings, component.energy_lsb, UPDATE_PERIOD_S)
            source = cls(client, component, numbers, channels(power, energy))
            try:
                if not source._counts():
                    source = cls(client, component, numbers, channels(power, None))
                source.values()
            except (OSError, ValueError) as error:
                ids_in_words = " and ".join(map(str, numbers))
                client.explain(error, f"Shelly with a {component.namespace} component of id {ids_in_words} that measures power")
        except SourceUnavailable:
            client.close()
            raise
        return source

    def values(self) -> dict[str, int]:
        """Microwatts and microwatt-hours, those of several components added up."""
        component, counts = self.component, len(self.channels) > 1
        values = {"power": 0, "energy": 0} if counts else {"power": 0}
        for number in self.numbers:
            status = self._status(component.namespace, number)
            faults = status.get("errors") if isinstance(status, dict) else None
            if faults:
                raise ValueError(f"{component.namespace} {number} reports {str(faults)[:60]}")
            values["power"] += micro(exact(pick(status, component.power)))
            if counts:
                apart = component.energy_namespace != component.namespace
                counters = self._status(component.energy_namespace, number) if apart else status
                values["energy"] += micro(exact(pick(counters, *component.energy)))
        return values

    def _counts(self) -> bool:
        """Whether every component has a counter; some that switch lights have none."""
        try:
            for number in self.numbers:
                pick(self._status(self.component.energy_namespace, number), *self.component.energy)
        except ValueError:
            return False
        except StatusError as error:
            if error.status != 404 or self.component.energy_namespace == self.component.namespace:
                raise
            return False
        return True

    def _status(self, namespace: str, number: int) -> Any:
        return self.client.get(f"/rpc/{namespace}.GetStatus?id={number}")

    def close(self) -> None:
        """Close what ``open`` opened."""
        self.client.close()


def _there(client: Client) -> dict[tuple[str, int], str]:
    """The components that measure power, with what they read; empty where the device does not list them."""
    try:
        status = client.get("/rpc/Shelly.GetStatus")
    except (OSError, ValueError):
        return {}  # what is asked for says what is wrong
    there = {}
    for key, block in status.items() if isinstance(status, dict) else ():
        kind, _, number = key.partition(":")
        if kind in COMPONENTS and number.isdecimal() and isinstance(block, dict):
            watts = block.get(COMPONENTS[kind].power)
            if watts is not None:
                there[kind, int(number)] = f"{kind} {number} {str(watts)[:12]} W"
    return there


def _choose(
    there: Mapping[tuple[str, int], str], asked: str | None, ids: tuple[int, ...] | Literal["all"] | None
) -> tuple[str, tuple[int, ...]]:
    """The component and its ids. Raises SourceUnavailable where the entry does not say which of several."""
    kinds = list(dict.fromkeys(kind for kind, _ in there))
    kind = asked or (kinds[0] if len(kinds) == 1 else None)
    if not there or asked not in (None, *kinds):
        if ids == "all":
            raise SourceUnavailable(
                f"channel: all, but the device does not list any {asked or 'component'} that measures power"
            )
        return asked or "switch", ids or (0,)
    listed = ", ".join(there.values())
    if kind is None:
        raise SourceUnavailable(f"the device has several components that measure: {listed}; give component, and channel or sum")
    numbers = tuple(number for other, number in there if other == kind)
    if ids is None and len(numbers) > 1:
        raise SourceUnavailable(
            f"the device has {len(numbers)} channels: {listed}; give channel: one of them or all, or sum: [0, 1]"
        )
    if ids is None or ids == "all":
        return kind, numbers
    missing = [number for number in ids if number not in numbers]
    if missing:
        raise SourceUnavailable(f"channel: {missing[0]} is none of {listed}")
    return kind, tuple(ids)


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
