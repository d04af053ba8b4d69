"""What one host hands in: readings, ends of ranks, regions, clock. A folder that is written whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from bench.common.user_error import UserError
from bench.joules.channel import Calibration, Channel, Trace
from bench.joules.host_limits import HostLimit
from bench.monitor.host_clock import HostClock
from bench.monitor.region_log import RegionLane
from bench.record.environment_record import EnvironmentRecord, HostRecord
from bench.record.record_file import Json

PART = "edgejoule.part/1"
PARTS = "parts"
ABOUT, ARRAYS = "part.json", "readings.npz"
LANE_ARRAYS = ("path", "depth", "t0_ns", "t1_ns")
TRACE_ARRAYS = ("t_before_ns", "t_after_ns", "raw")


@dataclass(frozen=True)
class RankEnd:
    """One rank's command: its process, when it began and ended (CLOCK_MONOTONIC ns), and its code as subprocess has it.

    ``code`` is None where its wrapper was killed; then ``ended_ns`` is when that was seen.
    """

    rank: int
    pid: int
    started_ns: int
    ended_ns: int
    code: int | None


@dataclass(frozen=True)
class HostPart:
    """One host of a run, on its own clock. ``clocks`` are before and after, ``idle_ns`` is the idle window, if any."""

    label: str
    boot_id: str
    command: Sequence[str]
    launcher: str | None
    size: int
    hosts: Sequence[str]
    energy: Json
    ranks: Sequence[RankEnd]
    clocks: tuple[HostClock, HostClock]
    idle_ns: tuple[int, int] | None
    host: HostRecord
    environment: EnvironmentRecord
    traces: Sequence[Trace]
    lanes: Sequence[RegionLane]
    unmetered: str | None = None
    """Why no sensor was read, where the run was to go on without."""
    limit: HostLimit | None = None
    """The most that the host can draw by its class; None: not known."""

    @property
    def window_ns(self) -> tuple[int, int]:
        """From the begin of this host's first rank to the end of its last."""
        return min(end.started_ns for end in self.ranks), max(end.ended_ns for end in self.ranks)


def part_folder(run: Path, label: str) -> Path:
    """Where a host's part lies.

    Args:
        run: The run's folder.
        label: The host's name.

    Returns:
        The folder, which need not be there.
    """
    return run / PARTS / label.replace("/", "_")


def write_part(run: Path, part: HostPart) -> None:
    """Write a part beside its place and move it there in one step.

    Args:
        run: The run's folder.
        part: The host's part.
    """
    place = part_folder(run, part.label)
    partial = place.with_name(f".{place.name}.{os.getpid()}")
    partial.mkdir(parents=True)
    try:
        arrays = {f"trace{i}.{name}": getattr(trace, name) for i, trace in enumerate(part.traces) for name in TRACE_ARRAYS}
        arrays |= {f"lane{i}.{name}": getattr(lane, name) for i, lane in enumerate(part.lanes) for name in LANE_ARRAYS}
        np.savez(partial / ARRAYS, **arrays)
        (partial / ABOUT).write_text(json.dumps(_about(part), indent=1) + "\n")
        partial.replace(place)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _about(part: HostPart) -> Json:
    return {
        "schema": PART,
        **{name: getattr(part, name) for name in ("label", "boot_id", "launcher", "size", "energy", "unmetered")},
        "command": list(part.command),
        "hosts": list(part.hosts),
        "ranks": [asdict(end) for end in part.ranks],
        "clocks": [clock.to_dict() for clock in part.clocks],
        "idle_ns": part.idle_ns,
        "host": part.host.to_dict(),
        "environment": part.environment.to_dict(),
        "limit": None if part.limit is None else asdict(part.limit),
        "traces": [_without(vars(trace), TRACE_ARRAYS) | _described(trace) for trace in part.traces],
        "lanes": [_without(vars(lane), LANE_ARRAYS) for lane in part.lanes],
    }


