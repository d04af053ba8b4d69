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
from bench.energy.sensors.source import Source, meters, on_board
from strategies.common.registry import did_you_mean

OWN = ("source", "hosts", "includes", "reader")
POSITIVE = ("period_s", "timeout_s")
LEVELS = ("wall", "board")
OTHER_KEYS = ("power_W", "source", "missing")
Entries = dict[str, dict[str, Any]]


def read_inventory_meters(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """``meters:`` and ``others:`` of a YAML inventory as they stand there; a plain hostfile has none."""
    if path.suffix not in (".yaml", ".yml"):
        return {}, {}
    try:
        whole = yaml.safe_load(path.read_text()) or {}
    except OSError as error:
        raise UserError(f"hostfile {path} cannot be read ({error.strerror}); give cluster.hostfile=PATH") from None
    except yaml.YAMLError as error:
        raise UserError(f"hostfile {path} is not YAML ({str(error).splitlines()[0]})") from None
    found = []
    for key in ("meters", "others"):
        block = whole.get(key) if isinstance(whole, Mapping) else None
        if not isinstance(block, Mapping | None):
            raise UserError(f"hostfile {path}: {key}: must map names to settings, found {str(block)[:40]}")
        found.append(dict(block or {}))
    return found[0], found[1]


def read_meters(raw: Mapping[str, Any], hosts: Sequence[str]) -> Entries:
    """Every meter with ``source``, ``hosts``, ``includes``, ``reader`` and its own settings. UserError for what is wrong."""
    found = {str(name): _meter(str(name), entry, hosts, len(raw) == 1) for name, entry in raw.items()}
    for what in ("hosts", "includes"):
        seen: dict[str, str] = {}
        for name, entry in found.items():
            for member in entry[what]:
                if member in seen:
                    raise UserError(f"meters {seen[member]} and {name} both have {member} in {what}; leave it in one of them")
                seen[member] = name
    places: dict[tuple[str, ...], str] = {}
    for name, entry in found.items():
        source = meters()[entry["source"]]
        reader = "" if getattr(source, "networked", False) else str(entry["reader"])
        place = (source.name, reader, *(str(entry.get(key)) for key in (*_needs(source), "channel", "component")))
        if place in places:
            raise UserError(f"meters {places[place]} and {name} read the same {entry['source']}; make one meter of all hosts")
        places[place] = name
    return found


def _meter(name: str, entry: Any, hosts: Sequence[str], alone: bool) -> dict[str, Any]:
    known = meters()
    if not isinstance(entry, Mapping) or "source" not in entry:
        raise UserError(f"meter {name} has no source; give {name}: {{source: shelly, address: ..., hosts: [...]}}")
    kind = str(entry["source"])
    if kind in on_board():
        raise UserError(f"meter {name}: {kind} is a source of the hosts themselves; use energy.source={kind}")
    if kind not in known:
        raise UserError(f"meter {name}: unknown source {kind}; meters are {', '.join(known)}{did_you_mean(kind, known)}")
    settings = {str(key): value for key, value in entry.items() if key not in OWN and value is not None}
    _check_settings(name, known[kind], settings)
    own = _names(name, "hosts", entry.get("hosts"))
    includes = _names(name, "includes", entry.get("includes")) or []
    if own is None and not alone:
        raise UserError(f"meter {name} has no hosts, and it is not the only meter; give hosts: [...] to each")
    own = list(hosts) if own is None else own
    reader = str(entry.get("reader") or (own or list(hosts))[0]) if own or hosts else ""
    for host in (*own, reader):
        if host not in hosts:
            raise UserError(
                f"meter {name}: {host} is no host of the inventory; hosts are {', '.join(hosts)}{did_you_mean(host, hosts)}"
            )
    if not own and not includes:
        raise UserError(f"meter {name} has neither hosts nor includes; say what is behind it, or take it out")
    return {"source": kind, "hosts": own, "includes": includes, "reader": reader, **settings}


def _check_settings(name: str, source: type[Source], settings: Mapping[str, Any]) -> None:
    """Settings that the source does not have, and those of every source that have a range."""
    known = source.settings
    for key, value in settings.items():
        if key == "password":
            raise UserError(f"meter {name}: a password does not belong in a file; export it and name it in password_env")
        if key not in known:
            raise UserError(
                f"meter {name}: {source.name} has no setting {key}; settings are "
                f"{', '.join([*OWN, *known])}{did_you_mean(key, known)}"
            )
        if key in POSITIVE and not (_is_number(value) and value > 0):
            raise UserError(f"meter {name}: {key}: {value} must be a positive number of seconds")
        if key == "accuracy" and not (_is_number(value) and 0 <= value < 1):
            raise UserError(f"meter {name}: accuracy: {value} must be a part of the reading, such as 0.01 for 1 %")
        if key == "level" and value not in LEVELS:
            raise UserError(f"meter {name}: level: {value} is unknown; use {' or '.join(LEVELS)}")
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
    found = [str(member) for member in value]
    twice = [member for member in found if found.count(member) > 1]
    if twice:
        raise UserError(f"meter {name} names {twice[0]} twice in {key}; give it once")
    return found


def read_others(raw: Mapping[str, Any], meters: Mapping[str, Mapping[str, Any]]) -> Entries:
    """Parts that are no hosts, each with ``power_W`` and ``source`` (estimated), ``meter`` (measured), or all of them null
    (not measured). Those that a meter includes need no entry."""
    inside = {part: name for name, meter in meters.items() for part in meter["includes"]}
    found: Entries = {}
    for key, entry in {**dict.fromkeys(inside), **raw}.items():
        name, given = str(key), entry if entry is not None else {}
        if not isinstance(given, Mapping):
            raise UserError(f"others: {name}: {given} must be {{power_W: 6.5, source: WHERE FROM}} or {{missing: true}}")
        unknown = sorted(set(map(str, given)) - set(OTHER_KEYS))
        if unknown:
            raise UserError(f"others: {name} has no setting {unknown[0]}; settings are {', '.join(OTHER_KEYS)}")
        power_W, source = given.get("power_W"), given.get("source")
        if (power_W is None) != (source is None):
            lacks = "source, which says where power_W is from" if source is None else "power_W"
            raise UserError(f"others: {name} has no {lacks}; an estimate needs both power_W and source")
        if power_W is not None and not (_is_number(power_W) and power_W >= 0):
            raise UserError(f"others: {name}: power_W: {power_W} must be a number of watts")
        if (power_W is not None) + (name in inside) + bool(given.get("missing")) > 1:
            where = f"inside meter {inside[name]}" if name in inside else "an estimate"
            raise UserError(f"others: {name} is {where} and something else too; keep one of power_W, includes and missing")
        found[name] = {
            "power_W": None if power_W is None else float(power_W),
            "source": None if source is None else str(source),
            "meter": inside.get(name),
        }
    return found


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
