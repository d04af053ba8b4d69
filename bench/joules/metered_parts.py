"""The parts that make the total, those beside it, and how they were read: the lists of the record's ``energy`` block."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from bench.joules.channel import Channel, Trace
from bench.joules.cover import Cover, Part
from bench.joules.integration import Energy, energy, sum_of_windows
from bench.joules.timed_run import Run
from bench.record.energy_record import CoverageRecord, OtherPartRecord
from bench.record.host_energy_record import (
    CalibrationRecord,
    ChannelRecord,
    CrossCheckRecord,
    HostEnergyRecord,
    LeftOutRecord,
    SamplerRecord,
)


@dataclass(frozen=True)
class OtherPart:
    """A part of the system that is no host: its stated power, if any, and the meters that have it inside."""

    name: str
    power_W: float | None
    source: str
    meters: tuple[str, ...]


@dataclass(frozen=True)
class EnergyContext:
    """The settings that the block depends on beside the readings.

    ``asked`` tells whether energy was to be measured, ``others`` the parts that are no hosts, ``g_per_kWh`` the intensity of
    the grid with where it comes from.
    """

    asked: bool = True
    others: tuple[OtherPart, ...] = ()
    g_per_kWh: float | None = None
    grid_source: str = ""

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> EnergyContext:
        """The settings of a point that the ``energy`` block needs.

        Args:
            config: The point's ``energy``, with ``source``, ``others``, ``meters`` and ``carbon``.

        Returns:
            The settings.
        """
        parts = [
            OtherPart(
                name,
                stated.get("power_W"),
                stated.get("source") or "",
                tuple(meter for meter, about in config["meters"].items() if name in about["includes"]),
            )
            for name, stated in config["others"].items()
        ]
        carbon = config["carbon"]
        return cls(config["source"] != "none", tuple(parts), carbon["g_per_kWh"], carbon["source"] or "")


def host_record(part: Part, whole: Energy, rest: Energy, run: Run) -> HostEnergyRecord:
    """One part of the total.

    Args:
        part: The hosts and their curves.
        whole: Its energy in the timed windows.
        rest: Its energy in the idle windows.
        run: Lengths of both, in seconds.

    Returns:
        The record, with powers in watts; ``idle_W`` is null without an idle window.
    """
    traces = [curve.trace for curve in part.curves]
    first, calibration = traces[0], next((trace.calibration for trace in traces if trace.calibration), None)
    return HostEnergyRecord(
        host=part.name,
        hosts=list(part.hosts),
        board=first.board,
        boot_id=first.boot_id,
        kind=part.kind,
        source="+".join(trace.source for trace in traces),
        meter=first.meter,
        levels=part.levels(),
        total_J=whole.joules,
        uncertainty_J=whole.uncertainty_J,
        mean_power_W=whole.joules / run.window_s,
        idle_W=_idle_W(part, rest, run),
        channels=[_channel_record(channel) for trace in traces for channel in trace.channels],
        samples=whole.samples,
        max_gap_s=whole.max_gap_s,
        period_s=max(trace.period_s for trace in traces),
        errors=sum(trace.errors for trace in traces),
        quality=whole.quality if whole.quality != "good" else rest.quality,
        calibration=None if calibration is None else CalibrationRecord(**asdict(calibration)),
        modelled_as=first.board if part.kind == "modelled" else None,
    )


def _idle_W(part: Part, rest: Energy, run: Run) -> float | None:
    if run.reused_idle is not None:
        return run.reused_idle.by_part.get(part.name)
    return rest.joules / run.idle_s if run.idle_s else None


def _channel_record(channel: Channel) -> ChannelRecord:
    return ChannelRecord(**{**asdict(channel), "contains": list(channel.contains)})


def other_records(cover: Cover, run: Run, clock_s: float, parts: Sequence[OtherPart]) -> list[OtherPartRecord]:
    """Switches and other parts that are no hosts: measured by a meter, estimated with a stated figure, or missing.

    Args:
        cover: The cover of the run's hosts.
        run: The timed windows.
        clock_s: The error bound of the hosts' clocks, in seconds.
        parts: The parts that the inventory names.

    Returns:
        One record for each part.
    """
    return [_other(cover, run, clock_s, part) for part in parts]


def _other(cover: Cover, run: Run, clock_s: float, part: OtherPart) -> OtherPartRecord:
    inside = [host for host in cover.parts if host.curves[0].trace.meter in part.meters]
    alone = [curve for meter, curve in cover.others.items() if meter in part.meters]
    if inside:
        basis = f"inside meter {inside[0].curves[0].trace.meter}"
        return OtherPartRecord(name=part.name, kind="in total", joules=None, uncertainty_J=None, basis=basis)
    if alone:
        read = sum_of_windows([energy(alone[0], *window, clock_s) for window in run.windows])
        basis = f"meter {part.meters[0]}"
        return OtherPartRecord(
            name=part.name, kind="measured", joules=read.joules, uncertainty_J=read.uncertainty_J, basis=basis
        )
    if part.power_W is not None:
        joules = part.power_W * run.window_s
        return OtherPartRecord(name=part.name, kind="estimated", joules=joules, uncertainty_J=None, basis=part.source)
    return OtherPartRecord(name=part.name, kind="missing", joules=None, uncertainty_J=None, basis="not measured")


def cross_check_records(cover: Cover, run: Run, clock_s: float) -> list[CrossCheckRecord]:
    """Sensors that are in no total against what is: the same sensor read another way, or a board's sensor and its meter.

    Args:
        cover: The cover of the run's hosts.
        run: The timed windows.
        clock_s: The error bound of the hosts' clocks, in seconds.

    Returns:
        Both joules and their ratio for each sensor; the ratio is null against 0 J.
    """
    rows = []
    for curve, other in cover.checks:
        read = sum_of_windows([energy(curve, *window, clock_s) for window in run.windows])
        if isinstance(other, Part):
            first = other.curves[0].trace
            against, name = other.energies(run.windows, clock_s), first.meter or first.source
        else:
            against = sum_of_windows([energy(other, *window, clock_s) for window in run.windows])
            name = other.trace.source
        rows.append(
            CrossCheckRecord(
                host=curve.trace.label,
                source=curve.trace.source,
                against=name,
                same_sensor=curve.trace.check_of is not None,
                joules=read.joules,
                against_J=against.joules,
                ratio=read.joules / against.joules if against.joules else None,
                uncertainty_J=math.hypot(read.random_J, against.random_J),
                quality=read.quality,
            )
        )
    return rows


def coverage_record(cover: Cover, run: Run) -> CoverageRecord:
    """Which hosts and parts the total has.

    Args:
        cover: The cover of the run's hosts.
        run: The run's hosts.

    Returns:
        Counts and names of what is measured and what is missing.
    """
    total = [curve.trace for part in cover.parts for curve in part.curves]
    return CoverageRecord(
        hosts=len(run.hosts),
        measured=sum(len(part.hosts) for part in cover.parts),
        missing=list(cover.missing),
        levels=sorted({level for part in cover.parts for level in part.levels()}),
        also_measured=sorted({host for trace in total for host in trace.covers} - set(run.hosts)),
        not_measured=sorted({unseen for trace in total for unseen in trace.not_measured}),
    )


def no_coverage(run: Run, asked: bool) -> CoverageRecord:
    """The coverage of a run without readings.

    Args:
        run: The run's hosts.
        asked: Whether energy was asked for: then they are all missing.

    Returns:
        No host has readings, and nothing is measured.
    """
    return CoverageRecord(
        hosts=len(run.hosts),
        measured=0,
        missing=run.hosts if asked else [],
        levels=[],
        also_measured=[],
        not_measured=["everything: no readings" if asked else "everything: energy=none"],
    )


def system_J(joules: float, others: Sequence[OtherPartRecord]) -> float | None:
    """Hosts and other parts together.

    Args:
        joules: Of all hosts.
        others: The parts that are no hosts.

    Returns:
        Joules; None where one of the parts is missing.
    """
    if any(other.kind == "missing" for other in others):
        return None
    return joules + math.fsum(other.joules for other in others if other.joules is not None)


def left_out_records(traces: Sequence[Trace]) -> list[LeftOutRecord]:
    """Sources that were tried and not used.

    Args:
        traces: All readings of a run.

    Returns:
        One record for each host and source.
    """
    return [LeftOutRecord(host=trace.label, **left) for trace in traces for left in trace.left_out]


def sampler_record(traces: Sequence[Trace]) -> SamplerRecord:
    """The cost of the samplers.

    Args:
        traces: All readings of a run.

    Returns:
        Seconds of a reading, and the largest share of its life time that a host's sampler used one core; null without readings.
    """
    if not traces:
        return SamplerRecord(read_s_median=None, reads=0, errors=0, cost_fraction=None)
    reads_s = np.concatenate([(trace.t_after_ns - trace.t_before_ns) / 1e9 for trace in traces])
    cost: dict[str, float] = {}
    life: dict[str, float] = {}
    for trace in traces:
        seconds = float(trace.t_after_ns[-1] - trace.t_before_ns[0]) / 1e9
        cost[trace.label] = cost.get(trace.label, 0.0) + trace.cpu_s
        life[trace.label] = max(life.get(trace.label, 0.0), seconds)
    return SamplerRecord(
        read_s_median=float(np.median(reads_s)),
        reads=len(reads_s),
        errors=sum(trace.errors for trace in traces),
        cost_fraction=max((cost[host] / life[host] for host in cost if life[host] > 0), default=0.0),
    )
