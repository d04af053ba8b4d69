"""Any meter that answers HTTP with JSON: power sockets, gateways and home automation that have no source of their own.

Reads ``GET url`` and takes the number at ``path`` (``Outputs[0].Load``, ``state``) in the ``unit`` that the entry says: W, mW
or kW is power, J, Wh, mWh, kWh or Wmin a counter of energy. ``energy_path`` with ``energy_unit`` is a counter beside a power.
There is no default unit, for a wrong one would be wrong joules. Steps are the last digit of the first reply. How often the
device renews its values is its own: taken to be ``period_s``. No permission is needed, or a password (basic authentication),
or a token (``token_env``, as Home Assistant wants it). It includes what the meter is in front of. Never run on the hardware:
recorded replies of NETIO sockets, Shellies of the first generation and Home Assistant in tests only.
"""

from __future__ import annotations

from typing import ClassVar
from urllib.parse import urlsplit

from bench.energy.sensor_base.external_meter import ACCURACY, LEVEL, PASSWORD, Meter, exact, pick, secret_of
from bench.energy.sensor_base.quantity_settings import NamedQuantity, named_quantities, quantity_channels
from bench.energy.sensor_base.source import Place, Settings, Source, SourceUnavailable, register
from bench.energy.transport.http_json import Client, Login, meter_client
from bench.energy.transport.json_path import Keys, keys_of
from bench.joules.channel import Channel

Places = dict[str, tuple[Keys, NamedQuantity]]


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

    def __init__(self, client: Client, target: str, places: Places, period_s: float, channels: tuple[Channel, ...]) -> None:
        super().__init__(channels)
        self.client, self.target, self.places = client, target, places
        self.period_s = period_s  # an entry may have its own

    @classmethod
    def open(cls, place: Place) -> Source:
        """Open the URL, asked once."""
        settings = place.settings
        quantities = named_quantities(settings, "path", "Outputs[0].Load")
        places = {name: (keys_of(one.setting, one.where), one) for name, one in quantities.items()}
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
        return cls(client, target, places, period_s, quantity_channels(quantities, numbers, scope, settings, period_s))

    def values(self) -> dict[str, int]:
        """Microwatts and microjoules."""
        reply = self.client.get(self.target)
        return {name: one.raw(exact(pick(reply, *keys))) for name, (keys, one) in self.places.items()}

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
