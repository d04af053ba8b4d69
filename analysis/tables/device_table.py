"""The device table, with hosts that are alike in one row; and the software."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from statistics import median
from typing import Any

import pandas as pd

from analysis.study.study import Study
from analysis.tables.table import NUMBER, Column, Table, join
from analysis.tables.table_registry import TableOptions, study_table
from bench.record.environment_record import EnvironmentRecord, GitRecord, HostRecord
from bench.record.host_energy_record import HostEnergyRecord
from bench.record.point_record import NetworkRecord

FACTS = ("board", "cpu", "cores", "memory_GiB", "system", "governor", "power_mode", "link", "energy")
COLUMNS = (
    Column("hosts", "Hosts"),
    Column("board", "Board"),
    Column("cpu", "CPU"),
    Column("cores", "Cores"),
    Column("memory_GiB", "Memory", "GiB"),
    Column("system", "System"),
    Column("governor", "Governor"),
    Column("power_mode", "Power mode"),
    Column("link", "Link"),
    Column("energy", "Energy from"),
    Column("idle_W", "Idle", "W", NUMBER),
)
EMULATED = (
    "Boards of which the energy is emulated are stand-ins: CPU, cores, memory and system are those of the machine that "
    "emulates them."
)


@study_table("devices", order=60)
def devices(study: Study, options: TableOptions) -> Table:
    """One row for each group of hosts that say the same of themselves in all points.

    Power modes have rows of their own, since idle power depends on them; other facts that changed stand side by side.

    Args:
        study: The study that the report is about.
        options: Choices of the report; none matters here.

    Returns:
        Columns ``hosts``, those of ``FACTS`` as text, and ``idle_W``, the median idle power (W), null where none was measured.
    """
    facts: dict[tuple[str, str], dict[str, list[str]]] = {}
    idle_W: dict[tuple[str, str], list[float]] = {}
    for host, host_facts, idle in _told(study):
        place = (host, host_facts["power_mode"])
        known_values = facts.setdefault(place, {key: [] for key in FACTS})
        for key, value in host_facts.items():
            if value and value not in known_values[key]:
                known_values[key].append(value)
        if idle is not None:
            idle_W.setdefault(place, []).append(idle)
    alike: dict[tuple[str, ...], list[tuple[str, str]]] = {}
    for place, known in facts.items():
        alike.setdefault(tuple(" | ".join(sorted(known[key])) or "not told" for key in FACTS), []).append(place)
    rows = []
    for values, places in alike.items():
        watts = [watt for place in places for watt in idle_W.get(place, ())]
        row = {"hosts": ", ".join(host for host, _ in places), **dict(zip(FACTS, values, strict=True))}
        rows.append({**row, "idle_W": median(watts) if watts else None})
    data = pd.DataFrame(rows, columns=["hosts", *FACTS, "idle_W"])
    return Table("devices", "Devices", _caption(study, data), COLUMNS, data)


def _caption(study: Study, data: pd.DataFrame) -> str:
    if data.empty:
        return "No record tells what it ran on."
    kinds = sorted({record.energy.kind for record in study.good} - {"none"})
    idle = f"Idle power is the median over {len(study.good)} points, {join(kinds)}. " if kinds else ""
    text = f"Hosts in one row say the same of themselves. {idle}What a host does not tell is marked as such."
    return f"{text} {EMULATED}" if data["energy"].str.contains("emulated").any() else text


def _told(study: Study) -> Iterator[tuple[str, dict[str, str], float | None]]:
    """For each host of each point: its name, its facts, and its own idle power."""
    for record in study.good:
        point = record.point
        links = _links(point.network)
        meters = {host: meter for meter in record.energy.by_host for host in meter.hosts}
        for host in record.environment.hosts or ():
            meter = meters.get(host.host)
            host_facts = {
                "board": host.board or "",
                "cpu": host.cpu or "",
                "cores": _text(host.cores),
                "memory_GiB": f"{host.memory_bytes / 2**30:.1f}" if host.memory_bytes else "",
                "system": " ".join(word for word in ("Linux", host.kernel, host.machine) if word and host.kernel),
                "governor": host.governor or "",
                "power_mode": _mode(host, point.power_mode),
                "link": links.get(host.host, ""),
                "energy": "none" if meter is None else _meter(meter),
            }
            alone = meter is not None and meter.hosts == [host.host]
            measured = (
                meter is not None and alone and record.energy.idle.reused is None
            )  # a reused one counts where it was read
            yield host.host, host_facts, meter.idle_W if meter is not None and measured else None


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _mode(host: HostRecord, asked: str | Mapping[str, str] | None) -> str:
    """The mode that was set, else the one that the point asked for; a board's own default where nobody asked."""
    mode = None if host.mode is None else host.mode.power_mode
    if mode is None and isinstance(asked, Mapping) and host.board is not None:
        mode = asked.get(host.board)
    return str(mode or (asked if isinstance(asked, str) else "as it was"))


def _links(network: NetworkRecord | None) -> dict[str, str]:
    if network is None:
        return {}
    return {link.host: f"{link.name} ({link.rate_bit_s / 1e6:g} Mbit/s)" for link in network.links}


def _meter(meter: HostEnergyRecord) -> str:
    shared = f", shared by {len(meter.hosts)} hosts" if len(meter.hosts) > 1 else ""
    kind = f"{meter.kind} as {meter.modelled_as}," if meter.modelled_as else meter.kind
    return f"{meter.source}, {kind} at {join(sorted(meter.levels))}{shared}"


@study_table("software", order=80)
def software(study: Study, options: TableOptions) -> Table:
    """Versions of everything; those that differ between points stand side by side.

    Args:
        study: The study that the report is about.
        options: Choices of the report; none matters here.

    Returns:
        Columns ``software`` and ``version``.
    """
    versions_by_name: dict[str, list[str]] = {}
    for record in study.records:
        environment = record.environment
        versions = {"EdgeJoule, commit": commit(environment), "Python": environment.python}
        versions |= environment.packages or {}
        versions["MPI"] = None if environment.mpi is None else environment.mpi.library
        for name, version in versions.items():
            if version and version not in versions_by_name.setdefault(name, []):
                versions_by_name[name].append(version)
    rows = [{"software": name, "version": " | ".join(versions)} for name, versions in versions_by_name.items() if versions]
    columns = (Column("software", "Software"), Column("version", "Version"))
    caption = f"As the {len(study.records)} points recorded it."
    return Table("software", "Software", caption, columns, pd.DataFrame(rows, columns=["software", "version"]))


def commit(environment: EnvironmentRecord) -> str:
    """The commit of the code that a point ran with.

    Args:
        environment: The environment that the point recorded.

    Returns:
        The commit, ``unknown`` without one, and whether there were uncommitted changes.
    """
    git = GitRecord() if environment.git is None else environment.git
    return f"{git.commit or 'unknown'}{' with uncommitted changes' if git.dirty else ''}"
