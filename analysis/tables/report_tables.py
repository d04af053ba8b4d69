"""All tables of a report, and their files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from analysis.study.electricity_supply import NOTHING_STATED, Supply
from analysis.study.study import Study
from analysis.tables.artefact_table import Figure, artefacts, reproduction
from analysis.tables.citation import KEY, bibtex
from analysis.tables.headline_table import headline, latex
from analysis.tables.latex import document, floats
from analysis.tables.table import Table
from analysis.tables.table_registry import TABLES, TableOptions


def study_tables(study: Study, olympic: bool = False, supply: Supply = NOTHING_STATED) -> list[Table]:
    """All registered tables that say something about the study, in their order; those of the artefact come with the report.

    Args:
        study: The study.
        olympic: Whether means without the fastest and the slowest repeat are wanted too.
        supply: What a kilowatt hour emits and costs, as the user says.

    Returns:
        The tables; those with nothing to tell are not there.
    """
    options = TableOptions(olympic, supply)
    return [table for registered in TABLES.all().values() for table in registered.tables(study, options)]


def artefact_tables(study: Study, figures: Sequence[Figure], tables: Sequence[Table], command: str) -> list[Table]:
    """The artefact description: where these figures and tables come from, and what making them again takes.

    Args:
        study: The study.
        figures: The figures of its report.
        tables: Its tables, with ``devices`` and ``software`` among them.
        command: The command that makes them all.

    Returns:
        The tables ``artefacts`` and ``reproduction``.
    """
    by_name = {table.name: table for table in tables}
    return [artefacts(study, figures, tables, command), reproduction(study, by_name["devices"], by_name["software"], command)]


def write_tables(study: Study, tables: Sequence[Table], folder: Path) -> None:
    """Each table as CSV and LaTeX; ``headline.csv`` has all configurations, ``all.tex`` is a document with all tables.

    Args:
        study: The study that the report is about.
        tables: The tables that the document has.
        folder: Where the files go; made where it does not exist.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for table in tables:
        table.data.to_csv(folder / f"{table.name}.csv", index=False)
        (folder / f"{table.name}.tex").write_text(floats(table), encoding="utf-8")
    headline(study).to_csv(folder / "headline.csv", index=False)
    (folder / "headline.tex").write_text(latex(study), encoding="utf-8")
    (folder / f"{KEY}.bib").write_text(bibtex(study), encoding="utf-8")
    (folder / "all.tex").write_text(document([table.name for table in tables], KEY, KEY), encoding="utf-8")
