"""The conditions under which points ran that are no factor of a study: code, software and hosts, as their records tell them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from analysis.study.configuration_labels import plain
from analysis.study.count_phrases import counted, some
from bench.record.environment_record import HostRecord
from bench.record.record import Record

Conditions = dict[str, dict[str, list[str]]]
"""By subject (``torch``, ``host pi-1 of local as raspberry-pi-4``) and by value (``2.9``), the names of the points."""
SAME_MEMORY = 0.02
"""Memory that a kernel keeps for itself changes with its version; a board of another size has twice as much."""


def code_of(records: Sequence[Record]) -> Conditions:
    """The code by the contents of what the ranks imported; by commit where a record does not tell them.

    Args:
        records: Those that are compared.

    Returns:
        Names of points by value, under the subject ``code``.
    """
    by_content = all(_contents(record) for record in records)
    return _collected((record, {"code": _contents(record) if by_content else commit_of(record)}) for record in records)


def commit_of(record: Record) -> str | None:
    """The commit with which a point ran.

    Args:
        record: Of any status.

    Returns:
        ``commit 1111aaaa1111 with changes``; None where the record has no commit.
    """
    git = record.environment.git
    return None if git is None or not git.commit else f"commit {git.commit[:12]}{' with changes' if git.dirty else ''}"


def _contents(record: Record) -> str | None:
    """The code of every host; None where one does not tell it."""
    hosts = record.environment.hosts or ()
    hashes = {host.code_hash for host in hosts if host.code_hash}
    return ", ".join(sorted(hashes)) if hosts and all(host.code_hash for host in hosts) else None


def software_of(records: Sequence[Record]) -> Conditions:
    """Versions of Python, of the packages that matter, and of MPI.

    Args:
        records: Those that are compared.

    Returns:
        Names of points by value, a subject for each of them.
    """
    return _collected((record, versions_of(record)) for record in records)


def versions_of(record: Record) -> dict[str, str | None]:
    """The versions of the software with which a point ran.

    Args:
        record: Of any status.

    Returns:
        Versions of Python, of each package and of MPI, by name; None where the record does not tell it.
    """
    environment = record.environment
    mpi = environment.mpi.library if environment.mpi else None
    return {"Python": environment.python, **(environment.packages or {}), "MPI": mpi and mpi.split(", package")[0]}


def hosts_of(records: Sequence[Record]) -> Conditions:
    """Processor, cores and memory of every host, as a board of one class, in one cluster and power mode: those are factors.

    Args:
        records: Those that are compared.

    Returns:
        Names of points by value, a subject for each host as a board of one class in one cluster and power mode.
    """
    conditions: Conditions = {}
    sizes: dict[str, list[int]] = {}
    for record in records:
        point = record.point
        mode = f" in {plain(point.power_mode)}" if point.power_mode else ""
        for host in record.environment.hosts or ():
            subject = f"host {host.host} of {point.cluster} as {host.board}{mode}"
            memory = _memory(host, sizes.setdefault(subject, []))
            value = f"{host.cpu or 'unknown CPU'}, {host.cores} cores, {memory}"
            conditions.setdefault(subject, {}).setdefault(value, []).append(point.name)
    return conditions


def _memory(host: HostRecord, known: list[int]) -> str:
    """The size in words. Sizes within 2 % of one in ``known`` have its name; another is added to ``known``."""
    size = host.memory_bytes
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
                conditions.setdefault(subject, {}).setdefault(value, []).append(record.point.name)
    return conditions


def differences(conditions: Conditions) -> list[str]:
    """The subjects that have more than one value.

    Args:
        conditions: The points by subject and value.

    Returns:
        One line for each, with the points of every value.
    """
    return [
        f"{subject} "
        + " against ".join(f"{value} ({counted(len(points), 'point')}: {some(points)})" for value, points in values.items())
        for subject, values in conditions.items()
        if len(values) > 1
    ]
