"""The page: content and templates."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2

from analysis.page.content.check_rows import Row, summary
from analysis.page.content.report_content import Content
from analysis.tables.table import CODE, NUMBER, Cell, Column, Table

TEMPLATES = Path(__file__).parent / "templates"
MOST_ROWS, MOST_DATA_ROWS, MOST_COMMANDS, MOST_PROBLEMS, MOST_FIGURES = 60, 30, 6, 12, 12


@dataclass(frozen=True)
class View:
    """A table as the page shows it: at most so many rows, and where the rest is."""

    name: str
    title: str
    caption: str
    columns: tuple[Column, ...]
    rows: list[list[Cell]]
    total: int
    file: str


def view(table: Table, most: int = MOST_ROWS, folder: str = "tables") -> View:
    """The first rows of a table, as the page shows them.

    Args:
        table: With any number of rows.
        most: How many rows are shown.
        folder: Where the table's file lies, relative to the page.

    Returns:
        The rows with the number of all.
    """
    rows = table.rows(most)
    return View(table.name, table.title, table.caption, table.columns, rows, len(table.data), f"{folder}/{table.name}.csv")


def page(content: Content) -> str:
    """The whole page, with everything in it.

    Args:
        content: Of the report.

    Returns:
        HTML.
    """
    return (
        templates()
        .get_template("report.html.j2")
        .render(
            content=content,
            view=view,
            data_view=lambda picture: view(picture.table, MOST_DATA_ROWS, "data"),
            number=NUMBER,
            code=CODE,
            anchor=anchor,
            most_commands=MOST_COMMANDS,
            most_problems=MOST_PROBLEMS,
            most_figures=MOST_FIGURES,
            summary=_summary,
            rule_summary=summary([rule.status for rule in content.rules]),
        )
    )


def tied(text: str) -> str:
    """Keep a number and its unit on one line.

    Args:
        text: Of a sentence.

    Returns:
        The same with no-break spaces before units.
    """
    return re.sub(r"(?<=\d) (?=(?:J|W|s|x|%|samples/s)(?!\w))", "\u00a0", text)


def anchor(title: str) -> str:
    """The id of a section.

    Args:
        title: Of the section.

    Returns:
        In lower case, with hyphens for spaces.
    """
    return title.lower().replace(" ", "-")


def _summary(rows: Sequence[Row]) -> str:
    return summary([row.verdict for row in rows])


def templates() -> jinja2.Environment:
    """The environment of all pages, in which a template is looked up by its name."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["tied"] = tied
    return environment
