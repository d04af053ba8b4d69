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

from analysis.imports import civil_times
from analysis.imports.meter_log import SCALE, Asked, Log, Readings, Whole, check_order
from analysis.imports.power_csv import rows_of
from bench.common.user_error import UserError
from bench.joules.channel import Channel, Kind
from strategies.common.registry import did_you_mean

J_PER_KWH = 3.6e6
PARTS = ("cpu", "gpu", "ram")
NEEDED = ("timestamp", "project_name", "run_id", "duration", *(f"{part}_energy" for part in PARTS))
STALE_S = 0.05
"""A flush does not measure again what was measured so shortly before (codecarbon 3)."""
TO_THE_SECOND_NS = 10**9


def read(path: Path, asked: Asked) -> Log:
    """A stretch of readings for each run of a tracker, called by its project."""
    header, rows = rows_of(path)
    _check_columns(path, header)
    runs: dict[tuple[str, str], list[dict[str, str]]] = {}
    for cells in rows:
        # CodeCarbon leaves cells without a value out when it appends; all that is read here stands in front of those.
        row = dict(zip(header, cells, strict=False))
        runs.setdefault((row.get("project_name", ""), row.get("run_id", "")), []).append(row)
    if all(len(own) < 2 for own in runs.values()):
        raise UserError(
            f"{path} has one row for each run: the energy of all of it, from start to stop, and not how much of it was used in "
            "the timed windows; call tracker.flush() every second, so that there is a row for each, or log powers"
        )
    asked_for = {key: own for key, own in runs.items() if len(own) > 1 and (not asked.columns or key[0] in asked.columns)}
    unknown = next((name for name in asked.columns if name not in {project for project, _ in runs}), None)
    if unknown is not None:
        projects = sorted({project for project, _ in runs})
        raise UserError(f"{path} has no project {unknown}; projects are {', '.join(projects)}{did_you_mean(unknown, projects)}")
    found = [_run(path, project, own, asked) for (project, _), own in asked_for.items()]
    unused = [f"run {run} of project {project}" for project, run in runs if (project, run) not in asked_for]
    return Log(path, "codecarbon", tuple(found), tuple(unused))


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


def _run(path: Path, project: str, rows: Sequence[Mapping[str, str]], asked: Asked) -> Readings:
    where = f"{path}, run {rows[0]['run_id']}"
    since_s = np.array([_number(where, row, "duration") for row in rows])
    check_order(where, np.rint(since_s * 1e9).astype(np.int64))
    begin_ns, known_ns = _begin(where, [row["timestamp"] for row in rows], since_s, asked.zone)
    pue = _number(where, rows[0], "pue") if rows[0].get("pue") else 1.0
    kWh = np.array([[_number(where, row, f"{part}_energy") for part in PARTS] for row in rows])
    if (kWh < 0).any():
        raise UserError(f"{where} has negative energies; take the run out")
    if pue <= 0:
        raise UserError(f"{where}: pue is {pue:g}, which is no factor of energies")
    # The tracker begins at zero, and the power usage effectiveness of a data centre is no energy of these hosts.
    joules = np.concatenate([np.zeros((1, len(PARTS))), kWh * J_PER_KWH / pue])
    kind: Kind = asked.kind or "modelled"
    kept = [index for index, part in enumerate(PARTS) if not (part == "ram" and kind == "measured")]
    left_out = (
        () if len(kept) == len(PARTS) else ({"source": "codecarbon ram", "why": "estimated by CodeCarbon, not measured"},)
    )
    channels = [
        Channel(
            id=PARTS[index],
            kind="counter",
            scale=SCALE,
            scope=f"{PARTS[index]} by CodeCarbon",
            level=asked.level or "package",
            update_period_s=STALE_S,
            accuracy=asked.accuracy,
        )
        for index in kept
    ]
    return Readings(
        name=project,
        source="codecarbon",
        kind=kind,
        channels=tuple(channels),
        t_ns=begin_ns + np.rint(np.concatenate([[0.0], since_s]) * 1e9).astype(np.int64),
        known_ns=known_ns,
        raw=np.rint(joules[:, kept] / SCALE).astype(np.int64),
        left_out=left_out,
        not_measured=("what CodeCarbon does not count: power supply, board, network",),
    )


def _begin(where: str, stamps: Sequence[str], since_s: np.typing.NDArray[np.float64], zone: tzinfo | None) -> tuple[int, int]:
    """When the tracker began, and how well that is known: each time is cut to the second, so each row narrows it."""
    stamps_ns, _ = civil_times.iso_ns(where, stamps, zone)
    begins_ns: Whole = stamps_ns - np.rint(since_s * 1e9).astype(np.int64)
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
