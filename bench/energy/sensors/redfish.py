"""A server's own power reading, by Redfish from its management controller.

Reads ``GET /redfish/v1/Chassis/ID/EnvironmentMetrics``: ``PowerWatts.Reading`` in watts and, where there is one,
``EnergykWh.Reading`` in kilowatt-hours; else ``/Power``: ``PowerControl[0].PowerConsumedWatts``. Controllers renew them
about every second, some more slowly, and do not say how often; nor do they say an accuracy: give ``accuracy``. Average,
minimum and maximum over ``IntervalInMin`` minutes are never used. Steps are those of the reply, mostly 1 W. Read each
second, with basic authentication by a user who may log in. It includes the whole chassis behind its power supplies'
inputs: for servers, not for boards.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar

from bench.energy.sensor_base.external_meter import ACCURACY, PASSWORD, Meter, channel, channels, exact, micro, pick, step
from bench.energy.sensor_base.source import Place, Source, SourceUnavailable, register
from bench.energy.transport.http_json import Client, StatusError, meter_client
from bench.joules.channel import Channel

UPDATE_PERIOD_S = 1.0
KILO = 9  # kilowatt-hours to microwatt-hours
CHASSIS = "/redfish/v1/Chassis"
WHAT = "management controller with Redfish"


@register
class Redfish(Meter):
    """Power of the chassis, and its energy counter where it has one."""

    name: ClassVar[str] = "redfish"
    rank: ClassVar[int] = 52
    networked: ClassVar[bool] = True
    settings: ClassVar[dict[str, str]] = {
        "address": "the management controller's URL, such as https://192.168.1.70",
        "chassis": "its Id under /redfish/v1/Chassis (default: the only one)",
        "user": "a user who may log in",
        **PASSWORD,
        "verify": "false: accept any certificate (default true)",
        **ACCURACY,
    }

    def __init__(self, client: Client, path: str, channels: tuple[Channel, ...]) -> None:
        super().__init__(channels)
        self.client, self.path = client, path

    @classmethod
    def open(cls, place: Place) -> Source:
        """Open the chassis' metrics, asked once."""
        settings = place.settings
        client = meter_client(settings, "basic", "root", url="https")
        try:
            path, reply = _metrics(client, _chassis(client, settings.get("chassis")))
            power, energy = _readings(reply)
        except SourceUnavailable:
            client.close()
            raise
        except ValueError as error:
            client.close()
            raise SourceUnavailable(f"{client.where} has no power reading ({error}); its chassis does not measure") from None
        scope = f"the chassis {path.split('/')[4]}, power supplies included{_interval(reply)}"
        counter = None if energy is None else channel("counter", scope, settings, step(energy, KILO), UPDATE_PERIOD_S)
        return cls(client, path, channels(channel("power", scope, settings, step(power), UPDATE_PERIOD_S), counter))

    def values(self) -> dict[str, int]:
        """Microwatts, and microwatt-hours where there is a counter."""
        power, energy = _readings(self.client.get(self.path))
        values = {"power": micro(power)}
        if len(self.channels) > 1:
            if energy is None:
                raise ValueError("the reply has no EnergykWh any more")
            values["energy"] = micro(energy, KILO)
        return values

    def close(self) -> None:
        """Close what ``open`` opened."""
        self.client.close()


def _chassis(client: Client, chassis: Any) -> str:
    """The path of the chassis with this Id (None: of the only one)."""
    members = pick(client.first(CHASSIS, WHAT), "Members")
    paths = {str(pick(member, "@odata.id")).rstrip("/").rsplit("/", 1)[-1]: pick(member, "@odata.id") for member in members}
    if chassis is None and len(paths) == 1:
        chassis = next(iter(paths))
    if str(chassis) not in paths:
        known = ", ".join(paths) or "none"
        raise SourceUnavailable(f"{client.where} has the chassis {known}, asked for {chassis}; give chassis: one of them")
    return str(paths[str(chassis)]).rstrip("/")


def _metrics(client: Client, chassis: str) -> tuple[str, Any]:
    """The path that has the power, and its first reply: the newer resource, or the older one."""
    path = f"{chassis}/EnvironmentMetrics"
    try:
        reply = client.get(path)
        if isinstance(reply, dict) and isinstance(reply.get("PowerWatts"), dict):
            return path, reply
    except StatusError as error:
        if error.status != 404:
            client.explain(error, WHAT)
    except (OSError, ValueError) as error:
        client.explain(error, WHAT)
    return f"{chassis}/Power", client.first(f"{chassis}/Power", WHAT)


def _readings(reply: Any) -> tuple[Decimal, Decimal | None]:
    """Watts, and kilowatt-hours where there are any."""
    if isinstance(reply, dict) and "PowerWatts" in reply:
        energy = reply.get("EnergykWh")
        counted = isinstance(energy, dict) and energy.get("Reading") is not None
        return exact(pick(reply, "PowerWatts", "Reading")), exact(pick(energy, "Reading")) if counted else None
    return exact(pick(reply, "PowerControl", 0, "PowerConsumedWatts")), None


def _interval(reply: Any) -> str:
    try:
        minutes = pick(reply, "PowerControl", 0, "PowerMetrics", "IntervalInMin")
    except ValueError:
        return ""
    return f"; its averages over {minutes} min are not used"
