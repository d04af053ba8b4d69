"""The ``energy`` block: what measures the power of the hosts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.config.config_field import block, setting


def _name_or_names(value: Any) -> bool:
    names = [value] if isinstance(value, str) else value
    return isinstance(names, (list, tuple)) and bool(names) and all(isinstance(name, str) and name for name in names)


@dataclass(frozen=True)
class CarbonConfig:
    """What a kilowatt-hour of your supply emits, and who says so."""

    g_per_kWh: float | None = setting(None, "CO2 equivalent of your supply", unit="grams per kWh", above=0)
    source: str | None = setting(None, "where that number is from")


@dataclass(frozen=True)
class EnergyConfig:
    """Sources, meters and corrections (``docs/reference/energy-sources.md``)."""

    source: Any = setting(
        "auto",
        "auto: all measured sources and meters, else modelled; measured; meters; none; or the host's own: rapl, [rapl,nvml]",
        check=_name_or_names,
        must="a name or a list of names, such as auto or [rapl,nvml]",
    )
    period_s: float | None = setting(
        None,
        "time between readings; null: each source's own",
        unit="seconds",
        above=0,
        must="null (each source has its own) or a positive number of seconds",
    )
    root: str = setting("/", "root of sys, proc and programs; %h stands for the host's name")
    meters: Mapping[str, Any] = setting(
        {}, "beside those of the inventory: +energy.meters.NAME='{source: shelly, address: ...}'"
    )
    others: Mapping[str, Any] = setting(
        {}, "parts that are no hosts: +energy.others.switch='{power_W: 6.5, source: data sheet}'"
    )
    calibration: str | None = setting(None, "folder or file of python -m bench.calibrate sensor: corrects board sensors")
    carbon: CarbonConfig = block(CarbonConfig, "carbon of the energy")
