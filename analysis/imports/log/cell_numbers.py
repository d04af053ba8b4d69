"""Numbers as logs print them: with a decimal point or comma, digits in groups, and a unit behind.

A comma with three digits behind it may be either; then the other cells decide, and where they do not, nobody guesses.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from analysis.imports.log.log_units import Unit, unit_of
from bench.common.user_error import UserError

CELL = re.compile(r"([-+\u2212]?(?:\d[\d.,'\u2019\u00a0\u202f ]*|[.,]\d+)(?:[eE][-+]?\d{1,3})?)\s*([^\d\s].*)?", re.ASCII)
GROUPS = "'\u2019\u00a0\u202f "
"""Signs that only ever stand between groups of three digits."""
NOTHING = ("", "-", "--", "n/a", "na", "nan", "null", "none", "[n/a]", "[not supported]", "unavailable", "unknown")
"""Cells that say that there was no reading, in small letters; ``nan`` is one only where it is not asked for as a number."""
PLAIN = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,3})?", re.ASCII)
COMMA_IS_DECIMAL = re.compile(r"[-+]?(0,\d+|\d*,(\d{1,2}|\d{4,})|\d{4,},\d+|\d{1,3}(\.\d{3})+,\d+)([eE][-+]?\d+)?")
POINT_IS_DECIMAL = re.compile(r"[-+]?(0\.\d+|\d*\.(\d{1,2}|\d{4,})|\d{4,}\.\d+|\d{1,3}(,\d{3})+\.\d+)([eE][-+]?\d+)?")
MOST_CHARACTERS = 60
MOST = Decimal(10) ** 30
"""Beyond that a number is none of any meter, and no power of ten of it should be computed."""


@dataclass(frozen=True)
class Numbers:
    """The numbers of a column's cells.

    Attributes:
        values: In the unit of the column, or in that of each cell: watts, joules, volts or amps.
        last_digit: The value of the last printed digit, in the same unit: the finest of all cells with the same unit, the
            coarsest of these.
    """

    values: NDArray[np.float64]
    last_digit: float


def cell_parts(text: str) -> tuple[str, str] | None:
    """A cell's number and what stands behind it.

    Args:
        text: The cell.

    Returns:
        Both as text, the second empty where there is nothing; None where the cell does not begin with a number.
    """
    match = CELL.fullmatch(text.strip()) if len(text) <= MOST_CHARACTERS else None
    return None if match is None else (match.group(1).strip().replace("\u2212", "-"), (match.group(2) or "").strip())


def decimal_mark(texts: Iterable[str]) -> str | None:
    """The decimal mark of some cells.

    Args:
        texts: Cells with numbers and others.

    Returns:
        ``,`` or ``.``, where a cell shows it; both joined where some show the one and some the other; None where none does.
    """
    marks = set()
    for text in texts:
        parts = cell_parts(text)
        if parts is not None:
            number = "".join(sign for sign in parts[0] if sign not in GROUPS)
            marks |= {","} if COMMA_IS_DECIMAL.fullmatch(number) else set()
            marks |= {"."} if POINT_IS_DECIMAL.fullmatch(number) else set()
    return "".join(sorted(marks)) or None


def plain_number(text: str, mark: str | None) -> str | None:
    """A number without groups and with a decimal point.

    Args:
        text: As printed.
        mark: The decimal mark of the column; None where nothing shows it.

    Returns:
        The number as Python reads it; None where it cannot be one, or may be two.
    """
    if PLAIN.fullmatch(text) and mark != ",":
        return text
    sign, digits = (text[0], text[1:]) if text[:1] in "+-" else ("", text)
    mantissa, exponent, power = re.fullmatch(r"([^eE]*)([eE]?)(.*)", digits).groups()  # type: ignore[union-attr]
    whole, fraction = mantissa, ""
    if mark is not None:
        whole, _, fraction = mantissa.partition(mark)
    elif "," in mantissa or re.search(rf"[{GROUPS}].*\.\d{{3}}(?!\d)", mantissa):
        return None
    elif "." in mantissa:
        whole, _, fraction = mantissa.partition(".")
    group = next((sign for sign in whole if not sign.isdigit()), None)
    if group is not None and not re.fullmatch(rf"\d{{1,3}}({re.escape(group)}\d{{3}})+", whole):
        return None
    whole = whole.replace(group, "") if group else whole
    if (fraction and not fraction.isdigit()) or not (whole or fraction):
        return None
    return f"{sign}{whole or '0'}{'.' if fraction else ''}{fraction}{exponent}{power}"


def column_numbers(where: str, cells: Mapping[int, str], unit: Unit | None, mark: str | None, *, stated: bool) -> Numbers:
    """The values of a column in SI units.

    Args:
        where: The file and column, for messages.
        cells: Those that are not empty, by their row.
        unit: Of the column; None where its cells have it.
        mark: The decimal mark; None where nothing shows it.
        stated: Whether ``unit`` is the user's word, which the cells must then not contradict.

    Returns:
        The values, and how fine they are printed.

    Raises:
        UserError: A cell is no number, may be two numbers, or has another unit; its row is named.
    """
    values: list[float] = []
    finest: dict[float, int] = {}
    for row, text in cells.items():
        parts = cell_parts(text)
        number = None if parts is None else plain_number(parts[0], mark)
        if parts is None or number is None:
            raise UserError(f"{where}: row {row} has {_short(text)}, {_why(text, parts, mark)}")
        factor = _factor(where, row, text, parts[1], unit, stated)
        value = Decimal(number)
        if abs(value) > MOST:
            raise UserError(f"{where}: row {row} has {_short(text)}, which no meter reads; take it out")
        values.append(float(value) * factor)
        finest[factor] = min(finest.get(factor, 99), int(value.as_tuple().exponent))
    last_digit = max((10.0**power * factor for factor, power in finest.items()), default=0.0)
    return Numbers(np.array(values, dtype=np.float64), last_digit)


def _factor(where: str, row: int, text: str, behind: str, unit: Unit | None, stated: bool) -> float:
    """What makes SI of a cell: its own unit counts, where it has one."""
    if not behind:
        if unit is None:
            raise UserError(f"{where}: row {row} has {_short(text)} without a unit, and other rows have one; give it one too")
        return unit.factor
    cell_unit = unit_of(behind)
    if cell_unit is None or (unit is not None and cell_unit.quantity != unit.quantity):
        wanted = "no unit of power or energy" if unit is None else f"not {unit.symbol}"
        raise UserError(f"{where}: row {row} has {_short(text)}, which is {wanted}; leave cells without a reading empty")
    if unit is not None and cell_unit.factor != unit.factor:
        word = "--unit says" if stated else "the column's name says"
        raise UserError(f"{where}: row {row} has {_short(text)}, and {word} {unit.symbol}; one of them is wrong")
    return cell_unit.factor


def _short(text: str) -> str:
    return repr(text if len(text) <= MOST_CHARACTERS else text[:MOST_CHARACTERS] + "...")


def _why(text: str, parts: tuple[str, str] | None, mark: str | None) -> str:
    if parts is None:
        return "which is no number; leave cells without a reading empty"
    if mark is None and "," in parts[0]:
        return "whose comma may be a decimal mark or may group digits; give --decimal , or --decimal ."
    if mark == ",.":
        return "and other rows have the other decimal mark; write all cells alike"
    if mark is None:
        return "whose marks may be decimal or may group digits; give --decimal , or --decimal ."
    return f"which is no number with {mark!r} as its decimal mark; write all cells alike, or give --decimal"
