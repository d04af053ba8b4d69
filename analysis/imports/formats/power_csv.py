"""A plain CSV of watts over time: one column of times, one or more of powers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path

import numpy as np

from analysis.imports.log import civil_times
from analysis.imports.log.csv_rows import read_rows
from analysis.imports.log.log_format import LOG_FORMATS, LogFormat
from analysis.imports.log.meter_log import SCALE, IntArray, Log, LogOptions, Readings, check_order, check_values, usual_period_s
from bench.common.user_error import UserError
from bench.joules.channel import Channel, Level
from strategies.common.registry import did_you_mean

TIME_NAMES = ("time", "timestamp", "datetime", "date", "t", "epoch", "unix", "time_s", "t_s", "seconds", "utc")
WATTS = {"w": 1.0, "watt": 1.0, "watts": 1.0, "mw": 1e-3, "kw": 1e3}
ENERGIES = ("j", "kj", "mj", "wh", "mwh", "kwh", "joule", "joules", "energy")
UNIT = re.compile(r"[ _]?[(\[]([A-Za-z]+)[)\]]$|[_ ]([A-Za-z]+)$")


@LOG_FORMATS.register
class PowerCsv(LogFormat):
    """A table with a column of times and columns of watts; what no other format recognises is taken for one."""

    name = "csv"
    place = 1000
    columns_add_up = True

    @classmethod
    def recognises(cls, head: bytes) -> bool:
        """Any file."""
        return True

    @classmethod
    def read(cls, path: Path, options: LogOptions) -> Log:
        """All columns of watts: those asked for, else those whose names say so, else all beside the time."""
        return read(path, options)


def read(path: Path, options: LogOptions) -> Log:
    """All columns of watts: those asked for, else those whose names say so, else all beside the time.

    Args:
        path: The file.
        options: ``level`` is needed.

    Returns:
        The readings in W; the other columns are named as unused.

    Raises:
        UserError: The file is no such table, a row or a value is wrong, or it is not known where the meter sits.
    """
    header, rows = read_rows(path)
    wrong = next((number for number, row in enumerate(rows, 2) if len(row) != len(header)), None)
    if wrong is not None:
        raise UserError(
            f"{path}: row {wrong} has {len(rows[wrong - 2])} cells, the header {len(header)}; complete it or take it out"
        )
    time_index = _time_column(path, header, options.time_column)
    time_name = header[time_index]
    factors = _watt_factors(path, [name for name in header if name != time_name], options.columns)
    if options.level is None:
        raise UserError(f"{path} does not say where its meter sits; give --level wall, board, package or component")
    where = f"{path}, column {time_name}"
    times = civil_times.column_ns(where, [row[time_index] for row in rows], options.zone, options.start_ns)
    check_order(where, times[0])
    readings = []
    for name, factor in factors.items():
        index = header.index(name)
        cells = {row: cells[index] for row, cells in enumerate(rows, 2) if cells[index]}
        readings.append(_column(path, name, factor, cells, times, options.level, options))
    unused = [name for name in header if name != time_name and name not in factors]
    return Log(path, PowerCsv.name, tuple(readings), tuple(f"column {name}" for name in unused))


def _column(
    path: Path,
    name: str,
    factor: float,
    cells: Mapping[int, str],
    times: tuple[IntArray, int],
    level: Level,
    options: LogOptions,
) -> Readings:
    """The readings of one column.

    Args:
        path: The file, for messages.
        name: The column's.
        factor: What makes watts of its values.
        cells: Those that are not empty, by their row; the header is row 1.
        times: Of every row in ns since 1970, and how well they are known in ns.
        level: Where the meter sits.
        options: Accuracy and kind of the meter.
    """
    where, (t_ns, known_ns) = f"{path}, column {name}", times
    numbers = [_number(where, row, text) for row, text in cells.items()]
    watts = np.array([float(number) for number in numbers]) * factor
    check_values(where, watts, list(cells))
    cell_ns = t_ns[[row - 2 for row in cells]]
    check_order(where, cell_ns)
    digits = max(-int(number.as_tuple().exponent) for number in numbers)
    channel = Channel(
        id=name,
        kind="power",
        scale=SCALE,
        scope=f"what is behind column {name} of {path.name}",
        level=level,
        # How old a value is when it is logged is not in the log: up to one period, as a rule.
        update_period_s=usual_period_s(cell_ns),
        lsb=max(10.0**-digits * factor / SCALE, 1.0),
        accuracy=options.accuracy,
    )
    raw = np.rint(watts / SCALE).astype(np.int64).reshape(-1, 1)
    blanks = len(t_ns) - len(cell_ns)
    return Readings(name, PowerCsv.name, options.kind or "measured", (channel,), cell_ns, known_ns, raw, blanks)


def _number(where: str, row: int, text: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        hint = "; write 4.9, not 4,9" if re.fullmatch(r"-?\d+,\d+", text) else "; leave cells without a reading empty"
        raise UserError(f"{where}: row {row} has {text!r}, which is no number{hint}") from None
    if not number.is_finite():
        raise UserError(f"{where}: row {row} has {text} W; it must be a number and not negative")
    return number


def _time_column(path: Path, header: Sequence[str], chosen: str | None) -> int:
    """The index of the column that the user has ``chosen``, else of the first whose name says that it has times."""
    if chosen is not None:
        if chosen not in header:
            raise UserError(f"{path} has no column {chosen}; columns are {', '.join(header)}{did_you_mean(chosen, header)}")
        return header.index(chosen)
    lower = [_bare(name) for name in header]
    for index, name in enumerate(lower):
        if name in TIME_NAMES or "timestamp" in name:
            return index
    raise UserError(
        f"{path} has no column of times that is called so; columns are {', '.join(header)}; give --time-column NAME"
    )


def _watt_factors(path: Path, others: Sequence[str], chosen: Sequence[str]) -> dict[str, float]:
    """The factors that make watts of the values of each column.

    Of those that the user has ``chosen``, else of the ``others`` than the time that are powers.
    """
    for name in chosen:
        if name not in others:
            raise UserError(f"{path} has no column {name}; columns are {', '.join(others)}{did_you_mean(name, others)}")
        if _is_energy(name):
            raise UserError(f"{path}: column {name} has energies; only powers (W, mW, kW) can be cut to the run's windows")
    if chosen:
        return {name: WATTS.get(_unit(name), 1.0) for name in chosen}
    if not others:
        raise UserError(f"{path} has a column of times only; it needs one of watts")
    by_unit = {name: WATTS[_unit(name)] for name in others if _unit(name) in WATTS}
    by_name = by_unit or {name: 1.0 for name in others if "power" in name.lower() or "watt" in name.lower()}
    if by_name:
        return by_name
    without_unit = {name: 1.0 for name in others if not _is_energy(name)}
    if not without_unit:
        raise UserError(f"{path} has energies ({', '.join(others)}) and no powers; only powers can be cut to the run's windows")
    return without_unit


def _unit(name: str) -> str:
    ending = UNIT.search(name)
    return name.lower() if ending is None else next(group for group in ending.groups() if group).lower()


def _is_energy(name: str) -> bool:
    return _unit(name) in ENERGIES or "energy" in name.lower()


def _bare(name: str) -> str:
    """A column's name without the unit behind it in brackets."""
    return re.sub(r"\s*[(\[].*$", "", name).strip().lower()
