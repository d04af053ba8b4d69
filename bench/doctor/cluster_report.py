"""The report of the verb ``cluster``: how every host is equipped and how the hosts reach each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.config.config_json import to_json
from bench.doctor.clock_agreement import ClockAgreement
from bench.doctor.rank_json import known_fields, read_report


@dataclass(frozen=True)
class ThrottleState:
    """Causes that slow a host down: those that are active ``now``, and those that were ``since_boot``."""

    now: tuple[str, ...]
    since_boot: tuple[str, ...]


@dataclass(frozen=True)
class SupplyState:
    """A power supply that the kernel of a host knows.

    Attributes:
        name: The kernel's name.
        type: Mains, Battery or USB; None where it is unknown.
        online: Whether it supplies power; None where it is unknown.
    """

    name: str
    type: str | None
    online: bool | None


@dataclass(frozen=True)
class HostReport:
    """Facts of one host; None for those that it does not tell.

    Attributes:
        label: The host's name in the inventory.
        board: Its board class.
        machine: Boot id and name of the machine: equal for two hosts that are one machine.
        processor: The name that MPI gives to the machine.
        project: The project's folder.
        python: Version of the interpreter.
        mpi: First line of the MPI library's version.
        architecture: Of the processor, such as ``aarch64``.
        packages: Versions of the packages that matter, by name.
        code_hash: Hash of the project's code.
        missing: Folders of the order that are not there.
        cores: Number of logical cores.
        disk_free_bytes: Free space where the project is, bytes.
        memory_bytes: Size of the main memory, bytes.
        memory_free_bytes: Memory that a new process can have, bytes.
        busy: Share of the cores that others keep busy, from 0 to 1.
        leftovers: Process ids of other runs of this project.
        governors: Governors of the processor's clocks.
        load_1min: Load average of the last minute, 1.
        throttle: Causes that slow the host down.
        supplies: Its power supplies.
        hottest_C: The highest temperature of its zones, degrees Celsius.
    """

    label: str
    board: str
    machine: str
    processor: str
    project: str
    python: str
    mpi: str
    architecture: str
    packages: Mapping[str, str]
    code_hash: str
    missing: tuple[str, ...]
    cores: int | None
    disk_free_bytes: float
    memory_bytes: int | None
    memory_free_bytes: int | None
    busy: float | None
    leftovers: tuple[int, ...]
    governors: tuple[str, ...]
    load_1min: float | None
    throttle: ThrottleState | None
    supplies: tuple[SupplyState, ...]
    hottest_C: float | None

    def to_json(self) -> dict[str, Any]:
        """The JSON object that the host's rank sends to rank 0."""
        values: dict[str, Any] = to_json(self)
        return values

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> HostReport:
        """The report that ``to_json`` wrote, maybe on a host with other code, which is for the findings to say.

        Args:
            values: The JSON object; keys of a newer version are left out.

        Returns:
            The report.

        Raises:
            UserError: The host's version lacks a key.
        """
        return read_report(cls, known_fields(cls, values), f"the report of {values.get('label', 'a host')}")


@dataclass(frozen=True)
class LinkReport:
    """The link between two ranks, one message at a time.

    Attributes:
        first: Name of the host whose rank is lower.
        second: Name of the other host; the same where both ranks are on one host.
        latency_s: Time of a small message one way, s.
        there_bit_s: Rate of a large message from the first to the second, bit/s.
        back_bit_s: Rate of a large message from the second to the first, bit/s.
    """

    first: str
    second: str
    latency_s: float
    there_bit_s: float
    back_bit_s: float


@dataclass(frozen=True)
class ClusterReport:
    """Hosts, links and clocks of a cluster, as its ranks found them.

    Attributes:
        hosts: One report for each host, in the order of the ranks.
        ranks: Number of ranks that were started.
        all_reduce_s: Median time of an all-reduce of 8 bytes over all ranks, s.
        clock: How well the hosts' clocks agree.
        links: Every pair of ranks.
    """

    hosts: tuple[HostReport, ...]
    ranks: int
    all_reduce_s: float
    clock: ClockAgreement
    links: tuple[LinkReport, ...]

    def to_json(self) -> dict[str, Any]:
        """The JSON object that rank 0 writes for the launch host."""
        values: dict[str, Any] = to_json(self)
        return values

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> ClusterReport:
        """The report that ``to_json`` wrote.

        Args:
            values: The JSON object.

        Returns:
            The report.

        Raises:
            UserError: The first host has another version of this project.
        """
        return read_report(cls, values, "the cluster report of the first host")


@dataclass(frozen=True)
class ClusterStart:
    """The start of the ranks: by which launcher, and its time until their end, s."""

    launcher: str
    took_s: float
