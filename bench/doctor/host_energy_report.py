"""The report of the verb ``energy``: what every host measures and what makes the total of the cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.config.config_json import to_json
from bench.doctor.clock_agreement import ClockAgreement
from bench.doctor.rank_json import read_report


@dataclass(frozen=True)
class ChannelReport:
    """One channel of a source.

    Attributes:
        id: The channel's name within its source, such as ``package-0``.
        kind: ``counter`` for cumulative energy, ``power`` for watts at a moment.
        unit: Unit of a scaled reading: J for a counter, W for power.
        scale: ``unit`` per raw step.
        update_s: Time between two renewals of the value by the sensor, s; 0 where every reading is new.
        step: Smallest difference of two readings, in ``unit``.
        accuracy: Relative accuracy, 1; None where it is unknown.
        level: Where the channel sits: wall, board, package or component.
        scope: The parts of the host whose energy it has, in words.
        contains: Other channels that it includes; ``*`` stands for all of its hosts.
        watts: Mean power while it was read, W; None where that cannot be said.
        counted: ``in the total``, or why it is not in it.
    """

    id: str
    kind: str
    unit: str
    scale: float
    update_s: float
    step: float
    accuracy: float | None
    level: str
    scope: str
    contains: tuple[str, ...]
    watts: float | None
    counted: str


@dataclass(frozen=True)
class SourceReport:
    """One source of a host: how it was read, and its channels.

    Attributes:
        source: The source's registered name.
        meter: The meter's name in the inventory; None for a source of the host itself.
        kind: ``measured`` or ``modelled``.
        covers: Names of the hosts whose energy it has.
        check_of: The source that reads the same sensor another way; None where this one counts.
        period_s: Configured time between two readings, s.
        reached_Hz: Readings a second; None where they took no time.
        read_s: Median time of one reading, s.
        errors: Readings that failed.
        window_s: Length of a window for an uncertainty of 1 %, s.
        calibrated: The meter against which it is calibrated; None without a calibration.
        channels: The channels of the source.
    """

    source: str
    meter: str | None
    kind: str
    covers: tuple[str, ...]
    check_of: str | None
    period_s: float
    reached_Hz: float | None
    read_s: float
    errors: int
    window_s: float
    calibrated: str | None
    channels: tuple[ChannelReport, ...]

    @property
    def name(self) -> str:
        """The meter's name, or the source's where it is the host's own."""
        return self.meter or self.source


@dataclass(frozen=True)
class LeftOutSource:
    """A source that was not opened on a host, and why."""

    source: str
    why: str


@dataclass(frozen=True)
class HostEnergyReport:
    """The energy sources of one host.

    Attributes:
        label: The host's name in the inventory.
        board: Its board class.
        machine: Boot id and name of the machine: equal for two hosts that are one machine.
        problem: Why a run would end on this host; None where it would not.
        left_out: Sources that were not opened.
        not_measured: Parts of the host that are in no channel of the total.
        sampler_cpu: Share of one core that the sampler took, from 0 to 1; None where nothing was read.
        sources: The sources that gave two readings at least.
    """

    label: str
    board: str
    machine: str
    problem: str | None
    left_out: tuple[LeftOutSource, ...]
    not_measured: tuple[str, ...]
    sampler_cpu: float | None
    sources: tuple[SourceReport, ...]


@dataclass(frozen=True)
class PartReport:
    """A part of the total: hosts whose energy is read together.

    Attributes:
        hosts: Names of its hosts.
        kind: ``measured`` or ``modelled``.
        levels: Where its channels sit: wall, board, package or component.
        channels: The channels that are added up, as ``source/channel``.
        sources: Their sources.
        calibrated: Those of the sources that are calibrated.
        watts: Mean power over the time in which all sources were read, W; None where there is no such time.
        quality: ``good``, or why a run's check of these readings would fail.
    """

    hosts: tuple[str, ...]
    kind: str
    levels: tuple[str, ...]
    channels: tuple[str, ...]
    sources: tuple[str, ...]
    calibrated: tuple[str, ...]
    watts: float | None
    quality: str


@dataclass(frozen=True)
class OtherPartReport:
    """A part that is no host, such as a switch: ``counting`` says how a run counts it, ``known`` whether it can."""

    name: str
    counting: str
    known: bool


@dataclass(frozen=True)
class EnergyReport:
    """The energy sources of a whole cluster.

    Attributes:
        hosts: One report for each host, in the order of the ranks.
        parts: The parts of the total.
        missing: Names of the hosts whose energy nothing has.
        others: Parts that are no hosts.
        clock: How well the hosts' clocks agree; None where one host looked without MPI.
    """

    hosts: tuple[HostEnergyReport, ...]
    parts: tuple[PartReport, ...]
    missing: tuple[str, ...]
    others: tuple[OtherPartReport, ...]
    clock: ClockAgreement | None

    def to_json(self) -> dict[str, Any]:
        """The JSON object that rank 0 writes for the launch host."""
        values: dict[str, Any] = to_json(self)
        return values

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> EnergyReport:
        """The report that ``to_json`` wrote.

        Args:
            values: The JSON object.

        Returns:
            The report.

        Raises:
            UserError: The first host has another version of this project.
        """
        return read_report(cls, values, "the energy report of the first host")
