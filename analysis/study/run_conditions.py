"""The conditions under which points ran that are no factor of a study: code, software and hosts, as their records tell them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from analysis.study.configuration_labels import plain
from analysis.study.count_phrases import counted, some

Record = Mapping[str, Any]
Conditions = dict[str, dict[str, list[str]]]
"""By subject (``torch``, ``host pi-1 of local as raspberry-pi-4``) and by value (``2.9``), the names of the points."""
SAME_MEMORY = 0.02
"""What a kernel keeps for itself changes with its version; a board of another size has twice as much."""


def code_of(records: Sequence[Record]) -> Conditions:
    """The code by the contents of what the ranks imported; by commit where a record does not tell them."""
    by_content = all(_contents(record) for record in records)
    return _collected((record, {"code": _contents(record) if by_content else commit_of(record)}) for record in records)


def commit_of(record: Record) -> str | None:
    """``commit 1111aaaa1111 with changes``; None where the record has no commit."""
    git = record["environment"].get("git") or {}
    return f"commit {git['commit'][:12]}{' with changes' if git.get('dirty') else ''}" if git.get("commit") else None


def _contents(record: Record) -> str | None:
    """The code of every host; None where one does not tell it."""
    hashes = [host.get("code_hash") for host in record["environment"].get("hosts") or ()]
    return ", ".join(sorted(set(hashes))) if hashes and all(hashes) else None


def software_of(records: Sequence[Record]) -> Conditions:
    """Versions of Python, of the packages that matter, and of MPI."""
    return _collected((record, versions_of(record)) for record in records)


def versions_of(record: Record) -> dict[str, str | None]:
    """By name the version of Python, of each package and of MPI; None where the record does not tell it."""
    environment = record["environment"]
    mpi = (environment.get("mpi") or {}).get("library")
    packages = environment.get("packages") or {}
    return {"Python": environment.get("python"), **packages, "MPI": mpi and mpi.split(", package")[0]}


def hosts_of(records: Sequence[Record]) -> Conditions:
    """Processor, cores and memory of every host, as a board of one class, in one cluster and power mode: those are factors."""
    conditions: Conditions = {}
    sizes: dict[str, list[int]] = {}
    for record in records:
        point = record["point"]
        for host in record["environment"].get("hosts") or ():
            mode = point.get("power_mode")
            subject = f"host {host['host']} of {point['cluster']} as {host['board']}{f' in {plain(mode)}' if mode else ''}"
            memory = _memory(host, sizes.setdefault(subject, []))
            value = f"{host.get('cpu') or 'unknown CPU'}, {host.get('cores')} cores, {memory}"
            conditions.setdefault(subject, {}).setdefault(value, []).append(point["name"])
    return conditions


def _memory(host: Mapping[str, Any], known: list[int]) -> str:
    """The size in words. Sizes within 2 % of one in ``known`` have its name; another is added to ``known``."""
    size = host.get("memory_bytes")
    if size is None:
        return "memory unknown"
    near = next((other for other in known if abs(other - size) <= SAME_MEMORY * other), None)
    if near is None:
        known.append(size)
    return f"{(near or size) / 2**30:.3g} GiB"


def _collected(values_of_records: Iterable[tuple[Record, Mapping[str, str | None]]]) -> Conditions:
    conditions: Conditions = {}
    for record, values in values_of_records:
        for subject, value in values.items():
            if value:
                conditions.setdefault(subject, {}).setdefault(value, []).append(record["point"]["name"])
    return conditions


def differences(conditions: Conditions) -> list[str]:
    """One line for every subject that has more than one value, with the points of each."""
    return [
        f"{subject} "
        + " against ".join(f"{value} ({counted(len(points), 'point')}: {some(points)})" for value, points in values.items())
        for subject, values in conditions.items()
        if len(values) > 1
    ]
