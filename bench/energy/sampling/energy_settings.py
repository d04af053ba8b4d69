"""The ``energy`` settings of a point: what is read on which host, checked before anything runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.common.user_error import UserError
from bench.energy.sampling.inventory_meters import read_inventory_meters, read_meters, read_others
from bench.energy.sampling.meter_entry import MeterEntry, OtherPart
from bench.energy.sensor_base.calibration_file import read_calibrations
from bench.energy.sensor_base.source_choice import WHOLE, check_name
from bench.joules.channel import Calibration

ALONE = (*WHOLE, "none", "meters")
"""Choices of ``energy.source`` that cannot stand beside others."""


@dataclass(frozen=True)
class CarbonIntensity:
    """Grams of CO2 equivalent for each kilowatt-hour, and who says so; both null where they are not asked for."""

    g_per_kWh: float | None = None
    source: str | None = None


@dataclass(frozen=True)
class EnergySettings:
    """What is read on which host of a point, and how it is corrected.

    ``source`` is auto, measured, meters or none, or the names of the hosts' own sources. ``period_s`` is the time between
    two readings (null: each source has its own); in ``root``, where sys and proc of a host lie, ``%h`` stands for its
    name. ``calibration`` is by host, then by source.
    """

    source: str | list[str]
    period_s: float | None = None
    root: str = "/"
    meters: Mapping[str, MeterEntry] = field(default_factory=dict)
    others: Mapping[str, OtherPart] = field(default_factory=dict)
    calibration: Mapping[str, Mapping[str, Calibration]] = field(default_factory=dict)
    carbon: CarbonIntensity = CarbonIntensity()

    @property
    def own_sources(self) -> list[str]:
        """``source`` as a list of names; empty for ``meters``, which asks for nothing but meters."""
        names = [self.source] if isinstance(self.source, str) else list(self.source)
        return [] if names == ["meters"] else names

    @property
    def metered(self) -> set[str]:
        """The hosts that a meter has."""
        return {host for meter in self.meters.values() for host in meter.hosts}

    @property
    def covers(self) -> dict[str, tuple[str, ...]]:
        """The hosts of each meter, by the meter's name."""
        return {name: meter.hosts for name, meter in self.meters.items()}

    def to_dict(self) -> dict[str, Any]:
        """The plain values of the point's configuration."""
        return {
            "source": self.source,
            "period_s": self.period_s,
            "root": self.root,
            "meters": {name: meter.to_dict() for name, meter in self.meters.items()},
            "others": {name: asdict(part) for name, part in self.others.items()},
            "calibration": {
                host: {source: asdict(one) for source, one in by_source.items()} for host, by_source in self.calibration.items()
            },
            "carbon": asdict(self.carbon),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> EnergySettings:
        """The settings that ``to_dict`` wrote.

        Args:
            values: Its keys and values; parts that are missing are empty.

        Returns:
            The settings.
        """
        return cls(
            source=values["source"],
            period_s=values.get("period_s"),
            root=str(values.get("root", "/")),
            meters={name: MeterEntry.from_dict(meter) for name, meter in values.get("meters", {}).items()},
            others={name: OtherPart(**part) for name, part in values.get("others", {}).items()},
            calibration={
                host: {source: Calibration(**one) for source, one in by_source.items()}
                for host, by_source in values.get("calibration", {}).items()
            },
            carbon=CarbonIntensity(**values.get("carbon", {})),
        )


def energy_settings(cfg: Mapping[str, Any], hosts: Sequence[str], hostfile: Path) -> EnergySettings:
    """Complete the ``energy`` block of a configuration.

    Args:
        cfg: The block as it was composed.
        hosts: The names of all hosts of the inventory.
        hostfile: The inventory, for its ``meters:`` and ``others:``.

    Returns:
        The settings, with the meters and other parts of the inventory.

    Raises:
        UserError: One line, for what cannot be.
    """
    choice = cfg["source"]
    names = [choice] if isinstance(choice, str) else list(choice or ())
    alone = _check_names(choice, names)
    period_s = cfg["period_s"]
    if period_s is not None and (not isinstance(period_s, (int, float)) or period_s <= 0):
        raise UserError(f"energy.period_s={period_s} must be null (each source has its own) or a positive number of seconds")
    inventory, others = read_inventory_meters(hostfile)
    meters = read_meters({**inventory, **cfg["meters"]}, hosts)
    if choice == "meters" and not meters:
        raise UserError("energy=meters, but neither the inventory (meters:) nor energy.meters describes a meter")
    return EnergySettings(
        source=choice if isinstance(choice, str) else names,
        period_s=period_s,
        root=str(cfg["root"]),
        # A source asked for by name is the only one: meters are for auto, measured and meters.
        meters=meters if alone not in (None, "none") else {},
        others=read_others({**others, **cfg["others"]}, meters),
        calibration={} if cfg["calibration"] is None else read_calibrations(Path(cfg["calibration"])),
        carbon=_carbon(cfg["carbon"]),
    )


def _check_names(choice: Any, names: Sequence[Any]) -> str | None:
    """The name that stands alone, if there is one. Raises UserError for names that are unknown or do not go together."""
    if not names or not all(isinstance(name, str) for name in names):
        raise UserError(f"energy.source={choice} must be a name or a list of names, such as auto or [rapl,nvml]")
    for name in names:
        check_name(name)
    alone = [name for name in names if name in ALONE]
    if alone and len(names) > 1:
        raise UserError(f"energy.source={alone[0]} stands alone; leave it out of [{','.join(names)}]")
    return alone[0] if alone else None


def _carbon(block: Mapping[str, Any]) -> CarbonIntensity:
    grams, source = block.get("g_per_kWh"), block.get("source")
    if grams is None:
        return CarbonIntensity()
    if not isinstance(grams, (int, float)) or grams <= 0 or not source:
        raise UserError(
            f"energy.carbon.g_per_kWh={grams} needs to be positive, with energy.carbon.source saying where it is from"
        )
    return CarbonIntensity(float(grams), str(source))
