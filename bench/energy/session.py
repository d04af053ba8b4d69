"""Power of every host while the ranks work: one sampler a host, gathered on rank 0, summed up for the record."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.energy import attribute
from bench.energy.channel import Channel, HostTrace
from bench.energy.clock import ClockModel
from bench.energy.integrate import Energy, at, curve, energy, window_needed_s
from bench.energy.sampler import Sampler
from bench.errors import UserError

if TYPE_CHECKING:
    from mpi4py import MPI

Window = tuple[float, float]


@dataclass(frozen=True)
class HostInfo:
    """A host is its boot id and its name: cloned images share names, boards emulated on one machine the boot id."""

    name: str
    boot_id: str
    board: str
    label: str


class EnergySession:
    """The samplers of all hosts. Every method is collective.

    ``config`` has ``source`` (auto, none, or a source's name), ``root`` and ``period_s``; ``boards`` the board
    descriptions by name. The lowest rank of each host owns its sampler.
    """

    def __init__(self, comm: MPI.Comm, config: Mapping[str, Any], boards: Mapping[str, Any], host: HostInfo) -> None:
        self.comm, self.host, self.config = comm, host, config
        homes = comm.allgather((host.boot_id, host.name))
        owner = homes.index((host.boot_id, host.name)) == comm.Get_rank()
        self.sampler: Sampler | None = None
        if owner and config["source"] != "none":
            self.sampler = Sampler(config["source"], boards[host.board], config["root"], config["period_s"])
        self.trace: HostTrace | None = None

    def start(self) -> None:
        """Start the samplers. Raises the same UserError on all ranks when one host has no readable source."""
        error = None
        if self.sampler is not None:
            try:
                self.sampler.start()
            except UserError as problem:
                error = f"{self.host.label}: {problem}"
        errors = [found for found in self.comm.allgather(error) if found]
        if errors:
            self.stop()
            raise UserError(errors[0])

    def window_needed_s(self) -> float:
        """The longest window that any host's source needs, in seconds."""
        needed = 0.0
        if self.sampler is not None:
            channels = [Channel.from_dict(channel) for channel in self.sampler.about["channels"]]
            needed = window_needed_s(channels, self.sampler.period_s)
        return float(max(self.comm.allgather(needed)))

    def stop(self) -> None:
        """End the samplers and keep their readings. Not collective, and safe after a failure."""
        if self.sampler is not None:
            if "channels" in self.sampler.about:
                host = self.host
                trace = self.sampler.stop(host.name, host.boot_id, host.board, self.comm.Get_rank())
                self.trace = replace(trace, label=host.label)
            self.sampler.kill()
            self.sampler = None

    def gather(self) -> list[HostTrace] | None:
        """All traces on rank 0, in the order of their ranks; None elsewhere."""
        traces = self.comm.gather(self.trace)
        return None if traces is None else [trace for trace in traces if trace is not None]


def summary(
    traces: Sequence[HostTrace],
    clock: ClockModel,
    begin_ns: int,
    windows: Sequence[Window],
    idle_windows: Sequence[Window],
    rank_host: Mapping[int, str],
    intervals: Mapping[int, Sequence[tuple[float, float, str]]],
    samples: int,
    tokens: int,
) -> dict[str, Any]:
    """The record's ``energy`` block. Times in seconds from ``begin_ns`` on rank 0's clock; hosts by processor name."""
    hosts = sorted(set(rank_host.values()))
    if not traces:
        return _nothing(len(hosts))
    curves = {t.host: curve(t, lambda ns, r=t.rank: (clock.to_common(r, ns) - begin_ns) / 1e9) for t in traces}  # type: ignore[misc]
    window_s = math.fsum(end - begin for begin, end in windows)
    by_host = []
    for trace in traces:
        found = [energy(trace, curves[trace.host], *window, clock.bound_s) for window in windows]
        idle = [energy(trace, curves[trace.host], *window, clock.bound_s) for window in idle_windows]
        by_host.append(_host_block(trace, found, idle, windows, idle_windows))
    total_J = math.fsum(host["total_J"] for host in by_host)
    idle_W = _sum_or_none(host["idle_W"] for host in by_host)
    kinds = {trace.kind for trace in traces}
    before, after = (_idle_W(traces, curves, window) for window in idle_windows)
    missing = sorted(set(hosts) - {trace.host for trace in traces})
    return {
        # A total that has one modelled host in it is modelled.
        "kind": "measured" if kinds == {"measured"} else "modelled",
        "source": "+".join(sorted({trace.source for trace in traces})),
        "total_J": total_J,
        "uncertainty_J": math.hypot(*(host["uncertainty_J"] for host in by_host)),
        "mean_power_W": total_J / window_s,
        "idle_W": idle_W,
        "idle_J": None if idle_W is None else idle_W * window_s,
        "dynamic_J": None if idle_W is None else total_J - idle_W * window_s,
        "per_sample_J": total_J / samples,
        "per_token_J": total_J / tokens,
        "edp_Js": (total_J / samples) * (window_s / samples),
        "idle": {"before_W": before, "after_W": after, "seconds": float(sum(e - b for b, e in idle_windows))},
        "by_phase": None if missing else attribute.by_state(curves, rank_host, intervals, windows),
        "by_host": by_host,
        "coverage": {
            "hosts": len(hosts),
            "measured": len(traces),
            "missing": missing,
            "not_measured": sorted({what for trace in traces for what in trace.not_measured}),
        },
        "left_out": [{"host": trace.label, **left} for trace in traces for left in trace.left_out],
        "sampler": _sampler(traces),
    }


def step_joules(
    traces: Sequence[HostTrace], clock: ClockModel, begin_ns: int, edges: Sequence[Sequence[float]]
) -> list[float] | None:
    """Joules of all hosts in each step; ``edges`` are the step boundaries of each segment. None without readings."""
    if not traces:
        return None
    curves = [curve(t, lambda ns, r=t.rank: (clock.to_common(r, ns) - begin_ns) / 1e9) for t in traces]  # type: ignore[misc]
    parts = [sum(np.diff(at(found, segment)) for found in curves) for segment in edges]
    return [float(joules) for part in parts for joules in np.atleast_1d(part)]


def _host_block(
    trace: HostTrace, found: Sequence[Energy], idle: Sequence[Energy], windows: Sequence[Window], rests: Sequence[Window]
) -> dict[str, Any]:
    window_s, rest_s = (math.fsum(end - begin for begin, end in spans) for spans in (windows, rests))
    total_J = math.fsum(part.joules for part in found)
    bad = [part.quality for part in (*found, *idle) if part.quality != "good"]
    return {
        "host": trace.label or trace.host,
        "board": trace.board,
        "boot_id": trace.boot_id,
        "kind": trace.kind,
        "source": trace.source,
        "total_J": total_J,
        "uncertainty_J": math.hypot(*(part.uncertainty_J for part in found)),
        "mean_power_W": total_J / window_s,
        "idle_W": math.fsum(part.joules for part in idle) / rest_s if rest_s else None,
        "channels": [channel.to_dict() for channel in trace.channels],
        "samples": sum(part.samples for part in found),
        "max_gap_s": max(part.max_gap_s for part in found),
        "period_s": trace.period_s,
        "quality": bad[0] if bad else "good",
    }


def _idle_W(traces: Sequence[HostTrace], curves: Mapping[str, Any], window: Window) -> float | None:
    seconds = window[1] - window[0]
    if seconds <= 0:
        return None
    return math.fsum(float(np.diff(at(curves[trace.host], window))[0]) for trace in traces) / seconds


def _sum_or_none(values: Any) -> float | None:
    found = list(values)
    return None if any(value is None for value in found) else math.fsum(found)


def _sampler(traces: Sequence[HostTrace]) -> dict[str, Any]:
    """What the samplers cost: their CPU seconds as a share of their own life time on one core."""
    reads_s = np.concatenate([(trace.t_after_ns - trace.t_before_ns) / 1e9 for trace in traces])
    lives = [(trace.t_after_ns[-1] - trace.t_before_ns[0]) / 1e9 for trace in traces]
    return {
        "read_s_median": float(np.median(reads_s)),
        "reads": len(reads_s),
        "errors": sum(trace.errors for trace in traces),
        "cost_fraction": max((trace.cpu_s / life for trace, life in zip(traces, lives, strict=True) if life > 0), default=0.0),
    }


def _nothing(hosts: int) -> dict[str, Any]:
    numbers = ("total_J", "uncertainty_J", "mean_power_W", "idle_W", "idle_J", "dynamic_J", "per_sample_J", "per_token_J")
    return {
        "kind": "none",
        "source": None,
        **dict.fromkeys((*numbers, "edp_Js")),
        "idle": {"before_W": None, "after_W": None, "seconds": 0.0},
        "by_phase": None,
        "by_host": [],
        "coverage": {"hosts": hosts, "measured": 0, "missing": [], "not_measured": ["everything: energy=none"]},
        "left_out": [],
        "sampler": {"read_s_median": None, "reads": 0, "errors": 0, "cost_fraction": None},
    }
