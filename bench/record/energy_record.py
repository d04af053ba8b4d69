"""The record's ``energy``: joules of the timed windows, over hosts that are metered once each.

See ``docs/explanation/measuring.md``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from bench.common.phases import Phase
from bench.record.block import Block, Entry
from bench.record.host_energy_record import CrossCheckRecord, HostEnergyRecord, LeftOutRecord, SamplerRecord


@dataclass(frozen=True, kw_only=True)
class CarbonRecord(Block):
    """Greenhouse gas of the energy, by a stated intensity of the grid."""

    g_per_kWh: Annotated[float, Entry("intensity of the grid, CO2 equivalent", "g/kWh")]
    source: Annotated[str, Entry("where that number comes from")]
    total_g: Annotated[float, Entry("of the windows", "g")]
    per_sample_g: Annotated[float, Entry("of one sample", "g")]


@dataclass(frozen=True, kw_only=True)
class IdleReuseRecord(Block):
    """The point whose measured idle power stands in this record."""

    point: Annotated[str, Entry("name of the point that measured it, of the same block of repeats")]
    finished: Annotated[str, Entry("when that point was finished, in civil time, UTC, ISO 8601")]
    age_s: Annotated[float, Entry("how long that was before this point looked at its hosts", "s")]
    uncertainty_W: Annotated[float, Entry("standard uncertainty of idle_W for this point", "W")]


@dataclass(frozen=True, kw_only=True)
class IdlePowerRecord(Block):
    """Power of all hosts while the ranks slept: measured by this point, or by the one that ``reused`` names."""

    before_W: Annotated[float | None, Entry("before the warm-up; null: not known for all hosts", "W")]
    after_W: Annotated[float | None, Entry("after the last window; null: not known for all hosts", "W")]
    seconds: Annotated[float, Entry("length of both together in this point; 0: not measured here", "s")]
    random_W: Annotated[float | None, Entry("standard uncertainty of their mean by the readings; null: not known", "W")] = None
    reused: Annotated[IdleReuseRecord | None, Entry("where it comes from; null: this point measured it")] = None
    why_not_reused: Annotated[str | None, Entry("why a measured one was at hand and not reused; null: none was")] = None


@dataclass(frozen=True, kw_only=True)
class StateJoulesRecord(Block):
    """Joules of all hosts by what their ranks did; they add up to the total."""

    compute_J: Annotated[float, Entry("while computing", "J")]
    communicate_J: Annotated[float, Entry("while moving data", "J")]
    wait_J: Annotated[float, Entry("while waiting for other ranks", "J")]


@dataclass(frozen=True, kw_only=True)
class PhaseJoulesRecord(Block):
    """Joules of all hosts in one phase."""

    phase: Annotated[Phase, Entry("the ranks' phase")]
    joules: Annotated[float, Entry("joules in the windows", "J")]
    standard_error_J: Annotated[float, Entry("standard error of the attribution", "J")]


@dataclass(frozen=True, kw_only=True)
class RankJoulesRecord(Block):
    """One rank's share of its host's joules in the windows, by what it did."""

    rank: Annotated[int, Entry("the rank")]
    compute_J: Annotated[float, Entry("while computing", "J")]
    communicate_J: Annotated[float, Entry("while moving data", "J")]
    wait_J: Annotated[float, Entry("while waiting for other ranks", "J")]


@dataclass(frozen=True, kw_only=True)
class AttributionRecord(Block):
    """How joules were shared between phases."""

    method: Annotated[str, Entry('interpolated, least squares or refused; two joined by "and"')]
    why: Annotated[str, Entry("why this method, or why none")]
    condition_number: Annotated[float | None, Entry("of the least squares; null: there were none", "1")]


@dataclass(frozen=True, kw_only=True)
class OtherPartRecord(Block):
    """A part of the system that is no host, such as the switch."""

    name: Annotated[str, Entry("name of the part")]
    kind: Annotated[
        Literal["measured", "in total", "estimated", "missing"],
        Entry("measured by its own meter, inside a host's meter, estimated by a stated power, or missing"),
    ]
    joules: Annotated[float | None, Entry("joules in the windows; null: missing, or already in the total", "J")]
    uncertainty_J: Annotated[float | None, Entry("standard uncertainty; null: not measured", "J")]
    basis: Annotated[str, Entry("the meter, or where the stated power comes from")]


@dataclass(frozen=True, kw_only=True)
class CoverageRecord(Block):
    """Which hosts and parts are in the total."""

    hosts: Annotated[int, Entry("hosts that take part", "1")]
    measured: Annotated[int, Entry("hosts that have readings", "1")]
    missing: Annotated[Sequence[str], Entry("hosts without readings: then there is no total")]
    not_measured: Annotated[Sequence[str], Entry("parts that the meters do not see")]
    levels: Annotated[Sequence[str], Entry("where hosts are metered: wall, board, package, component")]
    also_measured: Annotated[Sequence[str], Entry("hosts without a rank that are in the total")]


@dataclass(frozen=True, kw_only=True)
class EnergyRecord(Block):
    """Joules of the timed windows. A total is null unless every host that takes part has readings over every window."""

    kind: Annotated[Literal["measured", "modelled", "none"], Entry("by sensors, by a model of the board, or not at all")]
    source: Annotated[str | None, Entry("the sources that make the total, joined by +; null: none")]
    total_J: Annotated[float | None, Entry("all hosts", "J")]
    uncertainty_J: Annotated[float | None, Entry("standard uncertainty of total_J", "J")]
    random_J: Annotated[float | None, Entry("its part that repeats average out", "J")]
    systematic_J: Annotated[float | None, Entry("its part that is the same in all repeats", "J")]
    model_J: Annotated[
        float | None, Entry("the models' part of systematic_J, one error of all boards of a class; null: measured", "J")
    ] = None
    mean_power_W: Annotated[float | None, Entry("total_J over the windows' length", "W")]
    per_sample_J: Annotated[float | None, Entry("total_J over the samples", "J")]
    per_token_J: Annotated[float | None, Entry("total_J over the tokens", "J")]
    edp_Js: Annotated[float | None, Entry("energy-delay product of one sample", "J s")]
    ed2p_Js2: Annotated[float | None, Entry("energy-delay-squared product of one sample", "J s^2")]
    samples_per_s_MJ: Annotated[float | None, Entry("samples per second and megajoule of a step; null: no joules", "1/(s MJ)")]
    idle_W: Annotated[float | None, Entry("power of all hosts at idle, mean of before and after", "W")]
    idle_J: Annotated[float | None, Entry("idle_W times the windows' length", "J")]
    dynamic_J: Annotated[float | None, Entry("total_J less idle_J", "J")]
    dynamic_uncertainty_J: Annotated[float | None, Entry("standard uncertainty of dynamic_J", "J")]
    carbon: Annotated[CarbonRecord | None, Entry("greenhouse gas; null: no intensity was given")]
    idle: Annotated[IdlePowerRecord, Entry("power at idle before and after")]
    by_phase: Annotated[StateJoulesRecord | None, Entry("total_J by computing, communicating, waiting; null: refused", "J")]
    phases: Annotated[Sequence[PhaseJoulesRecord] | None, Entry("total_J by phase; null: refused", "J")]
    by_rank: Annotated[Sequence[RankJoulesRecord] | None, Entry("total_J by rank; null: refused", "J")]
    attribution: Annotated[AttributionRecord, Entry("how joules were shared between phases and ranks, or why not")]
    by_host: Annotated[
        Sequence[HostEnergyRecord],
        Entry("joules of each host, or of the hosts that one meter powers: the parts that add up to total_J"),
    ]
    others: Annotated[Sequence[OtherPartRecord], Entry("parts of the system that are no hosts")]
    system_J: Annotated[float | None, Entry("hosts and other parts; null: one of them is missing", "J")]
    cross_checks: Annotated[Sequence[CrossCheckRecord], Entry("sensors that are in no total against what is")]
    coverage: Annotated[CoverageRecord, Entry("which hosts and parts are in the total")]
    left_out: Annotated[Sequence[LeftOutRecord], Entry("sources that were tried and not used")]
    sampler: Annotated[SamplerRecord, Entry("cost of reading the sensors")]
