"""Any meter that answers HTTP with JSON: power sockets, gateways and home automation that have no source of their own.

Reads ``GET url`` and takes the number at ``path`` (``Outputs[0].Load``, ``state``) in the ``unit`` that the entry says: W, mW
or kW is power, J, Wh, mWh, kWh or Wmin a counter of energy. ``energy_path`` with ``energy_unit`` is a counter beside a power.
There is no default unit, for a wrong one would be wrong joules. Steps are the last digit of the first reply. How often the
device renews its values is its own: taken to be ``period_s``. No permission is needed, or a password (basic authentication),
or a token (``token_env``, as Home Assistant wants it). It includes what the meter is in front of. Never run on the hardware:
recorded replies of NETIO sockets, Shellies of the first generation and Home Assistant in tests only.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import ClassVar
from urllib.parse import urlsplit

from bench.energy.sensor_base.external_meter import (
    ACCURACY,
    LEVEL,
    PASSWORD,
    Meter,
    channel,
    channels,
    exact,
    micro,
    pick,
    secret_of,
    step,
)
from bench.energy.sensor_base.source import Place, Settings, Source, SourceUnavailable, register
from bench.energy.transport.http_json import Client, Login, meter_client
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
STEP = re.compile(r"\[(\d{1,4})\]|\[\"([^\"]+)\"\]|\.?([^.\[\]\"]+)")
SCALE = 1e-6
NumberPlace = tuple[tuple[str | int, ...], Decimal]
"""Where a number is in the reply, and the watts or joules of its unit."""


@register
class Http(Meter):
    """Numbers of a JSON reply: a power, a counter, or both."""

    name: ClassVar[str] = "http"
    rank: ClassVar[int] = 54
    networked: ClassVar[bool] = True
    needs: ClassVar[tuple[str, ...]] = ("url",)
    settings: ClassVar[dict[str, str]] = {
        "url": "what is asked, such as http://192.168.1.80/netio.json",
        "path": "where the number is in the reply, such as Outputs[0].Load",
        "unit": "of that number: mW, W, kW, or J, kJ, Wmin, mWh, Wh, kWh",
        "energy_path": "where a counter is, beside a power",
        "energy_unit": "of that counter: J, kJ, Wmin, mWh, Wh, kWh",
        "period_s": "how often to read it (default 1.0)",
        "user": "for basic authentication (default admin)",
        **PASSWORD,
        "token_env": "instead of a password: the environment variable that holds a bearer token",
        "verify": "false: accept any certificate (default true)",
        **LEVEL,
        **ACCURACY,
    }

    def __init__(
        self, client: Client, target: str, places: dict[str, NumberPlace], period_s: float, channels: tuple[Channel, ...]
    ) -> None:
        super().__init__(channels)
        self.client, self.target, self.places = client, target, places
        self.period_s = period_s  # an entry may have its own

    @classmethod
    def open(cls, place: Place) -> Source:
        """Open the URL, asked once."""
        settings = place.settings
        places = _places(settings)
        url = urlsplit(str(settings["url"]) if "://" in str(settings["url"]) else f"http://{settings['url']}")
        client = _client(settings, f"{url.scheme}://{url.netloc}")
        target = (url.path or "/") + (f"?{url.query}" if url.query else "")
        try:
            reply = client.first(target, "meter that answers with JSON")
            numbers = {name: exact(pick(reply, *keys)) for name, (keys, _) in places.items()}
        except SourceUnavailable:
            client.close()
            raise
        except ValueError as error:
            client.close()
            raise SourceUnavailable(f"{client.where}{url.path}: {error}; check path") from None
        period_s = float(settings.get("period_s", cls.period_s))
        scope = f"everything behind the meter at {client.where}{url.path}, by {settings.get('path') or settings['energy_path']}"

        def made(name: str) -> Channel | None:
            if name not in places:
                return None
            lsb = max(1, int(step(numbers[name], 9) * places[name][1] / 1000))
            return channel("power" if name == "power" else "counter", scope, settings, lsb, period_s, SCALE)

        return cls(client, target, places, period_s, channels(made("power"), made("energy")))

    def values(self) -> dict[str, int]:
        """Microwatts and microjoules."""
        reply = self.client.get(self.target)
        return {name: micro(exact(pick(reply, *keys)) * factor) for name, (keys, factor) in self.places.items()}

    def close(self) -> None:
        """Close what ``open`` opened."""
        self.client.close()


def _client(settings: Settings, address: str) -> Client:
    token = secret_of(settings, "token_env")
    if token is None:
        return meter_client({**settings, "address": address}, "basic", "admin")
    if "password_env" in settings:
        raise SourceUnavailable("token_env and password_env exclude each other; give one")
    return Client(address, "http", Login("bearer", "", token), settings.get("verify", True) is not False)


def _places(settings: Settings) -> dict[str, NumberPlace]:
    """The power and the counter of an entry. Raises SourceUnavailable for what is not said."""
    units = {**POWER_UNITS, **ENERGY_UNITS}
    places: dict[str, NumberPlace] = {}
    for path_key, unit_key, known in (("path", "unit", units), ("energy_path", "energy_unit", ENERGY_UNITS)):
        path, unit = settings.get(path_key), settings.get(unit_key)
        if path is None and unit is None:
            continue
        if path is None or str(unit) not in known:
            raise SourceUnavailable(
                f"{path_key}: {path} with {unit_key}: {unit} does not say what is read; give both, "
                f"the unit one of {', '.join(known)}"
            )
        name = "power" if str(unit) in POWER_UNITS else "energy"
        if name in places:
            raise SourceUnavailable("path and energy_path are two counters; make a meter of each, or path a power")
        places[name] = _keys(path_key, str(path)), known[str(unit)]
    if not places:
        raise SourceUnavailable("path and unit are not given; give them, such as path: Outputs[0].Load and unit: W")
    return places


def _keys(setting: str, path: str) -> tuple[str | int, ...]:
    """``a.b[0]["c.d"]`` as its names and indices."""
    keys: list[str | int] = []
    position = 0
    while position < len(path):
        match = STEP.match(path, position)
        if match is None:
            raise SourceUnavailable(f'{setting}: {path} is no path; write it like a.b[0], and a name with dots ["a.b"]')
        keys.append(int(match[1]) if match[1] is not None else match[2] or match[3])
        position = match.end()
    return tuple(keys)
