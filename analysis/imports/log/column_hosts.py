"""Whose power a column is: columns, nodes and projects of a log against the hosts of a study."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from analysis.imports.log.log_format import LOG_FORMATS
from analysis.imports.log.meter_log import Log, Readings, check_order
from bench.common.user_error import UserError
from bench.record.record import Record
from strategies.common.registry import did_you_mean

ColumnHosts = Mapping[str, tuple[str, ...]]
"""The hosts of each column, as they were asked for."""
UNIT_ENDING = re.compile(r"([ _]?[(\[][A-Za-z]+[)\]]|[_ ](m|k)?W)$")


@dataclass(frozen=True)
class Meter:
    """The readings of one meter: of these hosts and no others, in one stretch or several."""

    name: str
    hosts: tuple[str, ...]
    stretches: tuple[Readings, ...]


def parse_columns(texts: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The hosts of each column, from the words of ``--column``.

    Args:
        texts: Each is ``NAME=HOST`` or ``NAME=HOST,HOST``.

    Returns:
        The hosts by the name of the column.

    Raises:
        UserError: A text has another form, or a column is named twice.
    """
    column_hosts: dict[str, tuple[str, ...]] = {}
    for text in texts:
        name, sign, hosts = text.rpartition("=")
        if not sign or not name or not all(hosts.split(",")):
            raise UserError(f"--column {text} must be NAME=HOST, or NAME=HOST,HOST for a meter of several hosts")
        if name in column_hosts:
            raise UserError(f"--column names {name} twice; give all of its hosts at once: {name}=HOST,HOST")
        column_hosts[name] = tuple(hosts.split(","))
    return column_hosts


def known_hosts(records: Sequence[Record]) -> dict[str, set[str]]:
    """The hosts that have ranks in any of these records.

    Args:
        records: Of any status.

    Returns:
        By host, the names by which its system calls itself.
    """
    hosts: dict[str, set[str]] = {}
    for record in records:
        for place in record.plan.placement if record.plan else ():
            if place.host is not None:
                hosts.setdefault(place.host, set())
        for rank in record.environment.ranks or ():
            if rank.host is not None:
                hosts.setdefault(rank.host, set()).update([rank.processor] if rank.processor else [])
    return hosts


def check_hosts(column_hosts: ColumnHosts, hosts: Iterable[str]) -> None:
    """Refuse hosts that are unknown or would count twice.

    Args:
        column_hosts: As asked for.
        hosts: The hosts of the study.

    Raises:
        UserError: No record has the host, a column names it twice, or two columns have it, each with other hosts.
    """
    known = list(hosts)
    column_of: dict[str, str] = {}
    for column, names in column_hosts.items():
        for host in names:
            if host not in known:
                raise UserError(f"{host} is no host of the study; hosts are {', '.join(known)}{did_you_mean(host, known)}")
            if names.count(host) > 1:
                raise UserError(f"--column {column} names {host} twice; give it once")
            if host in column_of and set(column_hosts[column_of[host]]) != set(names):
                raise UserError(
                    f"columns {column_of[host]} and {column} both have {host}, beside other hosts; its energy would count twice"
                )
            column_of[host] = column


def meters_of(log: Log, column_hosts: ColumnHosts, host: str | None, known: Mapping[str, set[str]]) -> list[Meter]:
    """The meters of a log.

    Args:
        log: What was read.
        column_hosts: The hosts of each column; empty: by names that are hosts.
        host: The word of ``--host``, HOST or HOST,HOST: whose the one column of the log is.
        known: The hosts of the study, each with its other names.

    Returns:
        Each with its hosts and with the columns of the log that are its.

    Raises:
        UserError: The log does not say whose power it has, or a host is unknown or would count twice.
    """
    if host is not None and column_hosts:
        raise UserError("--host is for a log of one column, --column for each of several; give one of them")
    if host is not None:
        if len(log.names) > 1:
            raise UserError(f"{log.path} has {', '.join(log.names)}; say whose each is: --column {log.names[0]}={host} ...")
        column_hosts = {log.names[0]: tuple(host.split(","))}
    if not column_hosts:
        column_hosts = _hosts_by_name(log, known)
    check_hosts(column_hosts, known)
    columns_of: dict[tuple[str, ...], list[str]] = {}
    for name, hosts in column_hosts.items():
        columns_of.setdefault(tuple(sorted(hosts)), []).append(name)
    return [_meter(log, names, column_hosts[names[0]]) for names in columns_of.values()]


def _hosts_by_name(log: Log, known: Mapping[str, set[str]]) -> dict[str, tuple[str, ...]]:
    """Columns that are called as a host is, with or without a unit behind; the one column of a study with one host."""
    host_of = {name.lower(): host for host, others in known.items() for name in (*others, host)}
    column_hosts: dict[str, tuple[str, ...]] = {}
    for name in log.names:
        bare = UNIT_ENDING.sub("", name).strip().lower()
        if bare in host_of:
            column_hosts[name] = (host_of[bare],)
    if not column_hosts and len(log.names) == 1 and len(known) == 1:
        column_hosts = {log.names[0]: tuple(known)}
    if not column_hosts:
        noun = LOG_FORMATS.get(log.source).column_noun
        raise UserError(
            f"{log.path} does not say whose power it has: {noun} are {', '.join(log.names)}, hosts {', '.join(known)}; "
            f"give --column {log.names[0]}={next(iter(known), 'HOST')}"
        )
    return column_hosts


def _meter(log: Log, names: Sequence[str], hosts: tuple[str, ...]) -> Meter:
    """Columns of the same hosts are parts of them, which add up where the format says so."""
    for name in names:
        if name not in log.names:
            raise UserError(f"{log.path} has no {name}; it has {', '.join(log.names)}{did_you_mean(name, log.names)}")
    stretches = [[readings for readings in log.readings if readings.name == name] for name in names]
    if len(stretches) == 1:
        return Meter(names[0], hosts, tuple(stretches[0]))
    if not LOG_FORMATS.get(log.source).columns_add_up:
        raise UserError(f"{' and '.join(names)} of {log.path} are both {', '.join(hosts)}; one of them would count twice")
    return Meter("+".join(names), hosts, (_together("+".join(names), [column for (column,) in stretches]),))


def _together(name: str, columns: Sequence[Readings]) -> Readings:
    """Columns of one file as one meter of several channels; times at which one of them is empty are left out."""
    t_ns = columns[0].t_ns
    for other in columns[1:]:
        t_ns = np.intersect1d(t_ns, other.t_ns, assume_unique=True)
    check_order(f"columns {name}, where both have a value", t_ns)
    raw = np.concatenate([column.raw[np.isin(column.t_ns, t_ns)] for column in columns], axis=1)
    every = max(len(column.t_ns) + column.blanks for column in columns)
    channels = tuple(channel for column in columns for channel in column.channels)
    return replace(columns[0], name=name, channels=channels, t_ns=t_ns, raw=raw, blanks=every - len(t_ns))
