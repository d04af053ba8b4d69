"""jetson-stats' log: ``jtop_logger.py`` writes the dictionary ``jtop.stats`` as a CSV, with every power in milliwatts.

Columns (jetson-stats 4 and later): ``time`` (local time without a zone), ``uptime``, the use of cores, memory and engines,
``Power RAIL`` of each rail and ``Power TOT``, the board's own total where it has one, else the sum of its rails. jetson-stats 3
called the total ``power cur``. Its averages (``power avg``) are no means over time and are not read.
"""

from __future__ import annotations

from pathlib import Path

from analysis.imports.log.column_readings import column_readings
from analysis.imports.log.csv_rows import LogTable, read_table
from analysis.imports.log.log_format import LOG_FORMATS, LogFormat
from analysis.imports.log.log_text import head_text
from analysis.imports.log.log_units import UNITS, Meaning
from analysis.imports.log.meter_log import Log, LogOptions
from analysis.imports.log.power_columns import Column
from analysis.imports.log.time_columns import table_times
from bench.common.user_error import UserError
from strategies.common.registry import did_you_mean

TOTALS = ("Power TOT", "power cur")
RAIL = "Power "
MILLIWATTS = Meaning("power", UNITS["mW"], "power in mW")


@LOG_FORMATS.register
class JtopCsv(LogFormat):
    """The CSV of jetson-stats' logger."""

    name = "jtop"
    place = 40

    @classmethod
    def recognises(cls, head: bytes) -> bool:
        """A header with jetson-stats' columns."""
        header = [name.strip() for name in (head_text(head).splitlines() or [""])[0].split(",")]
        return {"time", "uptime"} <= set(header) and any(name in TOTALS or name.startswith(RAIL) for name in header)

    @classmethod
    def read(cls, path: Path, options: LogOptions) -> Log:
        """The rails that are asked for, else the total."""
        return read(path, options)


def read(path: Path, options: LogOptions) -> Log:
    """The rails that are asked for, else the total.

    Args:
        path: The file.
        options: ``columns`` are rails such as ``Power TOT``; ``level`` is ``board`` where it is not given.

    Returns:
        The readings in W.

    Raises:
        UserError: The file has no powers of jetson-stats, or something else than a power is asked for.
    """
    table = read_table(path)
    times = table_times(table, options)
    names = options.columns or tuple(name for name in TOTALS if name in table.header)[:1]
    if not names:
        raise UserError(f"{path} is no log of jetson-stats with a total: no column {' or '.join(TOTALS)}; name rails: --column")
    for name in names:
        _check_power(table, name)
    columns = [Column(name, (name,), (MILLIWATTS,)) for name in names]
    level = options.level or "board"
    readings = tuple(column_readings(table, column, times, level, options, JtopCsv.name)[0] for column in columns)
    unused = tuple(f"column {name}" for name in table.header if _is_power(name) and name not in names)
    return Log(path, JtopCsv.name, readings, unused)


def _is_power(name: str) -> bool:
    return name in TOTALS or name.startswith(RAIL)


def _check_power(table: LogTable, name: str) -> None:
    powers = [column for column in table.header if _is_power(column)]
    if name not in table.header:
        raise UserError(f"{table.path} has no column {name}; powers are {', '.join(powers)}{did_you_mean(name, powers)}")
    if not _is_power(name):
        raise UserError(f"{table.path}: column {name} is no power of jetson-stats; powers are {', '.join(powers)}")
