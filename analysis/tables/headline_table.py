"""The headline table: what each configuration used and how fast it was."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from analysis.statistics.repeat_summary import summarise
from analysis.study.comparability import Work, works
from analysis.study.configuration_labels import names_in
from analysis.study.count_phrases import repeat_counts
from analysis.study.energy_words import energy_words
from analysis.study.study import Study
from analysis.tables.latex import floats
from analysis.tables.table import NUMBER, Column, Table, TableRow, significant
from analysis.tables.table_registry import TableOptions, study_table
from bench.common.median_interval import SMALLEST_N

COLUMNS: Mapping[str, str] = {
    "samples_per_s": "samples/s",
    "step_s": "s/step",
    "per_sample_J": "J/sample",
    "edp_Js": "EDP (J s)",
    "power_W": "W",
    "peak_MiB": "peak MiB",
    "metric": "metric",
}
DIGITS = {"peak_MiB": 1}
TITLES = {
    "samples_per_s": ("Throughput", "samples/s"),
    "step_s": ("Step", "s"),
    "per_sample_J": ("Energy per sample", "J"),
    "edp_Js": ("EDP", "J s"),
    "power_W": ("Power", "W"),
    "peak_MiB": ("Peak", "MiB"),
}
PRINTED_INTERVALS = ("samples_per_s", "per_sample_J")


def headline(study: Study) -> pd.DataFrame:
    """One row for each configuration and kind of energy: medians of its repeats, their range, intervals where they exist.

    Args:
        study: The study; only good records are taken.

    Returns:
        The rows; empty where no record is good.
    """
    return pd.DataFrame([row for work in works(study.points) for row in _rows(work)])


def _rows(work: Work) -> list[TableRow]:
    rows = []
    for name, group in work.points.groupby("label", sort=False):
        first = group.iloc[0]
        row: TableRow = {
            "configuration": str(name),
            "n": len(group),
            "energy": f"modelled as {first['modelled_as']}" if work.kind == "modelled" else work.kind,
            **{key: first[key] for key in ("model", "task", "metric_name")},
        }
        for column in COLUMNS:
            values = group[column].dropna().tolist()
            summary = summarise(values) if values else None
            row |= {
                column: None if summary is None else summary.median,
                f"{column}_low": None if summary is None else summary.low,
                f"{column}_high": None if summary is None else summary.high,
                f"{column}_smallest": None if summary is None else summary.smallest,
                f"{column}_largest": None if summary is None else summary.largest,
            }
        rows.append(row)
    return rows


@study_table("headline", order=10)
def headline_tables(study: Study, options: TableOptions) -> list[Table]:
    """A table for each work: models are not compared with each other, nor what was measured with what was modelled.

    Args:
        study: The study that the report is about.
        options: Choices of the report; none matters here.

    Returns:
        The tables, in the order of works.
    """
    parts = list(works(study.points))
    return [_table(work, "headline" if len(parts) == 1 else f"headline_{number}") for number, work in enumerate(parts, 1)]


def _table(work: Work, name: str) -> Table:
    data = pd.DataFrame(_rows(work))
    data.insert(
        0, "name", data["configuration"].map(names_in(data["configuration"].tolist()))
    )  # what all share, the title says
    present = [column for column in COLUMNS if data[column].notna().any()]
    metric = str(data["metric_name"].iloc[0])
    columns = (
        Column("name", "Configuration"),
        Column("n", "n", kind=NUMBER),
        *(_column(key, *TITLES.get(key, (metric, ""))) for key in present),
    )
    origin = f"energy is {energy_words(work.points)}, of all hosts, idle power included"
    energy = "no energy was asked for" if work.kind == "none" else origin
    return Table(name, f"Configurations of {work.name}", f"{_spread(data['n'].tolist())}; {energy}.", columns, data)


def _column(key: str, title: str, unit: str) -> Column:
    return Column(key, title, unit, NUMBER, DIGITS.get(key, 3), interval=True, print_interval=key in PRINTED_INTERVALS)


def _spread(counts: list[int]) -> str:
    least, most = min(counts), max(counts)
    n = repeat_counts(counts)
    if most < SMALLEST_N:
        repeats = "One repeat of each" if most == 1 else f"Medians of {n} repeats"
        return f"{repeats}: too few for a 95 % interval of the median, six are needed"
    some = " where there are six or more" if least < SMALLEST_N else ""
    return f"Medians of {n} repeats with their 95 % intervals by rank (exact binomial) in brackets{some}"


def shown(study: Study) -> pd.DataFrame:
    """The headline table as text, with the metric's name and intervals in brackets.

    Args:
        study: The study that the report is about.

    Returns:
        All columns as text, those without any value left out; empty where no record is good.
    """
    table = headline(study)
    if table.empty:
        return table
    text = table[["configuration", "n"]].astype(str)
    for column, title in COLUMNS.items():
        if not table[column].isna().all():
            name = " or ".join(dict.fromkeys(table["metric_name"])) if column == "metric" else title
            text[name] = [_cell(row, column) for row in table.to_dict("records")]
    text["energy"] = table["energy"]
    return text


def _cell(row: Mapping[Any, Any], column: str) -> str:
    digits = DIGITS.get(column, 3)
    text, low, high = (significant(row[key], digits) for key in (column, f"{column}_low", f"{column}_high"))
    return text if pd.isna(row[f"{column}_low"]) else f"{text} [{low}, {high}]"


def latex(study: Study) -> str:
    """The headline tables for a paper.

    Args:
        study: The study that the report is about.

    Returns:
        LaTeX with one ``table*`` or more for each work.
    """
    return "\n".join(floats(table) for table in headline_tables(study))
