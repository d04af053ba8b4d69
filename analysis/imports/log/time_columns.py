"""Which column of a table has the times, or which two: a day and a time of day."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timezone
from pathlib import Path

from analysis.imports.log import civil_times
from analysis.imports.log.csv_rows import LogTable
from analysis.imports.log.meter_log import IntArray, LogOptions, check_order
from analysis.imports.log.written_times import is_date, is_time_of_day
from bench.common.user_error import UserError
from strategies.common.registry import did_you_mean

TIME_NAMES = (
    *("time", "timestamp", "datetime", "date", "t", "epoch", "unix", "seconds", "utc", "elapsed", "ts"),
    *("zeit", "datum", "uhrzeit", "zeitstempel", "datum/zeit", "date/time", "last_changed", "_time"),
)
TIME_UNITS = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 9),
    **dict.fromkeys(("ms", "msec", "millis", "millisecond", "milliseconds"), 6),
    **dict.fromkeys(("us", "µs", "μs", "usec", "micros", "microsecond", "microseconds"), 3),
    **dict.fromkeys(("ns", "nsec", "nanos", "nanosecond", "nanoseconds"), 0),
}
"""The power of ten that makes nanoseconds of a time in this unit."""
TIME_WORDS = ("time", "timestamp", "epoch", "unix", "elapsed", "datetime", "date", "t", "ts")
PARTS = re.compile(r"[\s_.\-/(\[]+")
END = ")] "
UTC_NAME = re.compile(r"(?<![a-z])(utc|gmt)(?![a-z])", re.IGNORECASE)
"""In the name of a column of times: ``Datetime (UTC)``."""


@dataclass(frozen=True)
class Times:
    """The times of a table's rows: the indices of their columns, UTC in ns since 1970, and how well they are known in ns."""

    columns: tuple[int, ...]
    t_ns: IntArray
    known_ns: int


def table_times(table: LogTable, options: LogOptions, *, rising: bool = True) -> Times:
    """The times of all rows.

    Args:
        table: The table.
        options: ``time_column``, ``start_ns``, and ``zone``, which is UTC where the column's name says so.
        rising: Whether each row must be after the one before.

    Returns:
        The times with the columns that have them.

    Raises:
        UserError: No column has times, they have no one meaning, or a row is not after the one before.
    """
    path, header, rows = table.path, table.header, table.rows
    columns = _time_columns(path, header, rows[0], options.time_column)
    where = f"{path}, column {' and '.join(header[index] for index in columns)}"
    texts = [" ".join(row[index] for index in columns) for row in rows]
    empty = next((number for number, text in enumerate(texts, table.first_row) if not text.strip()), None)
    if empty is not None:
        raise UserError(f"{where}: row {empty} has no time; complete it or take it out")
    power = name_power(header[columns[0]]) if len(columns) == 1 else None
    zone = options.zone
    if zone is None and any(UTC_NAME.search(header[index]) for index in columns):
        zone = timezone.utc
    t_ns, known_ns = civil_times.column_ns(where, texts, zone, options.start_ns, power)
    if rising:
        check_order(where, t_ns, table.first_row)
    return Times(columns, t_ns, known_ns)


def name_power(name: str) -> int | None:
    """The unit that a name of a time column has.

    Args:
        name: Such as ``time_ms`` or ``Time [s]``.

    Returns:
        The power of ten that makes nanoseconds of it; None where the name has no unit.
    """
    parts = [part.strip(END) for part in PARTS.split(name.strip().lower()) if part.strip(END)]
    return TIME_UNITS.get(parts[-1]) if len(parts) > 1 or parts[-1:] in (["ms"], ["us"], ["ns"]) else None


def _time_columns(path: Path, header: Sequence[str], first: Sequence[str], chosen: str | None) -> tuple[int, ...]:
    """The columns that the user has ``chosen``, else the first whose name says that it has times, with its other half."""
    if chosen is not None:
        names = [chosen] if chosen in header else chosen.split("+")
        missing = next((name for name in names if name not in header), None)
        if missing is not None:
            raise UserError(f"{path} has no column {missing}; columns are {', '.join(header)}{did_you_mean(missing, header)}")
        return tuple(header.index(name) for name in names)
    named = [index for index, name in enumerate(header) if _says_time(name)]
    if not named:
        raise UserError(
            f"{path} has no column of times that is called so; columns are {', '.join(header)}; give --time-column NAME"
        )
    days = [index for index in named if is_date(first[index])]
    hours = [index for index in named if is_time_of_day(first[index])]
    if days and hours:
        return days[0], hours[0]
    others = [index for index in named if index not in (*days, *hours)]
    if others:
        return (others[0],)
    half, has = (days[0], "days") if days else (hours[0], "times of a day")
    raise UserError(
        f"{path}, column {header[half]} has {has} only, such as {first[half]}; give both columns: --time-column 'DATE+TIME'"
    )


def _says_time(name: str) -> bool:
    bare = re.sub(r"\s*[(\[].*$", "", name).strip().lower()
    if bare in TIME_NAMES or "timestamp" in bare:
        return True
    parts = [part.strip(END) for part in PARTS.split(bare) if part.strip(END)]
    return (
        bool(parts)
        and parts[0] in TIME_WORDS
        and all(part in (*TIME_WORDS, *TIME_UNITS, "utc", "local", "of", "day") for part in parts)
    )
