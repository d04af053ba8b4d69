"""The record's ``energy.by_host``, and how well the sensors behind it were read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from bench.record.block import Block, Entry, OpenBlock


@dataclass(frozen=True, kw_only=True)
class ChannelRecord(OpenBlock):
    """One integer that a source reads, and how joules are made of it."""

    id: Annotated[str | None, Entry("name of the channel in its source")] = None
    kind: Annotated[str | None, Entry("counter: energy grows with it; power: it is watts")] = None
    scale: Annotated[float | None, Entry("joules or watts of one raw unit", "J or W")] = None
    scope: Annotated[str | None, Entry("what the channel has inside, in words")] = None
    level: Annotated[str | None, Entry("where it sits: wall, board, package or component")] = None
    modulus: Annotated[int | None, Entry("raw value at which a counter starts again; null: never", or_null=True)] = None
    update_period_s: Annotated[float | None, Entry("how often the hardware renews it", "s")] = None
    lsb: Annotated[float | None, Entry("its smallest step, in raw units", "1")] = None
    accuracy: Annotated[float | None, Entry("relative standard uncertainty; null: unknown", "1", or_null=True)] = None
    noise_W: Annotated[float | None, Entry("standard deviation of one reading of power", "W")] = None
    contains: Annotated[Sequence[str] | None, Entry("channels whose energy is part of this one; *: all others")] = None
    baseline_W: Annotated[float | None, Entry("power that is added for the time that passes (modelled sources)", "W")] = None
    model_u: Annotated[float | None, Entry("relative standard uncertainty of the model; null: measured", "1", or_null=True)] = (
        None
    )
    may_stand: Annotated[bool | None, Entry("whether the counter may stand still: bytes, of which there may be none")] = None


@dataclass(frozen=True, kw_only=True)
class CalibrationRecord(Block):
    """The sensor against a better meter: ``watts = gain * sensor + offset_W``."""

    gain: Annotated[float, Entry("slope", "1")]
    offset_W: Annotated[float, Entry("offset", "W")]
    gain_u: Annotated[float, Entry("standard uncertainty of the slope", "1")]
    offset_u_W: Annotated[float, Entry("standard uncertainty of the offset", "W")]
    covariance: Annotated[float, Entry("covariance of slope and offset", "W")]
    against: Annotated[str, Entry("the meter")]
    scope: Annotated[str, Entry("what the corrected value has inside")]
    made: Annotated[str, Entry("day of the calibration")]
    level: Annotated[str, Entry("where the corrected value sits: wall, board, package or component")]


@dataclass(frozen=True, kw_only=True)
class HostEnergyRecord(Block):
    """Joules of one part of the total in the timed windows: a host, or all hosts behind one meter."""

    host: Annotated[str, Entry("name of the host, or of the meter")]
    hosts: Annotated[Sequence[str], Entry("hosts whose energy it has")]
    board: Annotated[str, Entry("board class")]
    boot_id: Annotated[str, Entry("identity of the machine that read it, until its next boot")]
    kind: Annotated[Literal["measured", "modelled"], Entry("by sensors, or by a model of the board")]
    source: Annotated[str, Entry("where the readings come from; several joined by +")]
    meter: Annotated[str | None, Entry("the meter's name in the inventory; null: the board's own sensors")]
    levels: Annotated[Sequence[str], Entry("where it is metered: wall, board, package, component")]
    total_J: Annotated[float, Entry("joules in the windows", "J")]
    uncertainty_J: Annotated[float, Entry("standard uncertainty of total_J", "J")]
    mean_power_W: Annotated[float, Entry("total_J over the windows' length", "W")]
    idle_W: Annotated[float | None, Entry("power at idle, mean of before and after; null: not measured", "W")]
    channels: Annotated[Sequence[ChannelRecord], Entry("channels of the source")]
    samples: Annotated[int, Entry("readings in the windows", "1")]
    max_gap_s: Annotated[float, Entry("longest time between two readings", "s")]
    period_s: Annotated[float, Entry("time between readings that was asked for", "s")]
    errors: Annotated[int, Entry("readings that failed", "1")]
    quality: Annotated[str, Entry("good, or what is wrong with the readings")]
    calibration: Annotated[CalibrationRecord | None, Entry("the correction that was applied; null: none")]
    modelled_as: Annotated[str | None, Entry("the board class whose model made the joules; null: measured")] = None


@dataclass(frozen=True, kw_only=True)
class CrossCheckRecord(Block):
    """A sensor that is in no total against what is: the same sensor read another way, or a board's sensor and its meter."""

    host: Annotated[str, Entry("the host")]
    source: Annotated[str, Entry("the sensor that is in no total")]
    against: Annotated[str, Entry("the source or the meter that is in the total")]
    same_sensor: Annotated[bool, Entry("whether both read the same sensor, and must agree")]
    joules: Annotated[float, Entry("of the sensor in the windows", "J")]
    against_J: Annotated[float, Entry("of what is in the total", "J")]
    ratio: Annotated[float | None, Entry("joules over against_J; null: that is zero", "1")]
    uncertainty_J: Annotated[float, Entry("standard uncertainty of their difference, random parts", "J")]
    quality: Annotated[str, Entry("good, or what is wrong with the sensor's readings")]


@dataclass(frozen=True, kw_only=True)
class LeftOutRecord(Block):
    """A source that was tried and not used."""

    host: Annotated[str, Entry("the host")]
    source: Annotated[str, Entry("name of the source")]
    why: Annotated[str, Entry("why it was not used")]


@dataclass(frozen=True, kw_only=True)
class SamplerRecord(Block):
    """The cost of reading the sensors."""

    read_s_median: Annotated[float | None, Entry("median time of one reading; null: no sampler ran", "s")]
    reads: Annotated[int, Entry("readings of all hosts", "1")]
    errors: Annotated[int, Entry("readings that failed", "1")]
    cost_fraction: Annotated[float | None, Entry("sampler's processor time over its life, worst host; null: none ran", "1")]
