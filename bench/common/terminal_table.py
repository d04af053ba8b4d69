"""Tables for the command lines: drawn on a terminal, plain aligned text in a file or a pipe."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TextIO

from rich.console import Console
from rich.table import Table

PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "u"), (1e-9, "n"))


def si(value: float | None, unit: str, digits: int = 3) -> str:
    """A quantity with an SI prefix, such as ``61 uJ``.

    Args:
        value: The number; None: not known.
        unit: The unit without prefix.
        digits: Significant digits.

    Returns:
        The text; a dash for None.
    """
    if value is None:
        return "-"
    factor, prefix = next(((f, p) for f, p in PREFIXES if abs(value) >= f * (1 - 1e-9)), PREFIXES[-1])
    return f"0 {unit}" if value == 0 else f"{value / factor:.{digits}g} {prefix}{unit}"


def show(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], out: TextIO | None = None) -> None:
    """Print a table: drawn on a terminal, else as ``plain`` has it.

    Args:
        title: The line above.
        columns: Names of the columns; one that begins with ``>`` is aligned to the right.
        rows: A cell for each column.
        out: Where to; None: standard output.
    """
    out = out or sys.stdout
    if out.isatty():
        table = Table(title=title, title_justify="left")
        for name in columns:
            table.add_column(name.lstrip(">"), justify="right" if name.startswith(">") else "left")
        for row in rows:
            table.add_row(*row)
        Console(file=out, highlight=False, markup=False).print(table)
        return
    print(plain(title, columns, rows), file=out)


def show_links(title: str, links: Iterable[tuple[str, str, float, float, float]]) -> None:
    """Print links, a row for each direction.

    Args:
        title: The line above.
        links: From, to, bit/s there, bit/s back and seconds one way of each.
    """
    rows = [
        [one, other, si(rate, "bit/s"), si(latency_s, "s")]
        for low, high, there, back, latency_s in links
        for one, other, rate in ((low, high, there), (high, low, back))
    ]
    show(title, ("from", "to", ">rate", ">latency"), rows)


def plain(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table as text: two spaces between columns, no spaces at the end of a line.

    Args:
        title: The line above.
        columns: Names of the columns; one that begins with ``>`` is aligned to the right.
        rows: A cell for each column.

    Returns:
        The lines, without a last line break.
    """
    names = [name.lstrip(">") for name in columns]
    widths = [max(len(cell) for cell in column) for column in zip(names, *rows, strict=True)]
    right = [name.startswith(">") for name in columns]
    lines = [
        "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in [names, *rows]
    ]
    return "\n".join([title, *(f"  {line}" for line in lines)])
