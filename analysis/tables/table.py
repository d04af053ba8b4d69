"""A table: its rows as data, and how its columns are shown. The page, the CSV and LaTeX are made from the same."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import pandas as pd

NUMBER, TEXT, CODE = "number", "text", "code"
MISSING = "-"
TableRow: TypeAlias = dict[str, str | float | None]
"""A row of a table's data: its columns by their keys, null where nothing is known."""


@dataclass(frozen=True)
class Column:
    """A column that is shown.

    Attributes:
        key: The column of the data.
        title: Its heading.
        unit: Its unit; empty where it has none.
        kind: ``NUMBER``, ``TEXT`` or ``CODE``.
        digits: Significant digits of a number.
        interval: Whether the bounds that are in ``key_low`` and ``key_high`` stand beside it.
        print_interval: Whether on paper too, which is narrow.
    """

    key: str
    title: str
    unit: str = ""
    kind: str = TEXT
    digits: int = 3
    interval: bool = False
    print_interval: bool = False


@dataclass(frozen=True)
class Cell:
    """A value as it is shown, and its bounds where it has them."""

    text: str
    bounds: tuple[str, str] | None = None

    @property
    def interval(self) -> str:
        """The bounds in brackets; empty where there are none."""
        return "" if self.bounds is None else f"[{self.bounds[0]}, {self.bounds[1]}]"


@dataclass(frozen=True)
class Table:
    """A table of a study.

    Attributes:
        name: The name of its files.
        title: Its title.
        caption: n, interval, measured or modelled.
        columns: The columns that are shown.
        data: Its rows, with more than is shown.
    """

    name: str
    title: str
    caption: str
    columns: tuple[Column, ...]
    data: pd.DataFrame

    def rows(self, limit: int | None = None) -> list[list[Cell]]:
        """The cells of the rows.

        Args:
            limit: The most rows, the first ones; null: all.

        Returns:
            A list of cells for each row, in the order of the columns.
        """
        data = self.data if limit is None else self.data.head(limit)
        return [[_cell(row, column) for column in self.columns] for row in data.to_dict("records")]


def plain_table(name: str, title: str, data: pd.DataFrame) -> Table:
    """Any data as a table: its columns by their own names.

    Args:
        name: The name of its files.
        title: Its title.
        data: Its rows.

    Returns:
        The table, without a caption.
    """
    columns = tuple(
        Column(str(key), str(key), kind=NUMBER if pd.api.types.is_numeric_dtype(data[key]) else TEXT, digits=5) for key in data
    )
    return Table(name, title, "", columns, data)


def significant(value: Any, digits: int = 3) -> str:
    """A number with at least ``digits`` significant digits, whole numbers in full; powers of ten only where they are needed.

    Args:
        value: A number, or anything else, which becomes its text.
        digits: The least number of significant digits, from 1 on.

    Returns:
        The text; ``MISSING`` for null.
    """
    if is_missing(value):
        return MISSING
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, int) or value == 0 or math.isinf(value):
        return str(int(value)) if math.isfinite(value) else str(value)
    size = math.floor(math.log10(abs(float(f"{value:.{digits - 1}e}"))))
    if -4 <= size < 7:
        return f"{value:.{max(0, digits - 1 - size)}f}"
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def short(value: float) -> str:
    """A number in a sentence: three significant digits, without zeros at the end.

    Args:
        value: Any size and sign.

    Returns:
        The text, rounded to a whole number from 1000 on.
    """
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}" if abs(value) < 1e7 else f"{value:.2e}"


def is_missing(value: Any) -> bool:
    """Whether a value of a data frame is null.

    Args:
        value: A value of a data frame.

    Returns:
        True for None, NaN and ``pd.NA``.
    """
    return value is None or (isinstance(value, float) and math.isnan(value)) or value is pd.NA


def join(names: Sequence[str], last: str = "and") -> str:
    """Names as a list in a sentence: ``a, b and c``.

    Args:
        names: At least one.
        last: The word before the last name.

    Returns:
        The list.
    """
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {last} {names[-1]}"


def _cell(row: Mapping[Any, Any], column: Column) -> Cell:
    value = row[column.key]
    if is_missing(value):
        return Cell(MISSING)
    if column.kind != NUMBER:
        return Cell(str(value))
    low, high = (row.get(f"{column.key}_{side}") if column.interval else None for side in ("low", "high"))
    if is_missing(low) or is_missing(high):
        return Cell(significant(value, column.digits))
    return Cell(significant(value, column.digits), (significant(low, column.digits), significant(high, column.digits)))
