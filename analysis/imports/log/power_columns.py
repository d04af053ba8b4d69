"""Which columns of a table are powers or energies, and in which unit; everything else is refused by its name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from analysis.imports.log.cell_numbers import cell_parts
from analysis.imports.log.csv_rows import LogTable
from analysis.imports.log.log_units import FOREIGN, Meaning, Unit, meaning_of, unit_of
from analysis.imports.log.meter_log import LogOptions
from bench.common.user_error import UserError
from strategies.common.registry import did_you_mean

PRODUCT = "*"
LISTED = 8


@dataclass(frozen=True)
class Column:
    """A column, or volts and amps as one.

    Attributes:
        name: As the user calls it.
        parts: The columns of the table: one, or that of volts and that of amps.
        meanings: What each of them holds; the unit is None where the cells have it, or where nothing says it.
        stated: Whether the unit is the user's word.
        untold: Whether nothing says the unit.
    """

    name: str
    parts: tuple[str, ...]
    meanings: tuple[Meaning, ...]
    stated: bool = False
    untold: bool = False

    @property
    def usable(self) -> bool:
        """Whether it is power or energy in a known unit."""
        return self.meanings[0].quantity in ("power", "energy") and not self.untold


def power_columns(table: LogTable, others: Sequence[str], options: LogOptions) -> list[Column]:
    """The columns to read.

    Args:
        table: The table.
        others: The names of its columns beside the time.
        options: ``columns`` that were asked for, and units.

    Returns:
        The columns that were asked for; without any, all powers, else all energies.

    Raises:
        UserError: A column that was asked for is neither power nor energy, or none is.
    """
    for name in (*options.columns, *options.column_units):
        _check_known(table, others, name)
    if options.columns:
        return [_asked(table, others, name, options) for name in options.columns]
    columns = [_column(table, name, options) for name in others]
    powers = [column for column in columns if column.meanings[0].quantity == "power"]
    energies = [column for column in columns if column.usable and column.meanings[0].quantity == "energy"]
    chosen = [column for column in powers if column.usable] or powers or energies
    if not chosen:
        raise UserError(_nothing(table, columns))
    return [_agreed(table, column, options) for column in chosen]


def _check_known(table: LogTable, others: Sequence[str], name: str) -> None:
    parts = [name] if name in others else name.split(PRODUCT)
    missing = next((part.strip() for part in parts if part.strip() not in others), None)
    if missing is not None:
        raise UserError(f"{table.path} has no column {missing}; columns are {', '.join(others)}{did_you_mean(missing, others)}")


def _asked(table: LogTable, others: Sequence[str], name: str, options: LogOptions) -> Column:
    if name not in others:
        return _product(table, name, options)
    column = _agreed(table, _column(table, name, options, asked=True), options)
    meaning = column.meanings[0]
    if meaning.quantity in ("power", "energy") and (column.usable or meaning.quantity == "power"):
        return column
    raise UserError(f"{table.path}: column {name} is {meaning.words}{_remedy(name, meaning)}")


def _remedy(name: str, meaning: Meaning) -> str:
    if meaning.quantity == "voltage" or meaning.quantity == "current":
        return ", which is no power; ask for volts times amps of direct current: --column 'VOLTS*AMPS=HOST'"
    if meaning.quantity == "energy":
        return f"; say it: --unit '{name}=Wh'"
    if meaning.quantity == "unknown" or meaning.hinted:
        return f"; if it is power or energy, say its unit: --unit '{name}=W', or mW, Wh, J"
    return "; only power and energy can be imported"


def _product(table: LogTable, name: str, options: LogOptions) -> Column:
    """Volts times amps, which the user asks for by both of their names."""
    parts = tuple(part.strip() for part in name.split(PRODUCT))
    columns = [_column(table, part, options, asked=True) for part in parts]
    meanings = {column.meanings[0].quantity: column.meanings[0] for column in columns}
    if len(parts) != 2 or set(meanings) != {"voltage", "current"} or any(column.untold for column in columns):
        words = " and ".join(f"{column.name} is {column.meanings[0].words}" for column in columns)
        raise UserError(
            f"{table.path}: --column {name} must be a column of volts times one of amps, each with its unit; {words}"
        )
    return Column(name, parts, tuple(column.meanings[0] for column in columns), stated=any(c.stated for c in columns))


def _column(table: LogTable, name: str, options: LogOptions, asked: bool = False) -> Column:
    """What a column is: by the user's word about it, by its name, by its cells, or by the user's word about all."""
    meaning = meaning_of(name, table.unit_below(name))
    word = options.column_units.get(name)
    if word is not None:
        if (meaning.quantity == "other" and not meaning.hinted) or (meaning.unit and meaning.unit.quantity != word.quantity):
            raise UserError(
                f"{table.path}: column {name} is {meaning.words}, and --unit says {word.symbol}; rename it if that is right"
            )
        return Column(name, (name,), (_in(word),), stated=True)
    if meaning.unit is not None or (meaning.quantity == "other" and not meaning.hinted):
        return Column(name, (name,), (meaning,))
    by_cells = _by_cells(table, name)
    if by_cells is not None:
        return Column(name, (name,), (by_cells,))
    general = options.unit
    if general is not None and (meaning.quantity == general.quantity or _open(table, name, meaning, asked)):
        return Column(name, (name,), (_in(general),), stated=True)
    return Column(name, (name,), (meaning,), untold=True)


def _in(unit: Unit) -> Meaning:
    return Meaning(unit.quantity, unit, f"{unit.quantity} in {unit.symbol}")


def _open(table: LogTable, name: str, meaning: Meaning, asked: bool) -> bool:
    """Whether the user's word about all columns counts for one whose name says nothing."""
    if asked:
        return meaning.quantity == "unknown" or meaning.hinted
    return meaning.quantity == "unknown" and _first(table, name) is not None


