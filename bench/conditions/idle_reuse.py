"""Whether the idle power that another point of the block measured is still that of the hosts.

A machine is unchanged when it is the same boot of the same hosts with the same meters, power mode and clocks, nothing else
computes on it, and every temperature lies within 3 K of what it was around the measurement; and the measurement is recent.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bench.common.user_error import UserError
from bench.conditions.host_agreement import MOST_BUSY
from bench.conditions.host_checks import settings_of_host
from bench.config.point_config import PointConfig
from bench.joules.reused_idle import ReusedIdle
from bench.record.environment_record import HostRecord
from bench.record.host_state_record import HostStateRecord
from bench.record.record import MeasuredRecord
from bench.record.record_file import load_record

MOST_APART_K = 3.0
SAME = ("energy", "boards", "board", "cluster", "dilation")


@dataclass(frozen=True)
class HostNow:
    """A host as a point finds it: its state, and the share of its cores that was busy."""

    state: HostStateRecord
    busy: float | None


def reusable_idle(config: PointConfig, hosts: Mapping[str, HostNow], now: datetime) -> tuple[ReusedIdle | None, str | None]:
    """The idle power that a point may take over from the one that its configuration names.

    Args:
        config: The point; its ``idle_from`` names the record and the largest age.
        hosts: Its hosts now, by their name in the inventory.
        now: The time, with its zone.

    Returns:
        The idle power; or None, and why it cannot be reused.
    """
    if config.idle_from is None:
        return None, None
    path = Path(config.idle_from.record)
    try:
        record = load_record(path)
        theirs = PointConfig.from_json(json.loads((path.parent / "config.json").read_text()))
    except (OSError, ValueError, UserError) as error:
        return None, f"{path} cannot be read: {error}"
    finished = record.environment.finished
    if not isinstance(record, MeasuredRecord) or record.status != "ok" or finished is None:
        return None, f"{path.parent.name} is not ok"
    age_s = (now - datetime.fromisoformat(finished)).total_seconds()
    idle = ReusedIdle.of(path.parent.name, finished, age_s, record.energy)
    if idle is None:
        return None, f"{path.parent.name} measured no idle power"
    if theirs.repeat != config.repeat:
        return None, f"{idle.point} is of another block of repeats"
    if not 0 <= age_s <= config.idle_from.max_age_s:
        return None, f"it is {age_s:.0f} s old, campaign.idle_max_age_s={config.idle_from.max_age_s:g}"
    other = [key for key in SAME if getattr(theirs, key) != getattr(config, key)]
    if other:
        return None, f"{other[0]} differs from that of {idle.point}"
    why = changed_hosts({host.host: host for host in record.environment.hosts or ()}, hosts)
    return (idle, None) if why is None else (None, why)


def changed_hosts(then: Mapping[str, HostRecord], now: Mapping[str, HostNow]) -> str | None:
    """What is different on the hosts since idle was measured there.

    Args:
        then: The hosts in the record of that point, by name, with their states before and after.
        now: The hosts now, by name.

    Returns:
        The first difference in words; None where there is none.
    """
    if set(then) != set(now):
        return f"it is of {', '.join(sorted(then))}, this point runs on {', '.join(sorted(now))}"
    for name, host in now.items():
        before, after = then[name].before, then[name].after
        why = "its state is not on record" if before is None or after is None else _changed(before, after, host)
        if why is not None:
            return f"{name}: {why}"
    return None


def _changed(before: HostStateRecord, after: HostStateRecord, host: HostNow) -> str | None:
    now = host.state
    if now.boot_id is None or before.boot_id != now.boot_id:
        return "booted since, or its boot id is unknown"
    old, new = settings_of_host(after), settings_of_host(now)
    moved = [key for key in {**old, **new} if old.get(key) != new.get(key)]
    if moved:
        return f"{moved[0]} was {old.get(moved[0])} and is {new.get(moved[0])}"
    if now.jetson_clocks != after.jetson_clocks:
        return f"jetson_clocks was {after.jetson_clocks} and is {now.jetson_clocks}"
    if now.throttle is not None and now.throttle.now:
        return f"throttled: {', '.join(now.throttle.now)}"
    if host.busy is not None and host.busy > MOST_BUSY:
        return f"{100 * host.busy:.0f} % of its cores are busy with something else"
    return _warmer(before, after, now)


def _warmer(before: HostStateRecord, after: HostStateRecord, now: HostStateRecord) -> str | None:
    """The first zone that is further than 3 K from the temperatures around the measurement."""
    around: dict[str, list[float]] = {}
    for zone in (*before.temperatures, *after.temperatures):
        around.setdefault(zone.zone, []).append(zone.temperature_C)
    for zone in now.temperatures:
        known = around.get(zone.zone)
        if known is None:
            return f"zone {zone.zone} told no temperature then"
        if not min(known) - MOST_APART_K <= zone.temperature_C <= max(known) + MOST_APART_K:
            return f"{zone.type or zone.zone} is at {zone.temperature_C:.1f} C, was at {min(known):.1f} to {max(known):.1f} C"
    return None