def _without(values: Json, arrays: Sequence[str]) -> Json:
    return {name: value for name, value in values.items() if name not in arrays}


def _described(trace: Trace) -> Json:
    calibration = None if trace.calibration is None else asdict(trace.calibration)
    return {"channels": [asdict(channel) for channel in trace.channels], "calibration": calibration}


def read_parts(run: Path) -> list[HostPart]:
    """All parts of a run, in the order of their lowest ranks.

    Args:
        run: The run's folder.

    Returns:
        The parts, one a host.

    Raises:
        UserError: There is none, one cannot be read, or two are of different runs.
    """
    folders = sorted(path for path in (run / PARTS).glob("*") if not path.name.startswith(".")) if run.is_dir() else []
    if not folders:
        raise UserError(f"{run} has no part of a host ({PARTS}/HOST); give the folder of a run that edgejoule monitor wrote")
    parts = sorted((_read(folder) for folder in folders), key=lambda part: min(end.rank for end in part.ranks))
    for part in parts:
        if (part.size, list(part.command)) != (parts[0].size, list(parts[0].command)):
            raise UserError(f"{run}: {part.label} and {parts[0].label} are of different runs; put each run in its own folder")
    ranks = [end.rank for part in parts for end in part.ranks]
    if len(set(ranks)) != len(ranks):
        twice = sorted({rank for rank in ranks if ranks.count(rank) > 1})
        raise UserError(f"{run}: rank {twice[0]} is in two parts; they are of different runs, put each in its own folder")
    return parts


def _read(folder: Path) -> HostPart:
    try:
        about = json.loads((folder / ABOUT).read_text())
        if about.get("schema") != PART:
            raise ValueError(f"schema {about.get('schema')!r}, not {PART!r}")
        with np.load(folder / ARRAYS, allow_pickle=False) as arrays:
            return _part(about, arrays)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{folder} is not a whole part ({error}); copy it again from its host") from None


def _part(about: Json, arrays: Mapping[str, np.ndarray]) -> HostPart:
    traces = [_trace(one, i, arrays) for i, one in enumerate(about["traces"])]
    lanes = []
    for i, one in enumerate(about["lanes"]):
        columns: Json = {name: arrays[f"lane{i}.{name}"] for name in LANE_ARRAYS}
        lanes.append(RegionLane(**{**one, "paths": tuple(one["paths"]), **columns}))
    plain = ("label", "boot_id", "command", "launcher", "size", "hosts", "energy", "unmetered")
    first, last = (HostClock(**clock) for clock in about["clocks"])
    return HostPart(
        **{name: about[name] for name in plain},
        ranks=[RankEnd(**end) for end in about["ranks"]],
        clocks=(first, last),
        idle_ns=None if about["idle_ns"] is None else (about["idle_ns"][0], about["idle_ns"][1]),
        host=HostRecord.from_dict(about["host"]),
        environment=EnvironmentRecord.from_dict(about["environment"]),
        traces=traces,
        lanes=lanes,
        limit=None if about["limit"] is None else HostLimit(**about["limit"]),
    )


def _trace(one: Json, number: int, arrays: Mapping[str, np.ndarray]) -> Trace:
    channels = tuple(Channel(**{**channel, "contains": tuple(channel["contains"])}) for channel in one["channels"])
    calibration = None if one["calibration"] is None else Calibration(**one["calibration"])
    lists = {name: tuple(one[name]) for name in ("covers", "left_out", "not_measured")}
    columns: Json = {name: arrays[f"trace{number}.{name}"] for name in TRACE_ARRAYS}
    return Trace(**{**one, **lists, **columns, "channels": channels, "calibration": calibration})


def with_rank(part: HostPart, number: int) -> list[Trace]:
    """The traces of a part, each with the number by which the run knows this host's clock.

    Args:
        part: The host's part.
        number: The host's place among the hosts of the run.

    Returns:
        Copies of its traces.
    """
    return [replace(trace, rank=number) for trace in part.traces]
