"""The ``energy`` settings of a point: what is read on which host, checked before anything runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.common.user_error import UserError
from bench.energy.calibration.sensor_fit import read_calibrations
from bench.energy.sampling.inventory_meters import read_inventory_meters, read_meters, read_others
from bench.energy.sensors.source import WHOLE, check_name

ALONE = (*WHOLE, "none", "meters")


def energy_settings(cfg: Mapping[str, Any], hosts: Sequence[str], hostfile: Path) -> dict[str, Any]:
    """``cfg`` with the meters and other parts of the inventory, complete. UserError, one line, for what cannot be."""
    given = cfg["source"]
    names = [given] if isinstance(given, str) else list(given or ())
    if not names or not all(isinstance(name, str) for name in names):
        raise UserError(f"energy.source={given} must be a name or a list of names, such as auto or [rapl,nvml]")
    for name in names:
        check_name(name)
    alone = [name for name in names if name in ALONE]
    if alone and len(names) > 1:
        raise UserError(f"energy.source={alone[0]} stands alone; leave it out of [{','.join(names)}]")
    period_s = cfg["period_s"]
    if period_s is not None and (not isinstance(period_s, (int, float)) or period_s <= 0):
        raise UserError(f"energy.period_s={period_s} must be null (each source has its own) or a positive number of seconds")
    inventory, others = read_inventory_meters(hostfile)
    meters = read_meters({**inventory, **cfg["meters"]}, hosts)
    if given == "meters" and not meters:
        raise UserError("energy=meters, but neither the inventory (meters:) nor energy.meters describes a meter")
    return {
        "source": given if isinstance(given, str) else names,
        "period_s": period_s,
        "root": str(cfg["root"]),
        # A source asked for by name is the only one: meters are for auto, measured and meters.
        "meters": meters if alone and alone[0] != "none" else {},
        "others": read_others({**others, **cfg["others"]}, meters),
        "calibration": {} if cfg["calibration"] is None else read_calibrations(Path(cfg["calibration"])),
        "carbon": _carbon(cfg["carbon"]),
    }


def _carbon(given: Mapping[str, Any]) -> dict[str, Any]:
    grams, source = given.get("g_per_kWh"), given.get("source")
    if grams is None:
        return {"g_per_kWh": None, "source": None}
    if not isinstance(grams, (int, float)) or grams <= 0 or not source:
        raise UserError(
            f"energy.carbon.g_per_kWh={grams} needs to be positive, with energy.carbon.source saying where it is from"
        )
    return {"g_per_kWh": float(grams), "source": str(source)}
