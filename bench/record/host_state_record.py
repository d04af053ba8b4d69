"""The record's ``environment.hosts[].before`` and ``after``: the state of a host around the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from bench.record.block import Block, Entry


@dataclass(frozen=True, kw_only=True)
class ThermalZoneRecord(Block):
    """A zone of the machine that tells its temperature."""

    zone: Annotated[str, Entry("the kernel's name of the zone")]
    type: Annotated[str | None, Entry("its type; null: unknown")]
    temperature_C: Annotated[float, Entry("temperature", "C")]
    limit_C: Annotated[float | None, Entry("lowest at which the kernel slows down or stops; null: none", "C")]


@dataclass(frozen=True, kw_only=True)
class CpuFrequencyRecord(Block):
    """A frequency policy of some cores."""

    policy: Annotated[str, Entry("the kernel's name of the policy")]
    governor: Annotated[str | None, Entry("governor; null: unknown")]
    current_Hz: Annotated[float | None, Entry("frequency now; null: unknown", "Hz")]
    min_Hz: Annotated[float | None, Entry("lowest allowed; null: unknown", "Hz")]
    max_Hz: Annotated[float | None, Entry("highest allowed; null: unknown", "Hz")]


@dataclass(frozen=True, kw_only=True)
class DeviceFrequencyRecord(Block):
    """The clock of a device such as the GPU or the memory."""

    device: Annotated[str, Entry("the kernel's name of the device")]
    governor: Annotated[str | None, Entry("governor; null: unknown")]
    current_Hz: Annotated[float | None, Entry("frequency now; null: unknown", "Hz")]
    min_Hz: Annotated[float | None, Entry("lowest allowed; null: unknown", "Hz")]
    max_Hz: Annotated[float | None, Entry("highest allowed; null: unknown", "Hz")]


@dataclass(frozen=True, kw_only=True)
class NvpmodelRecord(Block):
    """The power mode of a Jetson."""

    id: Annotated[int, Entry("number of the mode")]
    name: Annotated[str, Entry("name of the mode")]


@dataclass(frozen=True, kw_only=True)
class PowerLimitRecord(Block):
    """The long-term power limit of a processor package."""

    zone: Annotated[str, Entry("the kernel's name of the zone")]
    name: Annotated[str | None, Entry("name of the package; null: unknown")]
    limit_W: Annotated[float | None, Entry("limit; null: unknown", "W")]


@dataclass(frozen=True, kw_only=True)
class ThrottleRecord(Block):
    """Causes that slow the machine down."""

    now: Annotated[Sequence[str], Entry("causes that are active")]
    since_boot: Annotated[Sequence[str], Entry("causes that were active since boot")]
    counters: Annotated[Mapping[str, int], Entry("counts that grow when the machine is slowed down", "1")]


@dataclass(frozen=True, kw_only=True)
class SupplyRecord(Block):
    """A power supply that the kernel knows."""

    name: Annotated[str, Entry("the kernel's name")]
    type: Annotated[str | None, Entry("mains, battery or USB; null: unknown")]
    online: Annotated[bool | None, Entry("whether it supplies power; null: unknown")]


@dataclass(frozen=True, kw_only=True)
class HostStateRecord(Block):
    """How a host stood at one moment. What it does not tell is null or missing from a list."""

    boot_id: Annotated[str | None, Entry("identity of the machine until its next boot")]
    uptime_s: Annotated[float | None, Entry("time since boot", "s")]
    load_1min: Annotated[float | None, Entry("load average of the last minute", "1")]
    clock_source: Annotated[str | None, Entry("the kernel's clock source")]
    temperatures: Annotated[Sequence[ThermalZoneRecord], Entry("temperatures of all zones")]
    cpufreq: Annotated[Sequence[CpuFrequencyRecord], Entry("frequency policies of the cores")]
    devfreq: Annotated[Sequence[DeviceFrequencyRecord], Entry("clocks of other devices")]
    nvpmodel: Annotated[NvpmodelRecord | None, Entry("power mode of a Jetson; null: none")]
    jetson_clocks: Annotated[bool | None, Entry("whether clocks are locked to their maximum; null: no such program")]
    power_limits: Annotated[Sequence[PowerLimitRecord], Entry("power limits of the processor packages")]
    throttle: Annotated[ThrottleRecord | None, Entry("causes that slow the machine down; null: it tells nothing of the kind")]
    supplies: Annotated[Sequence[SupplyRecord], Entry("power supplies")]
    sensors: Annotated[Mapping[str, Any], Entry("settings of the board's power sensors that decide how good readings are")]
