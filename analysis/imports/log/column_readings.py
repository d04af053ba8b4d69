"""A column of a table as readings: watts, or the joules of a running total."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from analysis.imports.log.cell_numbers import NOTHING, Numbers, column_numbers, decimal_mark
from analysis.imports.log.csv_rows import LogTable
from analysis.imports.log.log_units import UNITS, Unit
from analysis.imports.log.meter_log import SCALE, LogOptions, Readings, check_order, check_values, usual_period_s
from analysis.imports.log.power_columns import Column
from analysis.imports.log.time_columns import Times
from bench.common.user_error import UserError
from bench.joules.channel import Channel, Level

BOARD_W = (0.2, 150.0)
"""Between these lies the power of boards in watts, and neither their milliwatts nor their kilowatts: what has no unit is taken
as watts there only."""


def column_readings(
    table: LogTable, column: Column, times: Times, level: Level, options: LogOptions, source: str
) -> tuple[Readings, str | None]:
    """The readings of one column.

    Args:
        table: The table.
        column: Which one, with its unit.
        times: Of every row.
        level: Where the meter sits.
        options: Accuracy and kind of the meter, and the decimal mark.
        source: The name of the log's format.

    Returns:
        The readings, and a note where the unit is an assumption.

    Raises:
        UserError: A value is none, or a total falls; the row is named.
    """
    where = f"{table.path}, column {column.name}"
    cells = [_with_a_value(table.filled(table.header.index(part))) for part in column.parts]
    rows = [row for row in cells[0] if all(row in other for other in cells)]
    t_ns = times.t_ns[[row - table.first_row for row in rows]]
    check_order(where, t_ns, table.first_row)
    numbers = [_numbers(table, column, number, {row: part[row] for row in rows}, options) for number, part in enumerate(cells)]
    values, last_digit = _product(numbers) if len(numbers) > 1 else (numbers[0].values, numbers[0].last_digit)
    counter = column.meanings[0].quantity == "energy"
    check_values(where, values, rows, "J" if counter else "W")
    if counter:
        _check_rising(where, values, rows)
    note = _assumption(where, column.name, values) if column.untold else None
    channel = Channel(
        id=column.name,
        kind="counter" if counter else "power",
        scale=SCALE,
        scope=f"what is behind column {column.name} of {table.path.name}",
        level=level,
        # How old a value is when it is logged is not in the log: up to one period, as a rule.
        update_period_s=usual_period_s(t_ns),
        lsb=max(last_digit / SCALE, 1.0),
        accuracy=options.accuracy,
    )
    raw = np.rint(values / SCALE).astype(np.int64).reshape(-1, 1)
    blanks = len(times.t_ns) - len(t_ns)
    readings = Readings(column.name, source, options.kind or "measured", (channel,), t_ns, times.known_ns, raw, blanks)
    return readings, note


def filled_numbers(table: LogTable, name: str) -> tuple[list[int], NDArray[np.float64], float]:
    """The numbers of a column without a unit of power or energy, as they are printed.

    Args:
        table: The table.
        name: The column's.

    Returns:
        The rows that have a value, the values, and that of the last printed digit.

    Raises:
        UserError: A cell is no number.
    """
    cells = _with_a_value(table.filled(table.header.index(name)))
    mark = decimal_mark(cells.values()) or _mark_of_table(table, cells)
    numbers = column_numbers(f"{table.path}, column {name}", cells, UNITS["W"], mark, stated=False)  # times one
    return list(cells), numbers.values, numbers.last_digit


def _with_a_value(cells: Mapping[int, str]) -> dict[int, str]:
    """Without what loggers write where there was no reading; ``nan`` stays, for it may be one that went wrong."""
    return {row: text for row, text in cells.items() if text.lower() == "nan" or text.lower() not in NOTHING}


def _numbers(table: LogTable, column: Column, number: int, cells: Mapping[int, str], options: LogOptions) -> Numbers:
    """The numbers of one of its parts; whose decimal mark they do not show themselves, other columns show."""
    mark = options.decimal or decimal_mark(cells.values()) or _mark_of_table(table, cells)
    return column_numbers(
        f"{table.path}, column {column.parts[number]}", cells, _unit(column, number), mark, stated=column.stated
    )


def _unit(column: Column, number: int) -> Unit | None:
    """What the numbers are in; None where the cells say it."""
    return UNITS["W"] if column.untold else column.meanings[number].unit


def _mark_of_table(table: LogTable, cells: Mapping[int, str]) -> str | None:
    if not any("," in text or "." in text for text in cells.values()):
        return None
    return decimal_mark(cell for row in table.rows for cell in row)


def _product(numbers: Sequence[Numbers]) -> tuple[NDArray[np.float64], float]:
    """Volts times amps, and what the last digits of both make of it."""
    first, second = numbers
    digits = np.hypot(np.abs(first.values).mean() * second.last_digit, np.abs(second.values).mean() * first.last_digit)
    return first.values * second.values, float(digits)


def _check_rising(where: str, joules: NDArray[np.float64], rows: Sequence[int]) -> None:
    falls = np.flatnonzero(np.diff(joules) < 0)
    if len(falls):
        raise UserError(
            f"{where}: row {rows[int(falls[0]) + 1]} is below the row before, so it is no running total of energy, or one that "
            "began again; cut the log there, or import power"
        )


def _assumption(where: str, name: str, watts: NDArray[np.float64]) -> str:
    """Refuse numbers without a unit that are not as a board's watts are; else say that they are taken as watts."""
    some = watts[watts > 0]
    middle = float(np.median(some)) if len(some) else BOARD_W[0]
    if not BOARD_W[0] <= middle <= BOARD_W[1]:
        raise UserError(f"{where}: {middle:g} has no unit, and as watts it is not what boards use; give --unit W, mW or kW")
    return f"column {name} has no unit; numbers around {middle:g} are taken as watts (--unit mW would say otherwise)"
