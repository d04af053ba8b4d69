"""Parts of hosts with numbers that can be worked out by hand: 10 W while nothing runs, or whatever a function of time says."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from bench.joules.channel import Channel, Trace
from bench.monitor.host_clock import HostClock
from bench.monitor.host_part import HostPart, RankEnd
from bench.monitor.region_log import RegionLane
from bench.record.environment_record import EnvironmentRecord, HostRecord

S = 1_000_000_000
COUNTER = Channel("board", "counter", 1e-6, "board", level="board", update_period_s=0.001)
Call = tuple[str, float, float]


def trace(joules_at: Callable[[float], float], end_s: float, every_s: float, boot_s: float = 0.0, label: str = "a") -> Trace:
    """A counter read every ``every_s`` from -1 s to one second after the end; its clock shows ``boot_s`` at second 0."""
    times = np.arange(-1, end_s + 1, every_s)
    stamps = np.round((times + boot_s) * S).astype(np.int64)
    raw = np.array([[round(1e6 * (100 + joules_at(t)))] for t in times], dtype=np.int64)
    return Trace(
        label, f"boot-{boot_s}", "unknown", "rapl", "measured", every_s, (COUNTER,), stamps, stamps, raw, label, (label,)
    )


def lane(
    calls: Sequence[Call], rank: int = 0, main: bool = True, boot_s: float = 0.0, launcher: str | None = None
) -> RegionLane:
    """Regions by path, in the order of their begin."""
    paths = tuple(dict.fromkeys(path for path, _, _ in calls))
    stamps = np.round((np.array([[t0, t1] for _, t0, t1 in calls]) + boot_s) * S).astype(np.int64)
    return RegionLane(
        rank, 100 + rank, launcher, main, paths,
        np.array([paths.index(path) for path, _, _ in calls], np.int32),
        np.array([path.count("/") for path, _, _ in calls], np.int32),
        stamps[:, 0], stamps[:, 1],
    )  # fmt: skip


def part(
    traces: Sequence[Trace],
    lanes: Sequence[RegionLane] = (),
    ends: Sequence[tuple[int, float, float]] = ((0, 0.0, 10.0),),
    label: str = "a",
    boot_s: float = 0.0,
    civil_s: float = 1.7e9,
    bound_s: float | None = 0.002,
    size: int = 1,
    idle_s: tuple[float, float] | None = None,
) -> HostPart:
    """A host whose clock shows ``boot_s``, and whose civil clock shows ``civil_s``, at second 0."""
    clocks = [HostClock(round((t + boot_s) * S), round((t + civil_s) * S), 100, bound_s, "chrony") for t in (-1.0, 11.0)]
    energy = {"source": "rapl", "meters": {}, "others": {}, "carbon": {"g_per_kWh": None, "source": None}}
    return HostPart(
        label=label, boot_id=f"boot-{boot_s}", command=["x"], launcher="Open MPI", size=size, hosts=[], energy=energy,
        ranks=[RankEnd(rank, 100 + rank, round((t0 + boot_s) * S), round((t1 + boot_s) * S), 0) for rank, t0, t1 in ends],
        clocks=(clocks[0], clocks[1]), idle_ns=None if idle_s is None else (round(idle_s[0] * S), round(idle_s[1] * S)),
        host=HostRecord(host=label, board=None), environment=EnvironmentRecord(), traces=traces, lanes=lanes,
    )  # fmt: skip
