"""The record of a monitored program, ``monitored.json``: joules of a command that is not a point of the suite.

The parts that sensors make are those of a point's record; what a strategy, a plan and training say is not there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from bench.record.block import Block, Entry
from bench.record.check_record import Check
from bench.record.energy_record import CoverageRecord, OtherPartRecord
from bench.record.environment_record import EnvironmentRecord
from bench.record.host_energy_record import CrossCheckRecord, HostEnergyRecord, LeftOutRecord, SamplerRecord

MonitoredSchema = Literal["edgejoule.monitored/1"]
MONITORED: MonitoredSchema = "edgejoule.monitored/1"
MONITORED_FILE = "monitored.json"
MonitoredStatus = Literal["ok", "invalid", "failed"]


@dataclass(frozen=True, kw_only=True)
class MonitoredRankRecord(Block):
    """One rank's command."""

    rank: Annotated[int, Entry("the rank", "1", minimum=0)]
    host: Annotated[str, Entry("its host")]
    pid: Annotated[int, Entry("process id")]
    start_s: Annotated[float, Entry("begin, on the axis of the run", "s")]
    end_s: Annotated[float, Entry("end, on the axis of the run", "s")]
    exit_code: Annotated[int | None, Entry("exit code; null: it ended by a signal, or nobody saw its end")]
    signal: Annotated[str | None, Entry("the signal that ended it; null: none did, or nobody saw its end")]


@dataclass(frozen=True, kw_only=True)
class HostWindowRecord(Block):
    """The window of one host: from the begin of its first rank to the end of its last, on its own clock."""

    host: Annotated[str, Entry("the host")]
    start_s: Annotated[float, Entry("begin, on the axis of the run", "s")]
    end_s: Annotated[float, Entry("end, on the axis of the run", "s")]
    idle_s: Annotated[float, Entry("length of the idle window before it; 0: none", "s")]


@dataclass(frozen=True, kw_only=True)
class HostClockRecord(Block):
    """How one host's clock was put on the axis of the run."""

    host: Annotated[str, Entry("the host")]
    bound_s: Annotated[float | None, Entry("how far its civil time may be off; null: nobody says", "s")]
    basis: Annotated[str, Entry("who says so")]
    drift_ppm: Annotated[float, Entry("drift of its clock against the first host's during the run", "1e-6")]


@dataclass(frozen=True, kw_only=True)
class RunClockRecord(Block):
    """How the clocks of the hosts were brought together. Joules of a host do not depend on it: they are on its own clock."""

    method: Annotated[
        Literal["one clock", "civil time"], Entry("one clock: all ran on one machine; civil time: each host's own, kept by NTP")
    ]
    bound_s: Annotated[float | None, Entry("no two hosts are further apart; null: not known", "s")]
    hosts: Annotated[Sequence[HostClockRecord], Entry("each host")]


@dataclass(frozen=True, kw_only=True)
class MonitoredCarbonRecord(Block):
    """Greenhouse gas of the energy, by a stated intensity of the grid."""

    g_per_kWh: Annotated[float, Entry("intensity of the grid, CO2 equivalent", "g/kWh")]
    source: Annotated[str, Entry("where that number comes from")]
    total_g: Annotated[float, Entry("of the run", "g")]


@dataclass(frozen=True, kw_only=True)
class MonitoredEnergyRecord(Block):
    """Joules of all hosts, each over its own window. A total is null unless every host has readings over all of it."""

    kind: Annotated[Literal["measured", "modelled", "none"], Entry("by sensors, by a model of the board, or not at all")]
    source: Annotated[str | None, Entry("the sources that make the total, joined by +; null: none")]
    total_J: Annotated[float | None, Entry("all hosts", "J")]
    uncertainty_J: Annotated[float | None, Entry("standard uncertainty of total_J", "J")]
    random_J: Annotated[float | None, Entry("its part that repeats average out", "J")]
    systematic_J: Annotated[float | None, Entry("its part that is the same in all repeats", "J")]
    model_J: Annotated[float | None, Entry("the part of systematic_J that is the model's; null: nothing is modelled", "J")]
    mean_power_W: Annotated[float | None, Entry("power of all hosts together, each over its own window", "W")]
    idle_W: Annotated[float | None, Entry("power of all hosts at idle before the command; null: not measured", "W")]
    idle_J: Annotated[float | None, Entry("idle power of each host times its window", "J")]
    dynamic_J: Annotated[float | None, Entry("total_J less idle_J", "J")]
    dynamic_uncertainty_J: Annotated[float | None, Entry("standard uncertainty of dynamic_J", "J")]
    carbon: Annotated[MonitoredCarbonRecord | None, Entry("greenhouse gas; null: no intensity was given")]
    by_host: Annotated[Sequence[HostEnergyRecord], Entry("the parts that add up to total_J")]
    others: Annotated[Sequence[OtherPartRecord], Entry("parts of the system that are no hosts")]
    system_J: Annotated[float | None, Entry("hosts and other parts; null: one of them is missing", "J")]
    cross_checks: Annotated[Sequence[CrossCheckRecord], Entry("sensors that are in no total against what is")]
    coverage: Annotated[CoverageRecord, Entry("which hosts and parts are in the total")]
    left_out: Annotated[Sequence[LeftOutRecord], Entry("sources that were tried and not used")]
    sampler: Annotated[SamplerRecord, Entry("cost of reading the sensors")]


