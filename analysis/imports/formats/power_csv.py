"""A plain CSV of power or energy over time: one column of times, or a day and a time of day, and one or more of readings."""

from __future__ import annotations

from pathlib import Path

from analysis.imports.log.column_readings import column_readings
from analysis.imports.log.csv_rows import read_table
from analysis.imports.log.log_format import LOG_FORMATS, LogFormat
from analysis.imports.log.meter_log import Log, LogOptions
from analysis.imports.log.power_columns import power_columns
from analysis.imports.log.time_columns import table_times
from bench.common.user_error import UserError


@LOG_FORMATS.register
class PowerCsv(LogFormat):
    """A table with times and columns of power or energy; what no other format recognises is taken for one."""

    name = "csv"
    place = 1000
    columns_add_up = True
    takes_units = True

    @classmethod
    def recognises(cls, head: bytes) -> bool:
        """Any file."""
        return True

    @classmethod
    def read(cls, path: Path, options: LogOptions) -> Log:
        """The columns that are asked for, else all powers, else all energies."""
        return read(path, options)


def read(path: Path, options: LogOptions) -> Log:
    """The columns that are asked for, else all powers, else all energies.

    Args:
        path: The file.
        options: ``level`` is needed; ``unit`` and ``column_units`` where the file does not say units.

    Returns:
        The readings; the other columns are named as unused.

    Raises:
        UserError: The file is no such table, a row or a value is wrong, it does not say what its columns are, or it is not
            known where the meter sits.
    """
    table = read_table(path)
    times = table_times(table, options)
    others = [name for index, name in enumerate(table.header) if index not in times.columns]
    columns = power_columns(table, others, options)
    if options.level is None:
        raise UserError(f"{path} does not say where its meter sits; give --level wall, board, package or component")
    read_columns = [column_readings(table, column, times, options.level, options, PowerCsv.name) for column in columns]
    used = {part for column in columns for part in column.parts}
    unused = tuple(f"column {name}" for name in others if name not in used)
    notes = tuple(note for _, note in read_columns if note is not None)
    return Log(path, PowerCsv.name, tuple(readings for readings, _ in read_columns), unused, notes)
