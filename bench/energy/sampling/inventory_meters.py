"""Meters and other parts of an inventory: ``meters:`` and ``others:``, complete and checked before anything runs.

    meters:
      plug-1: {source: shelly, address: http://192.168.1.50, hosts: [pi-1], password_env: SHELLY_PASSWORD}
      plug-2: {source: tasmota, address: http://192.168.1.51, hosts: [pi-2, pi-3], includes: [switch]}
    others:
      switch: {power_W: 6.5, source: "data sheet"}     # or inside a meter that includes it, or missing: true

``source`` is the meter's kind, one of ``bench/energy/sensors/``; ``hosts`` are those behind it (all, where there is one
meter), ``includes`` the other parts behind it, ``reader`` the host that reads it (the first of its hosts).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from bench.common.user_error import UserError
from bench.energy.sampling.meter_entry import MEMBERS, MeterEntry, OtherPart
from bench.energy.sensor_base.source import Source, meters, on_board
from strategies.common.registry import did_you_mean

POSITIVE = ("period_s", "timeout_s", "start_timeout_s")
DAY_S = 86400.0
LEVELS = ("wall", "board")
PARTS = ("channel", "sum", "component", "path", "topic", "oid", "register", "device")
"""Settings that tell two meters at one address apart."""
OTHER_KEYS = ("power_W", "source", "missing")


def read_inventory_meters(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The blocks ``meters:`` and ``others:`` of an inventory.

    Args:
        path: A YAML inventory, or a plain hostfile, which has neither.

    Returns:
        Both as they stand there, by name; empty where the file has none.

    Raises:
        UserError: The file cannot be read, is not YAML, or a block is no mapping.
    """
    if path.suffix not in (".yaml", ".yml"):
        return {}, {}
    try:
        whole = yaml.safe_load(path.read_text()) or {}
    except OSError as error:
        raise UserError(f"hostfile {path} cannot be read ({error.strerror}); give cluster.hostfile=PATH") from None
    except yaml.YAMLError as error:
        raise UserError(f"hostfile {path} is not YAML ({str(error).splitlines()[0]})") from None
    blocks = []
    for key in ("meters", "others"):
        block = whole.get(key) if isinstance(whole, Mapping) else None
        if not isinstance(block, Mapping | None):
            raise UserError(f"hostfile {path}: {key}: must map names to settings, found {str(block)[:40]}")
        blocks.append(dict(block or {}))
    return blocks[0], blocks[1]


def read_meters(raw: Mapping[str, Any], hosts: Sequence[str]) -> dict[str, MeterEntry]:
    """Check and complete the meters of an inventory.

    Args:
        raw: The blocks by the meters' names, as they were written.
        hosts: The names of all hosts of the inventory.

    Returns:
        The entries by name.

    Raises:
        UserError: One line, for what is wrong.
    """
    entries = {str(name): _meter(str(name), block, hosts, len(raw) == 1) for name, block in raw.items()}
    for key, lists in (
        ("hosts", {name: entry.hosts for name, entry in entries.items()}),
        ("includes", {name: entry.includes for name, entry in entries.items()}),
    ):
        owners: dict[str, str] = {}
        for name, members in lists.items():
            for member in members:
                if member in owners:
                    raise UserError(f"meters {owners[member]} and {name} both have {member} in {key}; leave it in one of them")
                owners[member] = name
    places: dict[tuple[str, ...], str] = {}
    for name, entry in entries.items():
        place = _place(entry)
        if place in places:
            raise UserError(f"meters {places[place]} and {name} read the same {entry.source}; make one meter of all hosts")
        places[place] = name
    return entries


def _place(entry: MeterEntry) -> tuple[str, ...]:
    """What two entries of one meter have in common."""
    source = meters()[entry.source]
    reader = "" if getattr(source, "networked", False) else entry.reader
    return (
        source.name,
        reader,
        *(str(entry.settings.get(key)) for key in (*_needs(source), *PARTS)),
    )


def _meter(name: str, block: Any, hosts: Sequence[str], alone: bool) -> MeterEntry:
    kind = _kind(name, block)
    settings = {str(key): value for key, value in block.items() if key not in MEMBERS and value is not None}
    _check_settings(name, meters()[kind], settings)
    named_hosts = _names(name, "hosts", block.get("hosts"))
    includes = _names(name, "includes", block.get("includes")) or []
    if named_hosts is None and not alone:
        raise UserError(f"meter {name} has no hosts, and it is not the only meter; give hosts: [...] to each")
    behind = list(hosts) if named_hosts is None else named_hosts
    reader = str(block.get("reader") or (behind or list(hosts))[0]) if behind or hosts else ""
    for host in (*behind, reader):
        if host not in hosts:
            raise UserError(
                f"meter {name}: {host} is no host of the inventory; hosts are {', '.join(hosts)}{did_you_mean(host, hosts)}"
            )
    if not behind and not includes:
        raise UserError(f"meter {name} has neither hosts nor includes; say what is behind it, or take it out")
    return MeterEntry(kind, tuple(behind), tuple(includes), reader, settings)


