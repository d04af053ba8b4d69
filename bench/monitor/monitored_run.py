"""The record of a monitored run from the parts of its hosts, and its files: by the host that ends last, or by ``--merge``."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from bench.common import atomic_files
from bench.common.user_error import UserError
from bench.monitor.host_axis import HostAxis
from bench.monitor.host_part import PARTS, read_parts
from bench.monitor.monitored_checks import judged
from bench.monitor.monitored_energy import MeteredRun, monitored_energy
from bench.monitor.region_joules import region_joules
from bench.record import checks
from bench.record.check_record import Check
from bench.record.environment_record import EnvironmentRecord
from bench.record.monitored_record import (
    MONITORED_FILE,
    MonitoredRankRecord,
    MonitoredRecord,
    MonitoredStatus,
)


def try_merge(folder: Path) -> str:
    """Make the record where this host is the last one to hand in.

    Args:
        folder: The run's folder.

    Returns:
        One line for the user: the joules, or what is still missing.
    """
    try:
        parts = read_parts(folder)
        there, size = sum(len(part.ranks) for part in parts), parts[0].size
        if there < size:
            return (
                f"{there} of {size} ranks have handed in under {folder / PARTS}; the last host makes the record. Where "
                f"hosts share no folder: copy their parts there and run edgejoule monitor --merge {folder}"
            )
        return merge_parts(folder)
    except (UserError, OSError) as problem:
        return f"no record: {problem}"


def merge_parts(folder: Path) -> str:
    """Make the record of whatever parts are there; one that lacks ranks is invalid, never smaller without a word.

    Args:
        folder: The run's folder.

    Returns:
        One line for the user, with the joules and the file.

    Raises:
        UserError: There is no part, or one cannot be read.
    """
    folder = folder.absolute()
    axis = HostAxis(read_parts(folder))
    metered = MeteredRun.of(axis)
    record = assemble(metered, folder.name)
    if metered.traces:
        atomic_files.write_power(folder / "power.parquet", metered.traces, axis.to_common, metered.cover.in_total)
    if any(part.lanes for part in axis.parts):
        atomic_files.write_columns(folder / "regions.parquet", region_columns(axis))
    atomic_files.write_json(folder / MONITORED_FILE, record.to_dict())
    if len(axis.parts) == 1 and not metered.missing:  # everything of it is in the record's files
        shutil.rmtree(folder / PARTS, ignore_errors=True)
    return f"{headline(record)}  {folder / MONITORED_FILE}"


def headline(record: MonitoredRecord) -> str:
    """A run in a few words.

    Args:
        record: Its record.

    Returns:
        Joules with their uncertainty, seconds, watts, and what is wrong with them.
    """
    energy = record.energy
    known = energy.total_J is not None and energy.uncertainty_J is not None
    joules = f"{energy.total_J:.4g} J +- {energy.uncertainty_J:.2g} J {energy.kind}" if known else "no joules"
    power = f", {energy.mean_power_W:.4g} W" if energy.mean_power_W is not None else ""
    wrong = "" if record.status == "ok" else f" ({record.status}: {record.reason})"
    return f"{joules}, {record.seconds:.4g} s{power}{wrong}"


def assemble(metered: MeteredRun, name: str) -> MonitoredRecord:
    """The record of a run with its checks.

    Args:
        metered: The readings of its hosts.
        name: The run's name.

    Returns:
        The record.
    """
    axis, first = metered.axis, metered.axis.parts[0]
    energy, regions, ranks = monitored_energy(metered), region_joules(metered), rank_records(axis)
    verdicts = judged(metered, energy)
    status, reason = _status(verdicts, ranks)
    windows = axis.window_records()
    return MonitoredRecord(
        status=status,
        reason=reason,
        name=name,
        command=list(first.command),
        launcher=first.launcher,
        size=first.size,
        seconds=max(window.end_s for window in windows) - min(window.start_s for window in windows),
        ranks=ranks,
        windows=windows,
        clock=axis.clock_record(),
        energy=energy,
        regions=regions.totals,
        regions_by_rank=regions.by_rank,
        region_methods=regions.methods,
        not_attributed=regions.not_attributed,
        checks=verdicts,
        environment=_environment(axis),
    )


def rank_records(axis: HostAxis) -> list[MonitoredRankRecord]:
    """The record's ``ranks``, in their order.

    Args:
        axis: The parts on one axis.

    Returns:
        One a rank that handed in.
    """
    rows = []
    for number, part in enumerate(axis.parts):
        for end in part.ranks:
            killed = end.code is not None and end.code < 0
            rows.append(
                MonitoredRankRecord(
                    rank=end.rank,
                    host=part.label,
                    pid=end.pid,
                    start_s=axis.to_common(number, end.started_ns),
                    end_s=axis.to_common(number, end.ended_ns),
                    exit_code=None if killed else end.code,
                    signal=_signal_name(-end.code) if killed and end.code is not None else None,
                )
            )
    return sorted(rows, key=lambda row: row.rank)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _status(verdicts: Sequence[Check], ranks: Sequence[MonitoredRankRecord]) -> tuple[MonitoredStatus, str | None]:
    """A failed check makes the run invalid, else a command that failed makes it failed: its joules are measured."""
    status, reason = checks.overall(verdicts)
    if status == "invalid":
        return status, reason
    bad = [f"rank {rank.rank} {_end_words(rank)}" for rank in ranks if rank.exit_code != 0]
    return ("failed", "; ".join(bad)) if bad else ("ok", None)


def _end_words(rank: MonitoredRankRecord) -> str:
    if rank.signal is not None:
        return f"ended by {rank.signal}"
    return "lost its wrapper" if rank.exit_code is None else f"ended with code {rank.exit_code}"


def _environment(axis: HostAxis) -> EnvironmentRecord:
    first = axis.parts[0]
    # Second 0 of the axis in civil time, by the first host's clock.
    zero_ns = first.clocks[0].civil_ns + axis.begin_ns - first.clocks[0].monotonic_ns
    started = datetime.fromtimestamp(zero_ns / 1e9, timezone.utc)
    end_s = max(axis.window(number)[1] for number in range(len(axis.parts)))
    finished = datetime.fromtimestamp(zero_ns / 1e9 + end_s, timezone.utc)
    hosts = [part.host for part in axis.parts]
    return replace(
        first.environment,
        hosts=hosts,
        started=started.isoformat(timespec="milliseconds"),
        finished=finished.isoformat(timespec="milliseconds"),
    )


def region_columns(axis: HostAxis) -> dict[str, np.ndarray]:
    """Every call of every region, for regions.parquet.

    Args:
        axis: The parts on one axis.

    Returns:
        Columns of one row a call; times in seconds on the axis, ``t1_s`` not a number where a region was never left.
    """
    tables = []
    for number, part in enumerate(axis.parts):
        for lane in part.lanes:
            count, paths = len(lane.path), np.array(lane.paths, dtype=object)
            ends_s = [axis.to_common(number, t_ns) if t_ns else np.nan for t_ns in lane.t1_ns.tolist()]
            tables.append(
                {
                    "host": np.full(count, part.label, dtype=object),
                    "rank": np.full(count, lane.rank),
                    "pid": np.full(count, lane.pid),
                    "main_thread": np.full(count, lane.main),
                    "region": paths[lane.path],
                    "t0_s": np.array([axis.to_common(number, t_ns) for t_ns in lane.t0_ns.tolist()]),
                    "t1_s": np.array(ends_s),
                }
            )
    return {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}