@dataclass(frozen=True, kw_only=True)
class RegionRecord(Block):
    """One region of one rank. A region that lies in others has their names before its own, and its joules are in theirs too."""

    region: Annotated[str, Entry("names from the outermost in, joined by /")]
    depth: Annotated[int, Entry("how many regions are around it", "1", minimum=0)]
    rank: Annotated[int, Entry("the rank", "1", minimum=0)]
    host: Annotated[str, Entry("its host, or the hosts behind one meter")]
    calls: Annotated[int, Entry("how often it was entered in the window", "1")]
    seconds: Annotated[float, Entry("time in it", "s")]
    joules: Annotated[float | None, Entry("this rank's share of its host's joules; null: refused", "J")]
    standard_error_J: Annotated[
        float | None, Entry("standard error of the attribution, without the sensor's own; null: refused", "J")
    ]


@dataclass(frozen=True, kw_only=True)
class RegionHostRecord(Block):
    """One region over all ranks of one host, or of the hosts behind one meter."""

    host: Annotated[str, Entry("the host")]
    joules: Annotated[float | None, Entry("of its ranks; null: refused", "J")]
    standard_error_J: Annotated[float | None, Entry("standard error of the attribution; null: refused", "J")]


@dataclass(frozen=True, kw_only=True)
class RegionTotalRecord(Block):
    """One region over all ranks and hosts."""

    region: Annotated[str, Entry("names from the outermost in, joined by /")]
    depth: Annotated[int, Entry("how many regions are around it", "1", minimum=0)]
    calls: Annotated[int, Entry("how often it was entered, all ranks", "1")]
    seconds: Annotated[float, Entry("time in it, all ranks added up", "s")]
    joules: Annotated[float | None, Entry("of all ranks; null: refused on a host", "J")]
    standard_error_J: Annotated[float | None, Entry("standard error of the attribution; null: refused on a host", "J")]
    by_host: Annotated[Sequence[RegionHostRecord], Entry("the same of each host")]


@dataclass(frozen=True, kw_only=True)
class RegionMethodRecord(Block):
    """How a host's joules were shared between the regions of one depth, or why that was refused."""

    host: Annotated[str, Entry("the host, or the hosts behind one meter")]
    source: Annotated[str, Entry("the source whose readings were shared")]
    depth: Annotated[int, Entry("regions with so many around them", "1", minimum=0)]
    method: Annotated[Literal["interpolated", "least squares", "refused"], Entry("the way of the attribution")]
    why: Annotated[str, Entry("why this way, or why none")]
    condition_number: Annotated[float | None, Entry("of the least squares; null: there were none", "1")]


@dataclass(frozen=True, kw_only=True)
class MonitoredRecord(Block):
    """One run of a program under ``edgejoule monitor``. Times are seconds from the begin of its first rank."""

    schema: Annotated[MonitoredSchema, Entry("version of this format")] = MONITORED
    status: Annotated[
        MonitoredStatus,
        Entry("ok; failed: a rank did not end with code 0; invalid: a check failed, do not use the joules"),
    ]
    reason: Annotated[str | None, Entry("why it is not ok; null: it is")]
    name: Annotated[str, Entry("the run's folder")]
    command: Annotated[Sequence[str], Entry("the words of the command")]
    launcher: Annotated[str | None, Entry("who started the ranks; null: nobody did")]
    size: Annotated[int, Entry("ranks of the job", "1", minimum=1)]
    seconds: Annotated[float, Entry("from the begin of the first rank to the end of the last", "s")]
    ranks: Annotated[Sequence[MonitoredRankRecord], Entry("every rank that handed in")]
    windows: Annotated[Sequence[HostWindowRecord], Entry("the window of each host")]
    clock: Annotated[RunClockRecord, Entry("how the clocks of the hosts were brought together")]
    energy: Annotated[MonitoredEnergyRecord, Entry("joules")]
    regions: Annotated[Sequence[RegionTotalRecord], Entry("regions that the program named, over all ranks")]
    regions_by_rank: Annotated[Sequence[RegionRecord], Entry("regions of each rank")]
    region_methods: Annotated[Sequence[RegionMethodRecord], Entry("how regions got their joules")]
    not_attributed: Annotated[Sequence[str], Entry("regions that got no joules, and why")]
    checks: Annotated[Sequence[Check], Entry("what was looked at, with its verdict")]
    environment: Annotated[EnvironmentRecord, Entry("code and machines")]