def _first(table: LogTable, name: str) -> tuple[str, str] | None:
    index = table.header.index(name)
    return next((cell_parts(row[index]) for row in table.rows if row[index]), None)


def _by_cells(table: LogTable, name: str) -> Meaning | None:
    """The unit behind the numbers of a column; each cell then has its own."""
    first = _first(table, name)
    if first is None or not first[1]:
        return None
    unit = unit_of(first[1])
    if unit is not None:
        return replace(_in(unit), unit=None)
    foreign = FOREIGN.get(first[1].lower())
    return None if foreign is None else Meaning("other", None, foreign)


def _agreed(table: LogTable, column: Column, options: LogOptions) -> Column:
    """Refuse a word about all columns that contradicts the name of one that is read."""
    unit, general = column.meanings[0].unit, options.unit
    if general is None or unit is None or column.stated or general.quantity != unit.quantity or general.factor == unit.factor:
        return column
    raise UserError(
        f"{table.path}: column {column.name} is in {unit.symbol} by its name, and --unit says {general.symbol}; if the name is "
        f"wrong, say it of this column: --unit '{column.name}={general.symbol}'"
    )


def _nothing(table: LogTable, columns: Sequence[Column]) -> str:
    """Why no column can be read, with what each is."""
    if not columns:
        return f"{table.path} has a column of times only; it needs one of watts"
    listed = ", ".join(f"{column.name} is {column.meanings[0].words}" for column in columns[:LISTED])
    more = f" and {len(columns) - LISTED} more" if len(columns) > LISTED else ""
    kinds = {column.meanings[0].quantity for column in columns}
    hint = ", or ask for volts times amps: --column 'VOLTS*AMPS=HOST'" if {"voltage", "current"} <= kinds else ""
    return f"{table.path} has no column of power or energy: {listed}{more}; say what one is: --unit W, or --unit NAME=mW{hint}"
