"""Plugs with the Tasmota firmware, by HTTP.

Reads ``GET /cm?cmnd=Status%2010`` (``Status 8`` where that has no energy): ``StatusSNS.ENERGY.Power`` in watts, renewed
every 0.2 s, and ``Total`` in kilowatt-hours, renewed every second. Both have the decimals that the plug is set to:
``WattRes`` 0 (1 W steps) to 3, ``EnergyRes`` 0 to 5 (36 J steps): set ``Backlog WattRes 3; EnergyRes 5``. The counter is
coarse even so, and the power counts. The chip behind it counts pulses: 12.5 J each (HLW8012) or 1.7 J (BL0937), so a
small load shows late, after up to 10 s. Accuracy depends on the plug's calibration: give ``accuracy``. Read each second.
No permission is needed, or the web password (sent in the clear, in the request). It includes all behind the plug, the
power supplies too.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar, Literal
from urllib.parse import quote, urlencode

from bench.energy.sensor_base.external_meter import (
    ACCURACY,
    PASSWORD,
    Meter,
    asked_ids,
    channel,
    channels,
    exact,
    micro,
    password,
    pick,
    step,
)
from bench.energy.sensor_base.source import Place, Source, SourceUnavailable, register
from bench.energy.transport.http_json import Client, meter_client
from bench.joules.channel import Channel

POWER_PERIOD_S = 0.2
ENERGY_PERIOD_S = 1.0
KILO = 9  # kilowatt-hours to microwatt-hours
BEST_POWER_UW = 1_000
BEST_ENERGY_UWH = 10_000
Energy = tuple[Decimal, Decimal | None]
Wanted = tuple[int, ...] | Literal["all"] | None


@register
class Tasmota(Meter):
    """Power of the plug or of one of its channels, and its counter."""

    name: ClassVar[str] = "tasmota"
    rank: ClassVar[int] = 51
    networked: ClassVar[bool] = True
    settings: ClassVar[dict[str, str]] = {
        "address": "the plug's URL, such as http://192.168.1.51",
        "channel": "of a plug with several: its number from 1, or all",
        "sum": "instead: several numbers that are added up, [1, 2]",
        "user": "the web user (default admin)",
        **PASSWORD,
        **ACCURACY,
    }

    def __init__(self, client: Client, path: str, which: Wanted, channels: tuple[Channel, ...]) -> None:
        super().__init__(channels)
        self.client, self.path, self.which = client, path, which

    @classmethod
    def open(cls, place: Place) -> Source:
        """Open the plug's status command, asked once."""
        settings, secret = place.settings, password(place.settings)
        which = asked_ids(settings)
        login = "" if secret is None else urlencode({"user": settings.get("user", "admin"), "password": secret}) + "&"
        client = meter_client(settings, None, "admin")
        try:
            path, reply = _status(client, login, secret is not None)
            power, total = _energy(reply, which)
        except SourceUnavailable:
            client.close()
            raise
        except ValueError as error:
            client.close()
            raise SourceUnavailable(f"{client.where}: {error}") from None
        steps_uw, steps_uwh = step(power), None if total is None else step(total, KILO)
        of_several = "" if which is None else f", channel {_in_words(which)}"
        scope = f"everything behind the plug{of_several}, power supplies included{_coarse(steps_uw, steps_uwh)}"
        counter = None if steps_uwh is None else channel("counter", scope, settings, steps_uwh, ENERGY_PERIOD_S)
        return cls(client, path, which, channels(channel("power", scope, settings, steps_uw, POWER_PERIOD_S), counter))

    def values(self) -> dict[str, int]:
        """Microwatts, and microwatt-hours where the counter counts."""
        power, total = _energy(self.client.get(self.path), self.which)
        values = {"power": micro(power)}
        if len(self.channels) > 1:
            if total is None:
                raise ValueError("the reply has no Total any more")
            values["energy"] = micro(total, KILO)
        return values

    def close(self) -> None:
        """Close what ``open`` opened."""
        self.client.close()


def _status(client: Client, login: str, has_password: bool) -> tuple[str, Any]:
    """The path of the status command that has energy, and its first reply."""
    for number in (10, 8):
        path = f"/cm?{login}cmnd={quote(f'Status {number}')}"
        reply = client.first(path, "Tasmota plug")
        if isinstance(reply, dict) and any(str(value).startswith("Need user=") for value in reply.values()):
            why = "refuses user and the password of password_env" if has_password else "wants a password"
            raise SourceUnavailable(f"{client.where} {why}; check user and password_env")
        if _block(reply) is not None:
            return path, reply
    raise SourceUnavailable(
        f"{client.where} has no ENERGY in its status ({str(reply)[:60]}); check that it is a Tasmota plug that measures power"
    )


def _block(reply: Any) -> Any:
    """Status 10 and 8 have StatusSNS.ENERGY; Status 8 of firmware before 6 has StatusPWR."""
    for keys in (("StatusSNS", "ENERGY"), ("StatusPWR",)):
        try:
            return pick(reply, *keys)
        except ValueError:
            continue
    return None


def _energy(reply: Any, which: Wanted) -> Energy:
    """Watts and kilowatt-hours of the channels; None for a counter that has other channels in it too."""
    block = _block(reply)
    powers, totals = pick(block, "Power"), pick(block, "Total")
    if not isinstance(powers, list):
        if which not in (None, "all", (1,)):
            raise ValueError(f"channel: {_in_words(which)} of a plug with one; leave channel out")
        return exact(powers), exact(totals)
    numbers = tuple(range(1, len(powers) + 1)) if which == "all" else which
    if numbers is None or not all(1 <= number <= len(powers) for number in numbers):
        now = ", ".join(f"{number} {str(watts)[:12]} W" for number, watts in enumerate(powers, 1))
        raise ValueError(
            f"the plug has {len(powers)} channels; give channel: 1 to {len(powers)}, or all, or sum: [1, 2] ({now})"
        )
    watts = sum((exact(powers[number - 1]) for number in numbers), Decimal())
    if isinstance(totals, list):
        return watts, sum((exact(pick(totals, number - 1)) for number in numbers), Decimal())
    return watts, exact(totals) if len(set(numbers)) == len(powers) else None


def _in_words(which: Wanted) -> str:
    return " + ".join(map(str, which)) if isinstance(which, tuple) else str(which)


def _coarse(power_uw: int, energy_uwh: int | None) -> str:
    hints = []
    if power_uw > BEST_POWER_UW:
        hints.append(f"power in steps of {power_uw / 1e6:g} W, WattRes 3 makes them finer")
    if energy_uwh is not None and energy_uwh > BEST_ENERGY_UWH:
        hints.append(f"counter in steps of {energy_uwh * 3600e-6:g} J, EnergyRes 5 makes them finer")
    return f" ({'; '.join(hints)})" if hints else ""
