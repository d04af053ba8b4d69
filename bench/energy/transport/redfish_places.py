"""The places where a management controller may have a chassis' power, in the order in which they are tried.

``EnvironmentMetrics``; the inputs of the supplies of ``PowerSubsystem``; a power sensor of ``Sensors``; the older ``Power``. A
place that is not there, or whose reading is null, gives way to the next one; one that fails for now does not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from bench.energy.sensor_base.external_meter import exact, pick
from bench.energy.sensor_base.source import SourceUnavailable
from bench.energy.transport.http_json import Client, StatusError

KIND = "management controller with Redfish"
NOT_THERE = (400, 404, 405, 410, 501)
"""Statuses of controllers for a resource that they do not have."""
MOST_MEMBERS = 400
WHOLE = re.compile(r"total|chassis|system|platform|server|node|input", re.IGNORECASE)
"""In the names of a sensor that has the whole chassis."""
Readings = tuple[Decimal, Decimal | None]
"""Watts, and kilowatt-hours where there are any."""


@dataclass(frozen=True)
class PowerPlace:
    """Where the power is: the resources to ask each time, and what makes the readings of their replies."""

    name: str
    paths: tuple[str, ...]
    readings: Callable[[Sequence[Any]], Readings]

    def read(self, client: Client) -> Readings:
        """Ask the controller once.

        Args:
            client: A client for the controller.

        Returns:
            Watts, and kilowatt-hours where the place has a counter.

        Raises:
            OSError: There is no reply.
            ValueError: A reply has no reading.
        """
        return self.readings([client.get(path) for path in self.paths])


def find_place(client: Client, chassis: str, sensor: str | None) -> tuple[PowerPlace, Readings]:
    """The first place that has a reading.

    Args:
        client: A client for the controller.
        chassis: The path of the chassis.
        sensor: The Id of a sensor that the entry names: then no other place is tried.

    Returns:
        The place, and what it reads.

    Raises:
        SourceUnavailable: None has one; or one fails now, or does not say which of several it is.
    """
    makers = {"Sensors": _sensors} if sensor is not None else MAKERS
    whys, zero = [], None
    for name, make in makers.items():
        try:
            place = make(client, chassis, sensor)
            readings = place.read(client)
        except StatusError as error:
            if error.status not in NOT_THERE:
                client.explain(error, KIND)
            whys.append(f"{error}")
        except ValueError as error:
            whys.append(f"{name}: {error}")
        except OSError as error:
            client.explain(error, KIND)
        else:
            if readings[0] != 0:
                return place, readings
            whys.append(f"{name}: 0 W")
            zero = zero or (place, readings)
    if zero is not None:
        return zero
    raise SourceUnavailable(f"{client.where} has no power reading ({'; '.join(whys)}); its chassis does not measure")


def _environment(client: Client, chassis: str, sensor: str | None) -> PowerPlace:
    return PowerPlace("EnvironmentMetrics", (f"{chassis}/EnvironmentMetrics",), _environment_readings)


def _environment_readings(replies: Sequence[Any]) -> Readings:
    (reply,) = replies
    energy = reply.get("EnergykWh") if isinstance(reply, dict) else None
    counted = isinstance(energy, dict) and energy.get("Reading") is not None
    return exact(pick(reply, "PowerWatts", "Reading")), exact(pick(energy, "Reading")) if counted else None


def _supplies(client: Client, chassis: str, sensor: str | None) -> PowerPlace:
    """The inputs of all supplies that are there: one of them alone would be a part."""
    subsystem = client.get(f"{chassis}/PowerSubsystem")
    supplies = _members(client, pick(subsystem, "PowerSupplies", "@odata.id"))
    paths = []
    for path in supplies:
        supply = client.get(path)
        state = supply.get("Status") if isinstance(supply, dict) else None
        if not (isinstance(state, dict) and state.get("State") == "Absent"):
            paths.append(str(pick(supply, "Metrics", "@odata.id")))
    if not paths:
        raise ValueError("no supplies in it")
    return PowerPlace("PowerSubsystem", tuple(paths), _supply_readings)


def _supply_readings(replies: Sequence[Any]) -> Readings:
    return sum((exact(pick(reply, "InputPowerWatts", "Reading")) for reply in replies), Decimal()), None


def _sensors(client: Client, chassis: str, sensor: str | None) -> PowerPlace:
    """The sensor of the entry; else the only one of power, or the only one whose name says that it has the whole."""
    paths = _members(client, f"{chassis}/Sensors")
    if sensor is not None:
        named = [path for path in paths if path.rsplit("/", 1)[-1] == sensor]
        if not named:
            raise ValueError(f"no sensor {sensor}; there are {', '.join(path.rsplit('/', 1)[-1] for path in paths)[:200]}")
        return PowerPlace(f"sensor {sensor}", (named[0],), _sensor_readings)
    watts: dict[str, Decimal] = {}
    for path in paths:
        reply = client.get(path)
        if isinstance(reply, dict) and reply.get("ReadingType") == "Power" and reply.get("Reading") is not None:
            watts[path] = exact(reply["Reading"])
    whole = [path for path in watts if len(watts) == 1 or WHOLE.search(path.rsplit("/", 1)[-1])]
    if len(whole) != 1:
        named = [f"{path.rsplit('/', 1)[-1]} {value:f} W" for path, value in watts.items()]
        raise ValueError(f"power sensors {', '.join(named)}; give sensor: one of them" if named else "no power sensor in it")
    return PowerPlace(f"sensor {whole[0].rsplit('/', 1)[-1]}", (whole[0],), _sensor_readings)


def _sensor_readings(replies: Sequence[Any]) -> Readings:
    (reply,) = replies
    if pick(reply, "ReadingType") != "Power":
        raise ValueError(f"a sensor of {str(reply['ReadingType'])[:20]}, not of Power")
    return exact(pick(reply, "Reading")), None


def _power(client: Client, chassis: str, sensor: str | None) -> PowerPlace:
    return PowerPlace("Power", (f"{chassis}/Power",), _power_readings)


def _power_readings(replies: Sequence[Any]) -> Readings:
    return exact(pick(replies[0], "PowerControl", 0, "PowerConsumedWatts")), None


MAKERS: dict[str, Callable[[Client, str, str | None], PowerPlace]] = {
    "EnvironmentMetrics": _environment,
    "PowerSubsystem": _supplies,
    "Sensors": _sensors,
    "Power": _power,
}


def _members(client: Client, path: Any) -> list[str]:
    """The paths of a collection's members."""
    members = pick(client.get(str(path)), "Members")
    if not isinstance(members, list) or len(members) > MOST_MEMBERS:
        raise ValueError(f"Members of {path} are no list of at most {MOST_MEMBERS}")
    return [str(pick(member, "@odata.id")).rstrip("/") for member in members]
