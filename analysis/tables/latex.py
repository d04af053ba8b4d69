"""Tables for LaTeX: booktabs lines, numbers aligned by siunitx, everything else escaped.

A float is as wide as a page (``table*``) in 8 pt letters. What does not fit is wrapped, and what is too long becomes several
floats: letters are never made smaller.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence

from analysis.tables.table import CODE, MISSING, NUMBER, Cell, Column, Table

PREAMBLE = r"""% All tables of a study in one document: pdflatex all, bibtex all, pdflatex all, pdflatex all.
\documentclass{article}
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\usepackage[a4paper, textwidth=7.16in, hcentering, vmargin=0.8in]{geometry}
\usepackage{array}
\usepackage{booktabs}
\usepackage{siunitx}
"""
SPECIAL = {
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
    **{"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\textquotedbl{}", "`": r"\textasciigrave{}"},
    **{"\u00a0": "~", "×": r"$\times$", "µ": r"\textmu{}", "°": r"\textdegree{}", "±": r"$\pm$"},
    **{"≤": r"$\leq$", "≥": r"$\geq$", "→": r"$\rightarrow$", "\n": " ", "\t": " ", "\r": " "},
}
BREAK_AFTER = "/=_,:-."
LINES_OF_A_FLOAT = 48
PAGE_CM = 18.1
LETTER_CM = 0.15  # of 8 pt Computer Modern, on average
GAP_CM = 0.21
NARROWEST_CM = 1.2
Row = Sequence[Cell]


def escape(text: str) -> str:
    """Text as LaTeX prints it.

    Letters beyond those that its input encoding knows are written by their number; two hyphens stay two hyphens.

    Args:
        text: Plain text.

    Returns:
        LaTeX that prints it.
    """
    return re.sub(
        "-(?=-)", "-{}", "".join(SPECIAL.get(letter, letter if _is_known(letter) else _code_point(letter)) for letter in text)
    )


def _is_known(letter: str) -> bool:
    return 0x20 <= ord(letter) < 0x7F or 0xA0 < ord(letter) < 0x180


def _code_point(letter: str) -> str:
    return f"U+{ord(letter):04X}"


def code(text: str) -> str:
    """Text in typewriter letters that may be broken after punctuation.

    Args:
        text: Plain text.

    Returns:
        LaTeX that prints it.
    """
    parts = (f"{escape(letter)}{{}}" if letter == "-" else escape(letter) for letter in text)
    joined = (part + (r"\allowbreak{}" if letter in BREAK_AFTER else "") for part, letter in zip(parts, text, strict=True))
    return rf"\texttt{{{''.join(joined)}}}"


def number(text: str) -> str:
    """A number in a text, by siunitx.

    Args:
        text: The digits, with sign and exponent as siunitx reads them.

    Returns:
        LaTeX that prints it.
    """
    return rf"\num{{{text}}}"


def label(name: str) -> str:
    """The label of the table of this name.

    Args:
        name: The name of the table.

    Returns:
        ``tab:`` and the name in lower-case letters, digits and hyphens.
    """
    return "tab:" + re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-").lower()


def floats(table: Table) -> str:
    """The table as one or more ``table*`` environments.

    Args:
        table: The table with its caption and columns.

    Returns:
        LaTeX; a table that is too long for a page is in several environments.
    """
    rows = table.rows()
    split = [_splits(column, [row[place].bounds for row in rows]) for place, column in enumerate(table.columns)]
    widths = _widths(table.columns, rows, split)
    pieces = list(_pieces(rows, widths)) or [[]]
    return "\n".join(_float(table, piece, split, widths, part, len(pieces)) for part, piece in enumerate(pieces, 1))


def _pieces(rows: Sequence[Row], widths: Sequence[float | None]) -> Iterator[list[Row]]:
    """Rows that fit on a page together."""
    piece: list[Row] = []
    lines = 0
    for row in rows:
        wrapped = (LETTER_CM * len(cell.text) / width for cell, width in zip(row, widths, strict=True) if width is not None)
        high = math.ceil(max(wrapped, default=1))
        if piece and lines + high > LINES_OF_A_FLOAT:
            yield piece
            piece, lines = [], 0
        piece.append(row)
        lines += high
    if piece:
        yield piece


def document(names: Sequence[str], bibliography: str, entry: str) -> str:
    """A whole document with the tables, and a bibliography with one entry.

    Args:
        names: Names of the tables' files, without ``.tex``.
        bibliography: Name of the bibliography's file, without ``.bib``.
        entry: The entry that is cited.

    Returns:
        The LaTeX source.
    """
    inputs = "\n".join(rf"\input{{{name}}}\clearpage" for name in names)
    return (
        f"{PREAMBLE}\\begin{{document}}\n{inputs}\n\\nocite{{{entry}}}\n\\bibliographystyle{{plain}}\n"
        f"\\bibliography{{{bibliography}}}\n\\end{{document}}\n"
    )


def _float(
    table: Table, rows: Sequence[Row], split: Sequence[bool], widths: Sequence[float | None], part: int, parts: int
) -> str:
    caption = escape(f"{table.title}{f' ({part} of {parts})' if parts > 1 else ''}. {table.caption}".strip())
    body = [_line(table.columns, row, split) for row in rows] or [_nothing(split)]
    return "\n".join(
        [
            r"\begin{table*}[tp]",
            r"  \centering\footnotesize\setlength{\tabcolsep}{3pt}",
            rf"  \caption{{{caption}}}",
            rf"  \label{{{label(table.name if part == 1 else f'{table.name}-{part}')}}}",
            rf"  \begin{{tabular}}{{{_specification(table.columns, table.rows(), split, widths)}}}",
            r"    \toprule",
            *(f"    {line} \\\\" for line in _header(table.columns, split)),
            r"    \midrule",
            *(f"    {line} \\\\" for line in body),
            r"    \bottomrule",
            r"  \end{tabular}",
            r"\end{table*}",
            "",
        ]
    )


def _splits(column: Column, bounds: Sequence[tuple[str, str] | None]) -> bool:
    """Whether a column becomes two: its value and its interval."""
    return column.print_interval and any(interval is not None for interval in bounds)


def _header(columns: Sequence[Column], split: Sequence[bool]) -> list[str]:
    """Titles, and below them units."""
    lines = []
    for texts in ([column.title for column in columns], [f"({column.unit})" if column.unit else "" for column in columns]):
        if any(texts):
            cells = (
                rf"\multicolumn{{2}}{{c}}{{{escape(text)}}}" if two else f"{{{escape(text)}}}"
                for text, two in zip(texts, split, strict=True)
            )
            lines.append(" & ".join(cells))
    return lines


def _line(columns: Sequence[Column], row: Row, split: Sequence[bool]) -> str:
    cells: list[str] = []
    for column, cell, two in zip(columns, row, split, strict=True):
        if column.kind == NUMBER:
            cells.append(f"{{{escape(cell.text)}}}" if _no_number(cell.text) else cell.text)
        else:
            cells.append(code(cell.text) if column.kind == CODE and cell.text != MISSING else escape(cell.text))
        if two:
            cells.append("" if cell.bounds is None else f"[{number(cell.bounds[0])}, {number(cell.bounds[1])}]")
    # A line that begins with a bracket would be read as an argument of the one above it.
    return ("{}" if cells[0].startswith(("[", "*")) else "") + " & ".join(cells)


def _nothing(split: Sequence[bool]) -> str:
    return rf"\multicolumn{{{len(split)}}}{{l}}{{none}}"


def _specification(
    columns: Sequence[Column], rows: Sequence[Row], split: Sequence[bool], widths: Sequence[float | None]
) -> str:
    """Numbers aligned at their point, texts on one line, or wrapped."""
    formats = []
    for place, (column, two, width) in enumerate(zip(columns, split, widths, strict=True)):
        if column.kind == NUMBER:
            formats.append(number_format([row[place].text for row in rows]) + (" l" if two else ""))
        else:
            formats.append("l" if width is None else rf">{{\raggedright\arraybackslash}}p{{{width:.2f}cm}}")
    return " ".join(formats)


def _widths(columns: Sequence[Column], rows: Sequence[Row], split: Sequence[bool]) -> list[float | None]:
    """For each column the width at which it is wrapped, None for those that are not.

    Only where the page is too narrow, and then the longest.
    """
    natural = []
    for place, (column, two) in enumerate(zip(columns, split, strict=True)):
        unit = f"({column.unit})" if column.unit else ""
        letters = max(len(text) for text in (column.title, unit, *(row[place].text for row in rows)))
        letters += max(len(row[place].interval) for row in rows) if two else 0
        natural.append(LETTER_CM * letters)
    text = [width for width, column in zip(natural, columns, strict=True) if column.kind != NUMBER]
    room = PAGE_CM - GAP_CM * (len(columns) + sum(split)) - (sum(natural) - sum(text))
    widest = _widest(text, room)
    return [
        widest if column.kind != NUMBER and width > widest else None for column, width in zip(columns, natural, strict=True)
    ]


def _widest(widths: Sequence[float], room: float) -> float:
    """The width at which the columns beyond it are wrapped, so that all together fill the room."""
    for count, width in enumerate(ordered := sorted(widths)):
        share = (room - sum(ordered[:count])) / (len(ordered) - count)
        if width > share:
            return max(share, NARROWEST_CM)
    return max(ordered, default=room)


def number_format(cells: Sequence[str]) -> str:
    """The ``S`` column of these numbers: their places before and after the point, and those of their exponents.

    Args:
        cells: The cells as text; those that are not numbers are passed over.

    Returns:
        The column's type, as the preamble of ``tabular`` takes it.
    """
    parts = [re.fullmatch(r"(-?)(\d+)(?:\.(\d+))?(?:e([+-]?)0*(\d+))?", cell) for cell in cells]
    numbers = [part for part in parts if part is not None]
    if not numbers:
        return "S[table-format=1.0]"
    sign = "-" if any(part[1] for part in numbers) else ""
    whole, after = max(len(part[2]) for part in numbers), max(len(part[3] or "") for part in numbers)
    power = max(len(part[5] or "") for part in numbers)
    exponent = f"e{'-' if any(part[4] == '-' for part in numbers) else ''}{power}" if power else ""
    return f"S[table-format={sign}{whole}.{after}{exponent}]"


def _no_number(text: str) -> bool:
    return re.fullmatch(r"-?\d+(\.\d+)?(e[+-]?\d+)?", text) is None
