"""Tables of a study, each as data for CSV, for the page and for LaTeX."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from analysis.study.study import Study
from analysis.tables.artefact_table import Figure, artefacts, reproduction
from analysis.tables.citation import KEY, bibtex
from analysis.tables.device_table import devices, software
from analysis.tables.factor_table import factor_table
from analysis.tables.failure_table import failures
from analysis.tables.headline_table import headline, headline_tables, latex, shown
from analysis.tables.joining_board_table import participants
from analysis.tables.latex import document, floats
from analysis.tables.repeat_table import energy_known, repeats
from analysis.tables.table import Table

__all__ = ["Table", "artefact_tables", "headline", "headline_tables", "latex", "shown", "study_tables", "write_tables"]


def study_tables(study: Study, olympic: bool = False) -> list[Table]:
    """All tables that say something about the study itself; those of the artefact come with the report."""
    told = [participants(study), failures(study), repeats(study, olympic), energy_known(study)]
    own = [table for table in told if table is not None]
    return [*headline_tables(study), *own, devices(study), factor_table(study), software(study)]


def artefact_tables(study: Study, figures: Sequence[Figure], tables: Sequence[Table], command: str) -> list[Table]:
    """The artefact description: where these figures and tables come from, and what making them again takes."""
    own = {table.name: table for table in tables}
    return [artefacts(study, figures, tables, command), reproduction(study, own["devices"], own["software"], command)]


def write_tables(study: Study, tables: Sequence[Table], folder: Path) -> None:
    """Each table as CSV and LaTeX; ``headline.csv`` has all configurations, ``all.tex`` is a document with all tables."""
    folder.mkdir(parents=True, exist_ok=True)
    for table in tables:
        table.data.to_csv(folder / f"{table.name}.csv", index=False)
        (folder / f"{table.name}.tex").write_text(floats(table), encoding="utf-8")
    headline(study).to_csv(folder / "headline.csv", index=False)
    (folder / "headline.tex").write_text(latex(study), encoding="utf-8")
    (folder / f"{KEY}.bib").write_text(bibtex(study), encoding="utf-8")
    (folder / "all.tex").write_text(document([table.name for table in tables], KEY, KEY), encoding="utf-8")
