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
from analysis.imports.log.log_text import head_text
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
MOST_S, MOST_KWH = 3.2e8, 1e6
"""A run is shorter than ten years and uses less than a gigawatt hour."""
LEAST_PUE, MOST_PUE = 1.0, 10.0
NOT_COUNTED = ("GPUs, of which CodeCarbon counted nothing",)


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
        header = (head_text(head).splitlines() or [""])[0].split(",")
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
        row = _row(header, cells)
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
    if not chosen:
        raise UserError(
            f"{path} has one row for {', '.join(projects)}, which does not tell when its energy was used; see --column"
        )
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


def _row(header: Sequence[str], cells: Sequence[str]) -> dict[str, str]:
    """A row by columns.

    CodeCarbon leaves cells without a value out when it appends. The columns that are read here stand in front of those, but for
    the power usage effectiveness, which stands behind: it is counted from the end.
    """
    row = dict.fromkeys(NEEDED, "") | dict(zip(header, cells, strict=False))
    if "pue" in header:
        place = len(cells) - (len(header) - header.index("pue"))
        row["pue"] = cells[place] if 0 <= place < len(cells) else ""
    return row


def _run(path: Path, project: str, rows: Sequence[Mapping[str, str]], options: LogOptions) -> Readings:
    where = f"{path}, run {rows[0]['run_id']}"
    since_s = np.array([_number(where, row, "duration") for row in rows])
    if not ((since_s > 0) & (since_s <= MOST_S)).all():
        raise UserError(
            f"{where} has a duration of {since_s[(since_s <= 0) | (since_s > MOST_S)][0]:g} s, which is none; take the run out"
        )
    check_order(where, np.rint(since_s * 1e9).astype(np.int64))
    begin_ns, known_ns = _begin(where, [row["timestamp"] for row in rows], since_s, options.zone)
    joules = _part_joules(where, rows)
    kind: Kind = options.kind or "modelled"
    left_out = _left_out(joules, kind)
    parts = [part for part in PARTS if part not in left_out]
    kept = [PARTS.index(part) for part in parts]
    return Readings(
        name=project,
        source=CodeCarbonCsv.name,
        kind=kind,
        channels=tuple(_channel(part, options) for part in parts),
        t_ns=begin_ns + np.rint(np.concatenate([[0.0], since_s]) * 1e9).astype(np.int64),
        known_ns=known_ns,
        raw=np.rint(joules[:, kept] / SCALE).astype(np.int64),
        left_out=tuple({"source": f"codecarbon {part}", "why": why} for part, why in left_out.items()),
        not_measured=("what CodeCarbon does not count: power supply, board, network", *NOT_COUNTED[: "gpu" in left_out]),
    )


def _left_out(joules: NDArray[np.float64], kind: Kind) -> dict[str, str]:
    """Why parts are in no total: where there is no GPU, CodeCarbon's energy of it is zero and no counter that stands."""
    why = dict.fromkeys(("gpu", "ram"), "zero throughout: none is there, or none was counted")
    absent = {part: text for part, text in why.items() if not joules[:, PARTS.index(part)].any()}
    return {**absent, **({"ram": "estimated by CodeCarbon, not measured"} if kind == "measured" else {})}


def _part_joules(where: str, rows: Sequence[Mapping[str, str]]) -> NDArray[np.float64]:
    """``[rows + 1, parts]``: joules of each of ``PARTS`` since the tracker began, at which it is zero.

    The power usage effectiveness of a data centre is no energy of these hosts. CodeCarbon multiplies what it adds with the one
    of then, so each difference is divided by the one of its row.
    """
    pue = np.array([_number(where, row, "pue") if row.get("pue") else 1.0 for row in rows])
    kWh = np.array([[_energy(where, row, part) for part in PARTS] for row in rows])
    if (kWh < 0).any() or (kWh > MOST_KWH).any():
        wrong = kWh[(kWh < 0) | (kWh > MOST_KWH)][0]
        raise UserError(f"{where} has an energy of {wrong:g} kWh, which is none of a run; take the run out")
    if not ((pue >= LEAST_PUE) & (pue <= MOST_PUE)).all():
        strange = pue[(pue < LEAST_PUE) | (pue > MOST_PUE)][0]
        raise UserError(f"{where}: pue is {strange:g}, which is no factor of energies; it is {LEAST_PUE:g} or more")
    steps = np.diff(kWh, axis=0, prepend=np.zeros((1, len(PARTS)))) * J_PER_KWH / pue[:, np.newaxis]
    return np.concatenate([np.zeros((1, len(PARTS))), np.cumsum(steps, axis=0)])


def _energy(where: str, row: Mapping[str, str], part: str) -> float:
    """Of one part, kWh; an empty cell of a GPU or of memory is one that is not there."""
    name = f"{part}_energy"
    return 0.0 if part != "cpu" and not row.get(name, "").strip() else _number(where, row, name)


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