def _kind(name: str, block: Any) -> str:
    """The kind of meter that a block describes."""
    known = meters()
    if not isinstance(block, Mapping) or "source" not in block:
        raise UserError(f"meter {name} has no source; give {name}: {{source: shelly, address: ..., hosts: [...]}}")
    kind = str(block["source"])
    if kind in on_board():
        raise UserError(f"meter {name}: {kind} is a source of the hosts themselves; use energy.source={kind}")
    if kind not in known:
        raise UserError(f"meter {name}: unknown source {kind}; meters are {', '.join(known)}{did_you_mean(kind, known)}")
    return kind


def _check_settings(name: str, source: type[Source], settings: Mapping[str, Any]) -> None:
    """Settings that the source does not have, and those of every source that have a range."""
    known = source.settings
    for key, value in settings.items():
        if key == "password":
            raise UserError(f"meter {name}: a password does not belong in a file; export it and name it in password_env")
        if key not in known:
            raise UserError(
                f"meter {name}: {source.name} has no setting {key}; settings are "
                f"{', '.join([*MEMBERS, *known])}{did_you_mean(key, known)}"
            )
        if key in POSITIVE and not (_is_number(value) and 0 < value < DAY_S):
            raise UserError(f"meter {name}: {key}: {value} must be a positive number of seconds")
        if key == "accuracy" and not (_is_number(value) and 0 <= value < 1):
            raise UserError(f"meter {name}: accuracy: {value} must be a part of the reading, such as 0.01 for 1 %")
        if key == "level" and value not in getattr(source, "levels", LEVELS):
            raise UserError(f"meter {name}: level: {value} is unknown; use {' or '.join(getattr(source, 'levels', LEVELS))}")
    needs = _needs(source)
    if not any(key in settings for key in needs):
        raise UserError(f"meter {name} has no {' or '.join(needs)}; {needs[0]} is {known[needs[0]]}")


def _needs(source: type[Source]) -> tuple[str, ...]:
    return getattr(source, "needs", ("address",))


def _names(name: str, key: str, value: Any) -> list[str] | None:
    if value is None:
        return None
    if not isinstance(value, list | tuple):
        raise UserError(f"meter {name}: {key}: {value} must be a list, [{value}]")
    members = [str(member) for member in value]
    twice = [member for member in members if members.count(member) > 1]
    if twice:
        raise UserError(f"meter {name} names {twice[0]} twice in {key}; give it once")
    return members


def read_others(raw: Mapping[str, Any], meters: Mapping[str, MeterEntry]) -> dict[str, OtherPart]:
    """Check and complete the parts that are no hosts.

    Args:
        raw: The blocks by the parts' names, as they were written.
        meters: The meters; the parts that one of them includes need no block.

    Returns:
        The parts by name: estimated, inside of a meter, or not measured.

    Raises:
        UserError: One line, for what is wrong.
    """
    inside = {part: name for name, meter in meters.items() for part in meter.includes}
    return {str(key): _other(str(key), block, inside) for key, block in {**dict.fromkeys(inside), **raw}.items()}


def _other(name: str, block: Any, inside: Mapping[str, str]) -> OtherPart:
    values = block if block is not None else {}
    if not isinstance(values, Mapping):
        raise UserError(f"others: {name}: {values} must be {{power_W: 6.5, source: WHERE FROM}} or {{missing: true}}")
    unknown = sorted(set(map(str, values)) - set(OTHER_KEYS))
    if unknown:
        raise UserError(f"others: {name} has no setting {unknown[0]}; settings are {', '.join(OTHER_KEYS)}")
    power_W, source = values.get("power_W"), values.get("source")
    if (power_W is None) != (source is None):
        lacks = "source, which says where power_W is from" if source is None else "power_W"
        raise UserError(f"others: {name} has no {lacks}; an estimate needs both power_W and source")
    if power_W is not None and not (_is_number(power_W) and power_W >= 0):
        raise UserError(f"others: {name}: power_W: {power_W} must be a number of watts")
    if (power_W is not None) + (name in inside) + bool(values.get("missing")) > 1:
        where = f"inside meter {inside[name]}" if name in inside else "an estimate"
        raise UserError(f"others: {name} is {where} and something else too; keep one of power_W, includes and missing")
    return OtherPart(None if power_W is None else float(power_W), None if source is None else str(source), inside.get(name))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
