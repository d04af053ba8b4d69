"""A plain CSV of watts over time: one column of times, one or more of powers."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path

import numpy as np

from analysis.imports import civil_times
from analysis.imports.meter_log import SCALE, Asked, Log, Readings, Whole, check_order, check_values, usual_s
from bench.common.user_error import UserError
from bench.joules.channel import Channel, Level
from strategies.common.registry import did_you_mean

TIME_NAMES = ("time", "timestamp", "datetime", "date", "t", "epoch", "unix", "time_s", "t_s", "seconds", "utc")
WATTS = {"w": 1.0, "watt": 1.0, "watts": 1.0, "mw": 1e-3, "kw": 1e3}
ENERGIES = ("j", "kj", "mj", "wh", "mwh", "kwh", "joule", "joules", "energy")
UNIT = re.compile(r"[ _]?[(\[]([A-Za-z]+)[)\]]$|[_ ]([A-Za-z]+)$")


def rows_of(path: Path) -> tuple[list[str], list[list[str]]]:
    """Header and rows of a CSV with commas, semicolons or tabs; lines that begin with # in front of the header are comments.
    UserError for what is no such file, and for rows that are longer than the header."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); give the meter's log") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is not text; a power CSV is, and perun's HDF5 files need --format perun") from None
    while lines and (not lines[0].strip() or lines[0].startswith("#")):
        lines.pop(0)
    if not lines:
        raise UserError(f"{path} is empty; give the meter's log")
    delimiter = max(",;\t", key=lines[0].count)
    header, *rows = csv.reader(lines, delimiter=delimiter)
    header = [name.strip() for name in header]
    twice = next((name for name in header if header.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"{path} has two columns {twice!r}; name them apart")
    rows = [[cell.strip() for cell in row] for row in rows if row]
    if not rows:
        raise UserError(f"{path} has the columns {', '.join(header)} and no rows")
    return header, rows


def read(path: Path, asked: Asked) -> Log:
    """All columns of watts: those asked for, else those whose names say so, else all beside the time."""
    header, rows = rows_of(path)
    wrong = next((number for number, row in enumerate(rows, 2) if len(row) != len(header)), None)
    if wrong is not None:
        raise UserError(
            f"{path}: row {wrong} has {len(rows[wrong - 2])} cells, the header {len(header)}; complete it or take it out"
        )
    at = _time_column(path, header, asked.time_column)
    columns = _columns(path, [name for name in header if name != header[at]], asked.columns)
    if asked.level is None:
        raise UserError(f"{path} does not say where its meter sits; give --level wall, board, package or component")
    t_ns, known_ns = civil_times.column_ns(
        f"{path}, column {header[at]}", [row[at] for row in rows], asked.zone, asked.start_ns
    )
    check_order(f"{path}, column {header[at]}", t_ns)
    found = []
    for name, scale in columns.items():
        index = header.index(name)
        cells = {row: cells[index] for row, cells in enumerate(rows, 2) if cells[index]}
        found.append(_column(path, name, scale, cells, (t_ns, known_ns), asked.level, asked))
    unused = [name for name in header if name != header[at] and name not in columns]
    return Log(path, "csv", tuple(found), tuple(f"column {name}" for name in unused))


def _column(
    path: Path, name: str, scale: float, cells: Mapping[int, str], time: tuple[Whole, int], level: Level, asked: Asked
) -> Readings:
    """``cells`` are those that are not empty, by their row; the header is row 1."""
    where, (t_ns, known_ns) = f"{path}, column {name}", time
    numbers = [_number(where, row, text) for row, text in cells.items()]
    watts = np.array([float(number) for number in numbers]) * scale
    check_values(where, watts, list(cells))
    own_ns = t_ns[[row - 2 for row in cells]]
    check_order(where, own_ns)
    digits = max(-int(number.as_tuple().exponent) for number in numbers)
    channel = Channel(
        id=name,
        kind="power",
        scale=SCALE,
        scope=f"what is behind column {name} of {path.name}",
        level=level,
        # How old a value is when it is logged is not in the log: up to one period, as a rule.
        update_period_s=usual_s(own_ns),
        lsb=max(10.0**-digits * scale / SCALE, 1.0),
        accuracy=asked.accuracy,
    )
    raw = np.rint(watts / SCALE).astype(np.int64).reshape(-1, 1)
    blanks = len(t_ns) - len(own_ns)
    return Readings(name, "csv", asked.kind or "measured", (channel,), own_ns, known_ns, raw, blanks)


def _number(where: str, row: int, text: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        hint = "; write 4.9, not 4,9" if re.fullmatch(r"-?\d+,\d+", text) else "; leave cells without a reading empty"
        raise UserError(f"{where}: row {row} has {text!r}, which is no number{hint}") from None
    if not number.is_finite():
        raise UserError(f"{where}: row {row} has {text} W; it must be a number and not negative")
    return number


def _time_column(path: Path, header: Sequence[str], asked: str | None) -> int:
    if asked is not None:
        if asked not in header:
            raise UserError(f"{path} has no column {asked}; columns are {', '.join(header)}{did_you_mean(asked, header)}")
        return header.index(asked)
    lower = [_bare(name) for name in header]
    for index, name in enumerate(lower):
        if name in TIME_NAMES or "timestamp" in name:
            return index
    raise UserError(
        f"{path} has no column of times that is called so; columns are {', '.join(header)}; give --time-column NAME"
    )


def _columns(path: Path, others: Sequence[str], asked: Sequence[str]) -> dict[str, float]:
    """What makes watts of each column."""
    for name in asked:
        if name not in others:
            raise UserError(f"{path} has no column {name}; columns are {', '.join(others)}{did_you_mean(name, others)}")
        if _is_energy(name):
            raise UserError(f"{path}: column {name} has energies; only powers (W, mW, kW) can be cut to the run's windows")
    if asked:
        return {name: WATTS.get(_unit(name), 1.0) for name in asked}
    if not others:
        raise UserError(f"{path} has a column of times only; it needs one of watts")
    said = {name: WATTS[_unit(name)] for name in others if _unit(name) in WATTS}
    said = said or {name: 1.0 for name in others if "power" in name.lower() or "watt" in name.lower()}
    if said:
        return said
    plain = {name: 1.0 for name in others if not _is_energy(name)}
    if not plain:
        raise UserError(f"{path} has energies ({', '.join(others)}) and no powers; only powers can be cut to the run's windows")
    return plain


def _unit(name: str) -> str:
    found = UNIT.search(name)
    return name.lower() if found is None else next(group for group in found.groups() if group).lower()


def _is_energy(name: str) -> bool:
    return _unit(name) in ENERGIES or "energy" in name.lower()


def _bare(name: str) -> str:
    """A column's name without the unit behind it in brackets."""
    return re.sub(r"\s*[(\[].*$", "", name).strip().lower()
