"""A CSV of carbon intensities over time, as grid operators and their observers publish it."""

from __future__ import annotations

import re
from datetime import tzinfo
from pathlib import Path

from analysis.imports.log.column_readings import filled_numbers
from analysis.imports.log.csv_rows import LogTable, read_table
from analysis.imports.log.meter_log import LogOptions
from analysis.imports.log.time_columns import table_times
from analysis.study.electricity_supply import MOST_G_PER_KWH, Intensity
from bench.common.user_error import UserError
from strategies.common.registry import did_you_mean

UNIT = re.compile(r"(?<![a-zA-Z])(kg|g|t)[ _]?(?:co[2₂])?[ _]?(?:eq|e)?[ _.]*(?:/|per)[ _]*(kwh|mwh)", re.IGNORECASE)
GRAMS = {"g": 1.0, "kg": 1e3, "t": 1e6}
KILOWATT_HOURS = {"kwh": 1.0, "mwh": 1e3}


def read_intensities(path: Path, column: str | None, zone: tzinfo | None, source: str | None) -> Intensity:
    """Intensities over time.

    Args:
        path: A CSV with a column of times, and one or more in grams, kilograms or tonnes per kWh or MWh.
        column: The column of intensities; None where one column only is called so.
        zone: Of times that state none.
        source: Who says so; None: the file's name and the column's.

    Returns:
        The series, each value from its time until the next.

    Raises:
        UserError: The file is no such table, a value is wrong, or it is not known which column is meant.
    """
    table = read_table(path)
    times = table_times(table, LogOptions(zone=zone))
    name, factor = _intensity_column(table, column)
    rows, values, _ = filled_numbers(table, name)
    if len(rows) != len(table.rows):
        raise UserError(f"{path}, column {name}: {len(table.rows) - len(rows)} row(s) have no value; take them out")
    grams = values * factor
    wrong = next((row for row, value in zip(rows, grams, strict=True) if not 0 <= value <= MOST_G_PER_KWH), None)
    if wrong is not None:
        value = float(grams[rows.index(wrong)])
        raise UserError(f"{path}, column {name}: row {wrong} has {value:g} g/kWh, which no grid has; is the unit right?")
    return Intensity(source or f"{path.name}, {name}", grams, times.t_ns)


def _intensity_column(table: LogTable, column: str | None) -> tuple[str, float]:
    """The column and what makes grams per kWh of it."""
    if column is not None and column not in table.header:
        raise UserError(
            f"{table.path} has no column {column}; columns are {', '.join(table.header)}{did_you_mean(column, table.header)}"
        )
    units = {name: match for name in table.header if (match := UNIT.search(f"{name} {table.unit_below(name)}"))}
    names = [column] if column is not None else list(units)
    if len(names) > 1:
        raise UserError(f"{table.path} has several intensities: {', '.join(names)}; name one: --co2-column '{names[0]}'")
    if not names or names[0] not in units:
        what = f"column {names[0]} of {table.path} does not say" if names else f"no column of {table.path} says"
        raise UserError(f"{what} that it is grams of CO2 per kWh; call it such as g_per_kWh or gCO2eq/kWh")
    mass, energy = units[names[0]].groups()
    return names[0], GRAMS[mass.lower()] / KILOWATT_HOURS[energy.lower()]
