"""What a foreign meter logged: raw readings over civil time, before they meet any run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone, tzinfo
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from bench.common.user_error import UserError
from bench.joules.channel import Channel, Kind, Level

Format = Literal["perun", "codecarbon", "csv"]
FORMATS: tuple[str, ...] = get_args(Format)
LEVELS: tuple[str, ...] = get_args(Level)
KINDS: tuple[str, ...] = get_args(Kind)
SCALE = 1e-6
"""Readings are kept as integers of microwatts and microjoules."""
Whole = NDArray[np.int64]


@dataclass(frozen=True)
class Asked:
    """What the user says about a log, where the log itself does not."""

    zone: tzinfo | None = None
    start_ns: int | None = None
    """Civil time (ns since 1970, UTC) of second 0, for times that count from there."""
    time_column: str | None = None
    columns: tuple[str, ...] = ()
    level: Level | None = None
    accuracy: float | None = None
    """Relative, a standard uncertainty."""
    kind: Kind | None = None


@dataclass(frozen=True)
class Readings:
    """One stretch of readings of one meter.

    ``name`` is that of the column, node or project in the file, ``t_ns`` UTC in ns since 1970 and known to +-``known_ns``,
    ``raw`` [readings, channels] in integers that ``channels`` scale. ``blanks`` counts times without a value.
    """

    name: str
    source: Format
    kind: Kind
    channels: tuple[Channel, ...]
    t_ns: Whole
    known_ns: int
    raw: Whole
    blanks: int = 0
    left_out: tuple[dict[str, str], ...] = ()
    not_measured: tuple[str, ...] = ()

    @property
    def period_s(self) -> float:
        """The usual time between two readings."""
        return usual_s(self.t_ns)


@dataclass(frozen=True)
class Log:
    """All readings of a file; ``unused`` are its columns that were not asked for, in words."""

    path: Path
    source: Format
    readings: tuple[Readings, ...]
    unused: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        return list(dict.fromkeys(found.name for found in self.readings))

    @property
    def span_ns(self) -> tuple[int, int]:
        return min(int(found.t_ns[0]) for found in self.readings), max(int(found.t_ns[-1]) for found in self.readings)


def usual_s(t_ns: Whole) -> float:
    return float(np.median(np.diff(t_ns))) / 1e9


def check_order(where: str, t_ns: Whole, first_row: int = 2) -> None:
    """Raise UserError, naming the row, where a time is not after the one before, and where there are fewer than two.

    The first row below a header is row 2.
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
    """Raise UserError, naming the row, for powers or counters that are negative or no numbers."""
    wrong = np.flatnonzero(~np.isfinite(values) | (values < 0))
    if len(wrong):
        row, value = rows[int(wrong[0])], float(values[wrong[0]])
        raise UserError(f"{where}: row {row} has {value:g} {unit}; it must be a number and not negative")


def civil(t_ns: int) -> str:
    """A time as messages show it."""
    return datetime.fromtimestamp(t_ns / 1e9, timezone.utc).strftime("%Y-%m-%d %H:%M:%S.%f")[:-5] + " UTC"


def between(first_ns: int, last_ns: int) -> str:
    return f"{civil(first_ns)} to {civil(last_ns)}"
