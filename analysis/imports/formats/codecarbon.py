"""CodeCarbon's CSV: energies since the tracker began, one row for each time that the tracker was flushed or stopped.

Columns (codecarbon 2 and 3): ``timestamp`` (local time without a zone, whole seconds), ``project_name``, ``run_id``,
``duration`` (s since the tracker began), ``cpu_energy, gpu_energy, ram_energy, energy_consumed`` (kWh since then, times
``pue``). Its powers are means over the whole run, so they are not read. Where only the last row of a run was written, its
energies belong to the whole run and cannot be cut to windows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import tzinfo
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from analysis.imports.log import civil_times
from analysis.imports.log.csv_rows import read_rows
from analysis.imports.log.log_format import LOG_FORMATS, LogFormat
from analysis.imports.log.meter_log import SCALE, IntArray, Log, LogOptions, Readings, check_order
from bench.common.user_error import UserError
from bench.joules.channel import Channel, Kind
from strategies.common.registry import did_you_mean

J_PER_KWH = 3.6e6
PARTS = ("cpu", "gpu", "ram")
NEEDED = ("timestamp", "project_name", "run_id", "duration", *(f"{part}_energy" for part in PARTS))
STALE_S = 0.05
"""A flush does not measure again what was measured so shortly before (codecarbon 3)."""
TO_THE_SECOND_NS = 10**9


@LOG_FORMATS.register
class CodeCarbonCsv(LogFormat):
    """emissions.csv of CodeCarbon."""

    name = "codecarbon"
    place = 20
    column_noun = "projects"
    kind_note = "CodeCarbon estimates what it cannot read and does not say which; the energy is called modelled"

    @classmethod
    def recognises(cls, head: bytes) -> bool:
        """A header with CodeCarbon's columns."""
        header = head.decode("utf-8", "replace").splitlines()[0].split(",") if head else []
        return {"energy_consumed", "duration"} <= set(header) or "codecarbon_version" in header

    @classmethod
    def read(cls, path: Path, options: LogOptions) -> Log:
        """A stretch of readings for each run of a tracker, called by its project."""
        return read(path, options)


def read(path: Path, options: LogOptions) -> Log:
    """A stretch of readings for each run of a tracker, called by its project.

    Args:
        path: The file.
        options: ``columns`` are projects.

    Returns:
        The readings of the projects that are chosen; the others are named as unused.

    Raises:
        UserError: The file is no emissions.csv, has one row for each run, or a value is wrong.
    """
    header, rows = read_rows(path)
    _check_columns(path, header)
    runs: dict[tuple[str, str], list[dict[str, str]]] = {}
    for cells in rows:
        # CodeCarbon leaves cells without a value out when it appends; all that is read here stands in front of those.
        row = dict(zip(header, cells, strict=False))
        runs.setdefault((row.get("project_name", ""), row.get("run_id", "")), []).append(row)
    if all(len(run) < 2 for run in runs.values()):
        raise UserError(
            f"{path} has one row for each run: the energy of all of it, from start to stop, and not how much of it was used in "
            "the timed windows; call tracker.flush() every second, so that there is a row for each, or log powers"
        )
    projects = options.columns
    chosen = {key: run for key, run in runs.items() if len(run) > 1 and (not projects or key[0] in projects)}
    unknown = next((name for name in projects if name not in {project for project, _ in runs}), None)
    if unknown is not None:
        known = sorted({project for project, _ in runs})
        raise UserError(f"{path} has no project {unknown}; projects are {', '.join(known)}{did_you_mean(unknown, known)}")
    readings = [_run(path, project, run, options) for (project, _), run in chosen.items()]
    unused = [f"run {run_id} of project {project}" for project, run_id in runs if (project, run_id) not in chosen]
    return Log(path, CodeCarbonCsv.name, tuple(readings), tuple(unused))


def _check_columns(path: Path, header: Sequence[str]) -> None:
    if "task_name" in header:
        raise UserError(
            f"{path} has the totals of CodeCarbon's tasks, which do not tell when energy was used; give its emissions.csv"
        )
    for name in NEEDED:
        if name not in header:
            raise UserError(
                f"{path} is no CSV of CodeCarbon: no column {name}; columns are {', '.join(header)}{did_you_mean(name, header)}"
            )


def _run(path: Path, project: str, rows: Sequence[Mapping[str, str]], options: LogOptions) -> Readings:
    where = f"{path}, run {rows[0]['run_id']}"
    since_s = np.array([_number(where, row, "duration") for row in rows])
    check_order(where, np.rint(since_s * 1e9).astype(np.int64))
    begin_ns, known_ns = _begin(where, [row["timestamp"] for row in rows], since_s, options.zone)
    joules = _part_joules(where, rows)
    kind: Kind = options.kind or "modelled"
    parts = [part for part in PARTS if not (part == "ram" and kind == "measured")]
    estimated = {"source": "codecarbon ram", "why": "estimated by CodeCarbon, not measured"}
    kept = [PARTS.index(part) for part in parts]
    return Readings(
        name=project,
        source=CodeCarbonCsv.name,
        kind=kind,
        channels=tuple(_channel(part, options) for part in parts),
        t_ns=begin_ns + np.rint(np.concatenate([[0.0], since_s]) * 1e9).astype(np.int64),
        known_ns=known_ns,
        raw=np.rint(joules[:, kept] / SCALE).astype(np.int64),
        left_out=() if len(parts) == len(PARTS) else (estimated,),
        not_measured=("what CodeCarbon does not count: power supply, board, network",),
    )


def _part_joules(where: str, rows: Sequence[Mapping[str, str]]) -> NDArray[np.float64]:
    """``[rows + 1, parts]``: joules of each of ``PARTS`` since the tracker began, at which it is zero."""
    pue = _number(where, rows[0], "pue") if rows[0].get("pue") else 1.0
    kWh = np.array([[_number(where, row, f"{part}_energy") for part in PARTS] for row in rows])
    if (kWh < 0).any():
        raise UserError(f"{where} has negative energies; take the run out")
    if pue <= 0:
        raise UserError(f"{where}: pue is {pue:g}, which is no factor of energies")
    # The power usage effectiveness of a data centre is no energy of these hosts.
    return np.concatenate([np.zeros((1, len(PARTS))), kWh * J_PER_KWH / pue])


def _channel(part: str, options: LogOptions) -> Channel:
    return Channel(
        id=part,
        kind="counter",
        scale=SCALE,
        scope=f"{part} by CodeCarbon",
        level=options.level or "package",
        update_period_s=STALE_S,
        accuracy=options.accuracy,
    )


def _begin(where: str, stamps: Sequence[str], since_s: NDArray[np.float64], zone: tzinfo | None) -> tuple[int, int]:
    """When the tracker began, and how well that is known: each time is cut to the second, so each row narrows it."""
    stamps_ns, _ = civil_times.iso_ns(where, stamps, zone)
    begins_ns: IntArray = stamps_ns - np.rint(since_s * 1e9).astype(np.int64)
    latest, earliest = int(begins_ns.max()), int(begins_ns.min()) + TO_THE_SECOND_NS
    if latest > earliest:
        raise UserError(
            f"{where}: timestamps and durations are {(latest - earliest) / 1e9:.1f} s apart, so the clock was set while it ran"
        )
    return (latest + earliest) // 2, (earliest - latest) // 2


def _number(where: str, row: Mapping[str, str], name: str) -> float:
    try:
        number = float(row.get(name, ""))
    except ValueError:
        number = float("nan")
    if not np.isfinite(number):
        raise UserError(f"{where}: {name} at {row.get('timestamp')} is {row.get(name)!r}, which is no number")
    return number
