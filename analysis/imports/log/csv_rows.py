"""Header and rows of a CSV as meters and programs write them."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path

from analysis.imports.log.cell_numbers import cell_parts
from analysis.imports.log.log_text import log_text
from analysis.imports.log.log_units import FOREIGN, unit_of
from bench.common.user_error import UserError

DELIMITERS = ",;\t|"
SEPARATOR_LINE = re.compile(r"sep=(.)\s*$")
"""The first line that spreadsheets write or need, which names the delimiter."""
LINE_END = re.compile(r"\s*[\r\n]+\s*")
"""Inside a quoted cell; messages are one line."""
DIGIT = re.compile(r"\d")
TIME_SYMBOLS = ("s", "ms", "us", "ns")


@dataclass(frozen=True)
class LogTable:
    """A CSV whose rows have a cell for each column.

    Attributes:
        path: The file, for messages.
        header: The names of the columns.
        rows: The cells of each row.
        units: The cells of a row of units below the names; empty where there is none.
    """

    path: Path
    header: list[str]
    rows: list[list[str]]
    units: tuple[str, ...] = ()

    @property
    def first_row(self) -> int:
        """The number of the first row for messages; the names are row 1."""
        return 3 if self.units else 2

    def unit_below(self, name: str) -> str:
        """A column's cell in the row of units.

        Args:
            name: The column's.

        Returns:
            The cell without brackets; empty where there is no such row.
        """
        return self.units[self.header.index(name)].strip("()[] ") if self.units else ""

    def filled(self, index: int) -> dict[int, str]:
        """A column's cells that are not empty.

        Args:
            index: The column's.

        Returns:
            The cells by the number of their row.
        """
        return {number: row[index] for number, row in enumerate(self.rows, self.first_row) if row[index]}


def read_table(path: Path) -> LogTable:
    """A CSV as a table.

    Args:
        path: The file.

    Returns:
        Its columns and rows.

    Raises:
        UserError: As ``read_rows``, or a row has more or fewer cells than there are names.
    """
    header, rows = read_rows(path)
    wrong = next((number for number, row in enumerate(rows, 2) if len(row) != len(header)), None)
    if wrong is not None:
        raise UserError(
            f"{path}: row {wrong} has {len(rows[wrong - 2])} cells, the header {len(header)}; complete it or take it out"
        )
    units = _units(rows[0])
    if units and len(rows) == 1:
        raise UserError(f"{path} has the columns {', '.join(header)}, their units, and no rows")
    return LogTable(path, header, rows[1:] if units else rows, units)


def _units(first: list[str]) -> tuple[str, ...]:
    """The first row below the names, where it has units: no digit anywhere, and a unit somewhere."""
    symbols = [cell.strip("()[] ") for cell in first]
    known = any(unit_of(text) or text.lower() in FOREIGN or text in TIME_SYMBOLS for text in symbols if text)
    return tuple(first) if known and not any(DIGIT.search(cell) for cell in first) else ()


def read_rows(path: Path) -> tuple[list[str], list[list[str]]]:
    """Header and rows of a CSV with commas, semicolons, tabs or bars.

    Lines that begin with # in front of the header are comments; the last of them is the header where the first other line has
    numbers only. Empty columns behind the last one are left out.

    Args:
        path: The file (``log_text``).

    Returns:
        The names of the columns, and the cells of every row that is not empty, without spaces around them.

    Raises:
        UserError: The file cannot be read, is no text, has no rows, or has two columns of one name.
    """
    lines = io.StringIO(log_text(path).replace("\r\n", "\n").replace("\r", "\n")).readlines()
    delimiter: str | None = None
    comment = ""
    while lines and (not lines[0].strip() or lines[0].startswith("#") or SEPARATOR_LINE.match(lines[0])):
        line = lines.pop(0)
        separator = SEPARATOR_LINE.match(line)
        delimiter = separator.group(1) if separator else delimiter
        comment = line[1:].strip() if line.startswith("#") else comment
    if not lines:
        raise UserError(f"{path} is empty; give the meter's log")
    if delimiter is None or delimiter not in DELIMITERS:
        delimiter = max(DELIMITERS, key=lines[0].count)
    header, rows = _cells(path, lines, delimiter)
    if comment and all(cell_parts(cell) for cell in header) and len(comment.split(delimiter)) == len(header):
        header, rows = [name.strip() for name in comment.split(delimiter)], [header, *rows]
    rows = [row for row in rows if row != header]  # loggers that were started again, or that end with their names
    header, rows = _without_empty_end(header, rows)
    twice = next((name for name in header if header.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"{path} has two columns {twice!r}; name them apart")
    if not rows:
        raise UserError(f"{path} has the columns {', '.join(header)} and no rows")
    return header, rows


def _cells(path: Path, lines: list[str], delimiter: str) -> tuple[list[str], list[list[str]]]:
    try:
        header, *rows = [
            [LINE_END.sub(" ", cell).strip() for cell in row] for row in csv.reader(lines, delimiter=delimiter) if row
        ]
    except (csv.Error, ValueError) as error:
        raise UserError(f"{path} is no CSV ({error}); give the meter's log") from None
    return header, rows


def _without_empty_end(header: list[str], rows: list[list[str]]) -> tuple[list[str], list[list[str]]]:
    """Without what a delimiter at the end of each line makes: a column without a name and without a value."""
    while header and not header[-1] and all(len(row) < len(header) or not row[len(header) - 1] for row in rows):
        header = header[:-1]
    return header, [row[: len(header)] if not any(row[len(header) :]) else row for row in rows]
