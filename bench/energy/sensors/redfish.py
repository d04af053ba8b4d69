"""A server's own power reading, by Redfish from its management controller.

Reads the first place that has one: ``GET /redfish/v1/Chassis/ID/EnvironmentMetrics`` (``PowerWatts.Reading`` in watts and,
where there is one, ``EnergykWh.Reading`` in kilowatt-hours); the inputs of all supplies of ``/PowerSubsystem``
(``InputPowerWatts``, summed); the power sensor of ``/Sensors`` that has the whole chassis, or the one that ``sensor`` names;
``/Power``: ``PowerControl[0].PowerConsumedWatts``. A place that is missing, null or 0 gives way to the next. Controllers renew
them about every second, some more slowly, and do not say how often; nor do they say an accuracy: give ``accuracy``. Average,
minimum and maximum over ``IntervalInMin`` minutes are never used. Steps are those of the reply, mostly 1 W. Read each
second, with basic authentication by a user who may log in. It includes the whole chassis behind its power supplies'
inputs: for servers, not for boards. Never run on the hardware.
"""

from __future__ import annotations

from typing import Any, ClassVar

from bench.energy.sensor_base.external_meter import ACCURACY, PASSWORD, Meter, channel, channels, micro, pick, step
from bench.energy.sensor_base.source import Place, Source, SourceUnavailable, register
from bench.energy.transport.http_json import Client, meter_client
from bench.energy.transport.redfish_places import KIND, PowerPlace, find_place
from bench.joules.channel import Channel

UPDATE_PERIOD_S = 1.0
KILO = 9  # kilowatt-hours to microwatt-hours
CHASSIS = "/redfish/v1/Chassis"


@register
class Redfish(Meter):
    """Power of the chassis, and its energy counter where it has one."""

    name: ClassVar[str] = "redfish"
    rank: ClassVar[int] = 52
    networked: ClassVar[bool] = True
    settings: ClassVar[dict[str, str]] = {
        "address": "the management controller's URL, such as https://192.168.1.70",
        "chassis": "its Id under /redfish/v1/Chassis (default: the only one)",
        "sensor": "the Id of a power sensor under Sensors, where several have power (default: the place that has it)",
        "user": "a user who may log in",
        **PASSWORD,
        "verify": "false: accept any certificate (default true)",
        **ACCURACY,
    }

    def __init__(self, client: Client, place: PowerPlace, channels: tuple[Channel, ...]) -> None:
        super().__init__(channels)
        self.client, self.place = client, place

    @classmethod
    def open(cls, place: Place) -> Source:
        """Open the chassis' metrics, asked once."""
        settings = place.settings
        client = meter_client(settings, "basic", "root", url="https")
        try:
            chassis = _chassis(client, settings.get("chassis"))
            sensor = settings.get("sensor")
            power_place, (power, energy) = find_place(client, chassis, None if sensor is None else str(sensor))
            interval = _interval(client, power_place)
        except SourceUnavailable:
            client.close()
            raise
        except (OSError, ValueError) as error:
            client.close()
            raise SourceUnavailable(f"{client.where}: {error}; check that a {KIND} is at this address") from None
        scope = f"the chassis {chassis.rsplit('/', 1)[-1]}, power supplies included, by {power_place.name}{interval}"
        counter = None if energy is None else channel("counter", scope, settings, step(energy, KILO), UPDATE_PERIOD_S)
        return cls(client, power_place, channels(channel("power", scope, settings, step(power), UPDATE_PERIOD_S), counter))

    def values(self) -> dict[str, int]:
        """Microwatts, and microwatt-hours where there is a counter."""
        power, energy = self.place.read(self.client)
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
    members = pick(client.first(CHASSIS, KIND), "Members")
    if not isinstance(members, list):
        raise ValueError("Members of the chassis are no list")
    paths = {str(pick(member, "@odata.id")).rstrip("/").rsplit("/", 1)[-1]: pick(member, "@odata.id") for member in members}
    if chassis is None and len(paths) == 1:
        chassis = next(iter(paths))
    if str(chassis) not in paths:
        known = ", ".join(paths) or "none"
        raise SourceUnavailable(f"{client.where} has the chassis {known}, asked for {chassis}; give chassis: one of them")
    return str(paths[str(chassis)]).rstrip("/")


def _interval(client: Client, place: PowerPlace) -> str:
    if place.name != "Power":
        return ""
    try:
        minutes = pick(client.get(place.paths[0]), "PowerControl", 0, "PowerMetrics", "IntervalInMin")
    except (OSError, ValueError):
        return ""
    return f"; its averages over {str(minutes)[:8]} min are not used"
