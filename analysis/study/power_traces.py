"""Power over time from the readings of a point: watts of each host on one axis, and what the ranks did meanwhile."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow.parquet as pq

from analysis.study.study_record import MeasuredStudyRecord

Array = npt.NDArray[Any]
ALL = "all"
Readings: TypeAlias = list[tuple[Any, pd.DataFrame]]
"""Traces with their rows."""
MARKS = ("replication", "idle", "warm-up", "timed", "evaluation")

LEAST_EDGES = 3  # of bins


def power_of(record: MeasuredStudyRecord, bin_s: float) -> pd.DataFrame | None:
    """Mean watts in bins of ``bin_s``: a row for each host and bin, and for the sum (host ``all``).

    Args:
        record: Of a point with its readings beside it.
        bin_s: The length of a bin, s.

    Returns:
        ``host``, ``time_s``, ``power_W`` and ``phase``, one of ``MARKS`` or nothing, at the middle of the bin. ``time_s``
        begins with the first bin that every host has readings of, and ends with the last one: where a rank was killed, with
        its host's. None where the point has no trace, or none as long as two bins.
    """
    binned = watts_of(record, bin_s)
    if binned is None:
        return None
    edges, watts, last_s = binned
    middles = (edges[:-1] + edges[1:]) / 2
    stretches = phases_of(record, last_s)
    phase = [next((name for name, start, end in stretches if start <= middle < end), "") for middle in middles]
    frames = [
        pd.DataFrame({"host": host, "time_s": edges[:-1] - edges[0], "power_W": values, "phase": phase})
        for host, values in {ALL: np.sum(list(watts.values()), axis=0), **watts}.items()
    ]
    return pd.concat(frames, ignore_index=True)


def watts_of(
    record: MeasuredStudyRecord, bin_s: float, hosts: Collection[str] | None = None
) -> tuple[Array, dict[str, Array], float] | None:
    """Mean watts of each host in bins.

    Args:
        record: Of a point with its readings beside it.
        bin_s: The length of a bin, s.
        hosts: Those that are wanted (default: all).

    Returns:
        The edges of the bins on the run's axis (s), the watts of each host in them, and the time of the last reading (s). None
        where the point has no trace of the hosts, or none as long as two bins.
    """
    return None if record.folder is None else watts_in(record.folder / "power.parquet", bin_s, hosts)


def watts_in(path: Path, bin_s: float, hosts: Collection[str] | None = None) -> tuple[Array, dict[str, Array], float] | None:
    """Mean watts of each host in bins, from a file of readings.

    Args:
        path: A ``power.parquet``, which need not be there.
        bin_s: The length of a bin, s.
        hosts: Those that are wanted (default: all).

    Returns:
        As ``watts_of``.
    """
    readings = _readings(path, hosts)
    if readings is None:
        return None
    first, last = _span_of(readings)
    edges = np.arange(max(first, 0), last, bin_s)
    if len(edges) < LEAST_EDGES:
        return None
    return edges, _watts_of_hosts(readings, edges), max(float(part["t_s"].max()) for _, part in readings)


def joules_between(record: MeasuredStudyRecord, edges_of: Callable[[float, float], Array]) -> tuple[Array, Array] | None:
    """Joules of all hosts together between some times.

    Args:
        record: Of a point with its readings beside it.
        edges_of: From the first and the last time of which every host has readings (s on the run's axis) to rising times
            between them; fewer than two where there is nothing to ask.

    Returns:
        The times, and the joules between each and the next. None where the point has no trace, or for fewer than two times.
    """
    readings = None if record.folder is None else _readings(record.folder / "power.parquet", None)
    if readings is None:
        return None
    edges = edges_of(*_span_of(readings))
    if len(edges) < 2:
        return None
    watts: Array = np.sum(list(_watts_of_hosts(readings, edges).values()), axis=0)
    return edges, watts * np.diff(edges)


def _readings(path: Path, hosts: Collection[str] | None) -> Readings | None:
    """Each trace of the total with its rows."""
    if not path.exists():
        return None
    table = pq.read_table(path)
    descriptions, rows = json.loads(table.schema.metadata[b"channels"]), table.to_pandas()
    traces = [trace for trace in descriptions if trace["in_total"] and (hosts is None or trace["host"] in hosts)]
    readings = [(trace, rows[(rows["host"] == trace["host"]) & (rows["source"] == trace["source"])]) for trace in traces]
    return None if not readings or any(part.empty for _, part in readings) else readings


def _span_of(readings: Readings) -> tuple[float, float]:
    """From when to when every host has readings."""
    return max(part["t_s"].min() for _, part in readings), min(part["t_s"].max() for _, part in readings)


def _watts_of_hosts(readings: Readings, edges: Array) -> dict[str, Array]:
    watts: dict[str, Array] = {}
    for trace, part in readings:
        name = trace["host"] if trace["host"] not in watts else f"{trace['host']} {trace['source']}"
        watts[name] = _calibrated(trace, part, edges)
    return watts


def _calibrated(trace: Mapping[str, Any], rows: pd.DataFrame, edges: Array) -> Array:
    calibration = trace["calibration"] or {"gain": 1.0, "offset_W": 0.0}
    total = np.full(len(edges) - 1, float(calibration["offset_W"]))
    for channel in (c for c in trace["channels"] if c["id"] in trace["in_total"]):
        part = rows[rows["channel"] == channel["id"]]
        total += calibration["gain"] * _watts(part["raw"].to_numpy(), part["t_s"].to_numpy(), edges, channel)
    return total


def _watts(raw: Array, seconds: Array, edges: Array, channel: Mapping[str, Any]) -> Array:
    if channel["kind"] == "power":
        joules = np.concatenate([[0], np.cumsum((raw[1:] + raw[:-1]) / 2 * channel["scale"] * np.diff(seconds))])
    else:
        steps = np.diff(raw)
        steps = np.where(steps < 0, steps + (channel["modulus"] or 0), steps)
        joules = np.concatenate([[0], np.cumsum(steps * channel["scale"])])
    watts: Array = np.diff(np.interp(edges, seconds, joules)) / np.diff(edges) + channel["baseline_W"]
    return watts


def phases_of(record: MeasuredStudyRecord, last_s: float) -> list[tuple[str, float, float]]:
    """The ranks' activities from when to when.

    Warm-up ends where the first timed window begins; what is between windows, or between idle and training, is evaluation.
    Records that do not keep when idle was have half of ``energy.idle.seconds`` before the warm-up and half before ``last_s``,
    the last reading: up to some tenths of a second off, since ranks settle first.

    Args:
        record: A point that finished.
        last_s: The last reading, in seconds from the start of the run.

    Returns:
        (activity, begin, end), in seconds from the start of the run, in order and without overlap; none is empty.
    """
    windows = [(window.start_s, window.end_s) for window in record.time.windows]
    warm_up_s = windows[0][0] - sum(record.time.warmup.step_s)
    before, after = _idle(record, warm_up_s, last_s)
    phases: list[tuple[str, float, float]] = []
    sent = record.replication
    if sent is not None and sent.start_s is not None:
        phases.append(("replication", sent.start_s, sent.start_s + sent.seconds))
    phases.append(("idle", *before))
    if record.learning.initial:
        phases.append(("evaluation", before[1], warm_up_s))
    phases.append(("warm-up", warm_up_s, windows[0][0]))
    next_starts = [*(start for start, _ in windows[1:]), after[0]]
    for (start, end), next_start in zip(windows, next_starts, strict=True):
        phases += [("timed", start, end), ("evaluation", end, next_start)]
    return [phase for phase in [*phases, ("idle", *after)] if phase[2] > phase[1]]


def _idle(record: MeasuredStudyRecord, warm_up_s: float, last_s: float) -> list[tuple[float, float]]:
    """Begin and end of the idle stretches before and after the training."""
    known = record.time.idle
    if known:
        return [(window.start_s, window.end_s) for window in known]
    idle_s = record.energy.idle.seconds / 2
    begin = record.time.startup_s if record.learning.initial else warm_up_s - idle_s
    return [(begin, begin + idle_s), (last_s - idle_s, last_s)]
