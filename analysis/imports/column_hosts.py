"""Whose power a column is: columns, nodes and projects of a log against the hosts of a study."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from analysis.imports.meter_log import Log, Readings, check_order
from bench.common.user_error import UserError
from strategies.common.registry import did_you_mean

Pairs = Mapping[str, tuple[str, ...]]
"""Column to hosts, as they were asked for."""


@dataclass(frozen=True)
class Meter:
    """What one meter reads: these hosts and no others, in one stretch or several."""

    name: str
    hosts: tuple[str, ...]
    stretches: tuple[Readings, ...]


def pairs_of(texts: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """``NAME=HOST,HOST`` of the command line."""
    found: dict[str, tuple[str, ...]] = {}
    for text in texts:
        name, sign, hosts = text.rpartition("=")
        if not sign or not name or not all(hosts.split(",")):
            raise UserError(f"--column {text} must be NAME=HOST, or NAME=HOST,HOST for a meter of several hosts")
        if name in found:
            raise UserError(f"--column names {name} twice; give all of its hosts at once: {name}=HOST,HOST")
        found[name] = tuple(hosts.split(","))
    return found


def known_hosts(records: Sequence[Mapping[str, Any]]) -> dict[str, set[str]]:
    """The hosts that have ranks in any of these records, each with the names by which its system calls itself."""
    found: dict[str, set[str]] = {}
    for record in records:
        for place in record.get("plan", {}).get("placement", ()):
            if "host" in place:
                found.setdefault(place["host"], set())
        for rank in record["environment"].get("ranks", ()):
            found.setdefault(rank["host"], set()).add(rank["processor"])
    return found


def check_hosts(pairs: Pairs, hosts: Iterable[str]) -> None:
    """UserError for a host that no record has, and for one that two columns have, each with other hosts."""
    known = list(hosts)
    seen: dict[str, str] = {}
    for column, own in pairs.items():
        for host in own:
            if host not in known:
                raise UserError(f"{host} is no host of the study; hosts are {', '.join(known)}{did_you_mean(host, known)}")
            if own.count(host) > 1:
                raise UserError(f"--column {column} names {host} twice; give it once")
            if host in seen and set(pairs[seen[host]]) != set(own):
                raise UserError(
                    f"columns {seen[host]} and {column} both have {host}, beside other hosts; its energy would count twice"
                )
            seen[host] = column


def meters_of(log: Log, pairs: Pairs, host: str | None, known: Mapping[str, set[str]]) -> list[Meter]:
    """The meters of a log: by ``pairs``, by the one ``host`` (or HOST,HOST) of the whole log, or by names that are hosts."""
    if host is not None and pairs:
        raise UserError("--host is for a log of one column, --column for each of several; give one of them")
    if host is not None:
        if len(log.names) > 1:
            raise UserError(f"{log.path} has {', '.join(log.names)}; say whose each is: --column {log.names[0]}={host} ...")
        pairs = {log.names[0]: tuple(host.split(","))}
    if not pairs:
        pairs = _by_name(log, known)
    check_hosts(pairs, known)
    alike: dict[tuple[str, ...], list[str]] = {}
    for name, hosts in pairs.items():
        alike.setdefault(tuple(sorted(hosts)), []).append(name)
    return [_meter(log, names, pairs[names[0]]) for names in alike.values()]


def _by_name(log: Log, known: Mapping[str, set[str]]) -> dict[str, tuple[str, ...]]:
    named = {name.lower(): host for host, others in known.items() for name in (*others, host)}
    found: dict[str, tuple[str, ...]] = {}
    for name in log.names:
        bare = re.sub(r"([ _]?[(\[][A-Za-z]+[)\]]|[_ ](m|k)?W)$", "", name).strip().lower()
        if bare in named:
            found[name] = (named[bare],)
    if not found and len(log.names) == 1 and len(known) == 1:
        found = {log.names[0]: tuple(known)}
    if not found:
        what = {"csv": "columns", "perun": "nodes", "codecarbon": "projects"}[log.source]
        raise UserError(
            f"{log.path} does not say whose power it has: {what} are {', '.join(log.names)}, hosts {', '.join(known)}; "
            f"give --column {log.names[0]}={next(iter(known), 'HOST')}"
        )
    return found


def _meter(log: Log, names: Sequence[str], hosts: tuple[str, ...]) -> Meter:
    """Columns of the same hosts are parts of them, which add up."""
    for name in names:
        if name not in log.names:
            raise UserError(f"{log.path} has no {name}; it has {', '.join(log.names)}{did_you_mean(name, log.names)}")
    each = [[found for found in log.readings if found.name == name] for name in names]
    if len(each) == 1:
        return Meter(names[0], hosts, tuple(each[0]))
    if log.source != "csv":
        raise UserError(f"{' and '.join(names)} of {log.path} are both {', '.join(hosts)}; one of them would count twice")
    return Meter("+".join(names), hosts, (_together("+".join(names), [found for (found,) in each]),))


def _together(name: str, columns: Sequence[Readings]) -> Readings:
    """Columns of one file as one meter of several channels; times at which one of them is empty are left out."""
    t_ns = columns[0].t_ns
    for other in columns[1:]:
        t_ns = np.intersect1d(t_ns, other.t_ns, assume_unique=True)
    check_order(f"columns {name}, where both have a value", t_ns)
    raw = np.concatenate([found.raw[np.isin(found.t_ns, t_ns)] for found in columns], axis=1)
    every = max(len(found.t_ns) + found.blanks for found in columns)
    channels = tuple(channel for found in columns for channel in found.channels)
    return replace(columns[0], name=name, channels=channels, t_ns=t_ns, raw=raw, blanks=every - len(t_ns))
