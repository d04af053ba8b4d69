"""How a host stands at one moment: temperatures, clocks, power mode, throttling, supply.

Taken before the idle phase and after the last one, so that the record shows what moved in between. What a host does not
tell is null or missing, never an error. SI units: Hz, W, s; temperatures in Celsius.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

from bench.common.user_error import UserError
from bench.energy.sensors.jetson import sensor_settings
from bench.power_modes.machine_files import (
    clocks_locked,
    find_program,
    number,
    numbered,
    packages,
    parse_nvpmodel,
    policies,
    power_limit_uW,
    text,
)
from bench.record.host_state_record import (
    CpuFrequencyRecord,
    DeviceFrequencyRecord,
    HostStateRecord,
    NvpmodelRecord,
    PowerLimitRecord,
    SupplyRecord,
    ThermalZoneRecord,
    ThrottleRecord,
)

PROGRAM_TIMEOUT_S = 5.0
COLDEST_C = -55.0
"""Below this no chip works: sensors of parts that are off tell such values."""
THROTTLED_BITS = ("under-voltage", "frequency capped", "throttled", "soft temperature limit")
"""Bits 0 to 3 of ``vcgencmd get_throttled`` (now), 16 to 19 (since boot)."""
THROTTLING_DEVICES = re.compile(r"cpufreq|devfreq|throttle|powerclamp|^processor$", re.IGNORECASE)
"""Cooling devices that slow the board down; fans and alerts of the case do not."""
LIMITING_TRIPS = ("passive", "hot", "critical")


def collect(root: Path = Path("/")) -> HostStateRecord:
    """The state of the machine under ``root``.

    Args:
        root: Where proc and sys, and the programs of the board, are.

    Returns:
        The state now; what the machine does not tell is None or an empty list.
    """
    loads, uptime = (text(root / "proc" / name) for name in ("loadavg", "uptime"))
    return HostStateRecord(
        boot_id=text(root / "proc/sys/kernel/random/boot_id"),
        uptime_s=float(uptime.split()[0]) if uptime else None,
        load_1min=float(loads.split()[0]) if loads else None,
        clock_source=text(root / "sys/devices/system/clocksource/clocksource0/current_clocksource"),
        temperatures=temperatures(root),
        cpufreq=[_policy(folder) for folder in policies(root)],
        devfreq=[_device(folder) for folder in sorted((root / "sys/class/devfreq").glob("*"))],
        nvpmodel=_nvpmodel(root),
        jetson_clocks=clocks_locked(root) if find_program(root, "jetson_clocks") else None,
        power_limits=[_limit(zone) for zone in packages(root)],
        throttle=throttle(root),
        supplies=[_supply(folder) for folder in sorted((root / "sys/class/power_supply").glob("*"))],
        sensors=_sensors(root),
    )


def temperatures(root: Path) -> list[ThermalZoneRecord]:
    """Every zone that tells a temperature, and the lowest at which the kernel slows down or stops because of it.

    Args:
        root: Where sys is.

    Returns:
        Zones in the order of their numbers, in degrees Celsius; ``limit_C`` is None where the kernel has no such limit.
    """
    zones = []
    for zone in numbered(root / "sys/class/thermal", "thermal_zone*"):
        value = number(zone / "temp")
        if value is None or value / 1000 < COLDEST_C:
            continue
        trips = [
            number(kind.with_name(kind.name.replace("_type", "_temp")))
            for kind in zone.glob("trip_point_*_type")
            if text(kind) in LIMITING_TRIPS
        ]
        limits = [trip / 1000 for trip in trips if trip is not None and trip > 0]  # 0 or less: never set
        zones.append(
            ThermalZoneRecord(
                zone=zone.name,
                type=text(zone / "type"),
                temperature_C=value / 1000,
                limit_C=min(limits, default=None),
            )
        )
    return zones


def throttle(root: Path) -> ThrottleRecord | None:
    """Causes that slow the machine down, or slowed it down since boot.

    Args:
        root: Where sys, and the programs of the board, are.

    Returns:
        Causes that are active ``now`` and ``since_boot``, and ``counters`` whose differences count; None where the machine
        tells nothing of the kind.
    """
    now: list[str] = []
    since_boot: list[str] = []
    counters: dict[str, int] = {}
    bits, devices = _raspberry_bits(root), _cooling(root)
    for bit, cause in enumerate(THROTTLED_BITS):
        now += [cause] if (bits or 0) >> bit & 1 else []
        since_boot += [cause] if (bits or 0) >> (16 + bit) & 1 else []
    alarms = [number(path) for path in _hwmon(root, "rpi_volt", "in0_lcrit_alarm")]
    now += ["under-voltage (kernel)"] if any(alarms) else []
    now += [f"cooling device {name} at {state}" for name, state in devices if state > 0]
    counters.update(
        {path.name: value for path in _hwmon(root, "soctherm_oc", "oc*_event_cnt") if (value := number(path)) is not None}
    )
    for name in ("core_throttle_count", "package_throttle_count"):
        # Added up over CPUs, siblings of one core or package included: only whether the sum grows matters.
        counts = [number(path) for path in (root / "sys/devices/system/cpu").glob(f"cpu[0-9]*/thermal_throttle/{name}")]
        if counts:
            counters[name] = sum(count or 0 for count in counts)
    if bits is None and not alarms and not devices and not counters:
        return None
    return ThrottleRecord(now=now, since_boot=since_boot, counters=counters)


def _raspberry_bits(root: Path) -> int | None:
    said = _ask(root, "vcgencmd", "get_throttled")
    match = re.fullmatch(r"throttled=(0x[0-9a-fA-F]+)", (said or "").strip())
    return None if match is None else int(match[1], 16)


def _cooling(root: Path) -> list[tuple[str, int]]:
    folders = numbered(root / "sys/class/thermal", "cooling_device*")
    pairs = [(text(folder / "type") or "", number(folder / "cur_state")) for folder in folders]
    return [(name, state) for name, state in pairs if state is not None and THROTTLING_DEVICES.search(name)]


def _hwmon(root: Path, name: str, pattern: str) -> list[Path]:
    chips = [path for path in numbered(root / "sys/class/hwmon", "hwmon*") if text(path / "name") == name]
    return [path for chip in chips for path in sorted(chip.glob(pattern))]


def _policy(folder: Path) -> CpuFrequencyRecord:
    current, lowest, highest = (number(folder / f"scaling_{name}_freq") for name in ("cur", "min", "max"))
    return CpuFrequencyRecord(
        policy=folder.name,
        governor=text(folder / "scaling_governor"),
        current_Hz=None if current is None else current * 1000,
        min_Hz=None if lowest is None else lowest * 1000,
        max_Hz=None if highest is None else highest * 1000,
    )


def _device(folder: Path) -> DeviceFrequencyRecord:
    current, lowest, highest = (number(folder / f"{name}_freq") for name in ("cur", "min", "max"))
    return DeviceFrequencyRecord(
        device=folder.name,
        governor=text(folder / "governor"),
        current_Hz=current,
        min_Hz=lowest,
        max_Hz=highest,
    )


def _nvpmodel(root: Path) -> NvpmodelRecord | None:
    mode = parse_nvpmodel(_ask(root, "nvpmodel", "-q") or "")
    return None if mode is None else NvpmodelRecord(**mode)


def _limit(zone: Path) -> PowerLimitRecord:
    limit_uW = power_limit_uW(zone)
    limit_W = None if limit_uW is None else limit_uW / 1e6
    return PowerLimitRecord(zone=zone.name, name=text(zone / "name"), limit_W=limit_W)


def _supply(folder: Path) -> SupplyRecord:
    online = number(folder / "online")
    return SupplyRecord(name=folder.name, type=text(folder / "type"), online=None if online is None else bool(online))


def _sensors(root: Path) -> dict[str, Any]:
    """Settings of the board's power sensors that decide how good their readings are."""
    try:
        settings = sensor_settings(root)
    except (OSError, ValueError, UserError):
        return {}
    return dict(settings or {})


def _ask(root: Path, name: str, *arguments: str) -> str | None:
    """The output of a program of the machine, whatever its exit code; None where there is none."""
    program = find_program(root, name)
    if program is None:
        return None
    try:
        done = subprocess.run(
            [program, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PROGRAM_TIMEOUT_S,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout
