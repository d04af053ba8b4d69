"""The log of a foreign meter: raw readings over civil time, before they meet any run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone, tzinfo
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from analysis.imports.log.log_units import Unit
from bench.common.user_error import UserError
from bench.joules.channel import Channel, Kind, Level

LEVELS: tuple[str, ...] = get_args(Level)
KINDS: tuple[str, ...] = get_args(Kind)
SCALE = 1e-6
"""Readings are kept as integers of microwatts and microjoules."""
MOST = 9e12
"""Watts or joules (2.5 GWh): what 64 bits of ``SCALE`` hold."""
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class LogOptions:
    """Facts about a log that the user gives, where the log itself does not."""

    zone: tzinfo | None = None
    start_ns: int | None = None
    """Civil time (ns since 1970, UTC) of second 0, for times that count from there."""
    time_column: str | None = None
    columns: tuple[str, ...] = ()
    """The columns, nodes or projects to read; empty: those whose names say that they are powers."""
    level: Level | None = None
    accuracy: float | None = None
    """Relative, a standard uncertainty."""
    kind: Kind | None = None
    unit: Unit | None = None
    """Of columns whose names and cells say none."""
    column_units: Mapping[str, Unit] = field(default_factory=dict)
    """Of single columns, by their names."""
    decimal: str | None = None
    """The decimal mark, where the numbers leave it open."""


@dataclass(frozen=True)
class Readings:
    """One stretch of readings of one meter."""

    name: str
    """Of the column, node or project in the file."""
    source: str
    """The name of the log's format."""
    kind: Kind
    channels: tuple[Channel, ...]
    t_ns: IntArray
    """Of every reading, UTC in ns since 1970."""
    known_ns: int
    """Times are known to +- so many nanoseconds."""
    raw: IntArray
    """``[readings, channels]``, integers that ``channels`` scale."""
    blanks: int = 0
    """Times without a value."""
    left_out: tuple[dict[str, str], ...] = ()
    not_measured: tuple[str, ...] = ()

    @property
    def period_s(self) -> float:
        """The usual time between two readings."""
        return usual_period_s(self.t_ns)


@dataclass(frozen=True)
class Log:
    """All readings of a file.

    ``source`` is the name of its format, ``unused`` are parts that were not asked for, in words; ``notes`` are what a reader
    should know.
    """

    path: Path
    source: str
    readings: tuple[Readings, ...]
    unused: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """The columns, nodes or projects that were read."""
        return list(dict.fromkeys(stretch.name for stretch in self.readings))

    @property
    def span_ns(self) -> tuple[int, int]:
        """The first and the last reading, UTC in ns since 1970."""
        first = min(int(stretch.t_ns[0]) for stretch in self.readings)
        return first, max(int(stretch.t_ns[-1]) for stretch in self.readings)


def usual_period_s(t_ns: IntArray) -> float:
    """The median time between two readings.

    Args:
        t_ns: Rising times, ns; at least two.

    Returns:
        Seconds.
    """
    return float(np.median(np.diff(t_ns))) / 1e9


def check_order(where: str, t_ns: IntArray, first_row: int = 2) -> None:
    """Refuse times that do not rise, and fewer than two of them.

    Args:
        where: The file and column, for the message.
        t_ns: Times in ns.
        first_row: The number of the first row; the first below a header is row 2.

    Raises:
        UserError: A time is not after the one before (the row is named), or there are fewer than two.
    """
    if len(t_ns) < 2:
        raise UserError(f"{where} has {len(t_ns)} reading(s); energy needs two at least")
    wrong = np.flatnonzero(np.diff(t_ns) <= 0)
    if len(wrong):
        row = int(wrong[0]) + 1
        raise UserError(
            f"{where}: row {row + first_row} has the time {civil(int(t_ns[row]))}, which is not after the row before; sort the "
            "rows and take repeated ones out"
        )


def check_values(where: str, values: NDArray[np.float64], rows: Sequence[int], unit: str = "W") -> None:
    """Refuse powers or counters that are negative, no numbers, or more than 64 bits of ``SCALE`` hold.

    Args:
        where: The file and column, for the message.
        values: In ``unit``.
        rows: The row of each value in the file.
        unit: For the message.

    Raises:
        UserError: A value is none that a meter reads; its row is named.
    """
    wrong = np.flatnonzero(~np.isfinite(values) | (values < 0))
    if len(wrong):
        row, value = rows[int(wrong[0])], float(values[wrong[0]])
        raise UserError(f"{where}: row {row} has {value:g} {unit}; it must be a number and not negative")
    wrong = np.flatnonzero(values > MOST)
    if len(wrong):
        row, value = rows[int(wrong[0])], float(values[wrong[0]])
        raise UserError(f"{where}: row {row} has {value:g} {unit}, which no meter reads; is the unit right?")


def civil(t_ns: int) -> str:
    """A time as messages show it.

    Args:
        t_ns: ns since 1970.

    Returns:
        ``2026-03-01 12:00:00.2 UTC``.
    """
    return datetime.fromtimestamp(t_ns / 1e9, timezone.utc).strftime("%Y-%m-%d %H:%M:%S.%f")[:-5] + " UTC"


def span_text(first_ns: int, last_ns: int) -> str:
    """From one time to another, as messages show it.

    Args:
        first_ns: ns since 1970.
        last_ns: ns since 1970.

    Returns:
        Both in UTC, with "to" between them.
    """
    return f"{civil(first_ns)} to {civil(last_ns)}"
