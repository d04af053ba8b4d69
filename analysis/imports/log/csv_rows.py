"""Header and rows of a CSV as meters and programs write them."""

from __future__ import annotations

import csv
from pathlib import Path

from bench.common.user_error import UserError


def read_rows(path: Path) -> tuple[list[str], list[list[str]]]:
    """Header and rows of a CSV with commas, semicolons or tabs.

    Lines that begin with # in front of the header are comments.

    Args:
        path: The file, in UTF-8.

    Returns:
        The names of the columns, and the cells of every row that is not empty, without spaces around them.

    Raises:
        UserError: The file cannot be read, is no text, has no rows, or has two columns of one name.
    """
    lines = _text_lines(path)
    while lines and (not lines[0].strip() or lines[0].startswith("#")):
        lines.pop(0)
    if not lines:
        raise UserError(f"{path} is empty; give the meter's log")
    delimiter = max(",;\t", key=lines[0].count)
    header, *rows = csv.reader(lines, delimiter=delimiter)
    header = [name.strip() for name in header]
    twice = next((name for name in header if header.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"{path} has two columns {twice!r}; name them apart")
    rows = [[cell.strip() for cell in row] for row in rows if row]
    if not rows:
        raise UserError(f"{path} has the columns {', '.join(header)} and no rows")
    return header, rows


def _text_lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); give the meter's log") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is not text; a power CSV is, and perun's HDF5 files need --format perun") from None
