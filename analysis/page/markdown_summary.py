"""The report in short, as Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from analysis.page.content.check_rows import summary
from analysis.tables.table import Table

if TYPE_CHECKING:
    from analysis.page.content.report_content import Content

MOST_ROWS, MOST_COMMANDS = 60, 12


def markdown(content: Content) -> str:
    """The page in Markdown: answer, headline tables, figures, checks, environment and commands.

    Args:
        content: Of the report.

    Returns:
        The text of report.md.
    """
    study = content.study
    lines = [f"# {escape(study.name)}", "", escape(content.lead), ""]
    lines += [f"> **Note:** {escape(note)}\n" for note in content.notes]
    for answer in content.answers:
        more = [f"{answer.left} more configurations are in the table."] if answer.left else []
        lines += [f"**{escape(answer.what)}**", ""]
        lines += [*(f"- {escape(sentence)}" for sentence in (*answer.lead, *answer.others, *more)), ""]
    lines += [escape(sentence) for sentence in content.remarks]
    for table in content.headlines:
        lines += ["", f"## {escape(table.title)}", "", escape(table.caption), "", *_table(table)]
    for title, pictures in content.figures:
        lines += ["", f"## {escape(title)}"]
        for picture in pictures:
            lines += ["", f"### {escape(picture.title)}", "", f"![{escape(picture.title)}]({picture.file})", ""]
            lines += [escape(picture.caption)]
    lines += ["", "## Checks", "", f"{summary([verdict for _, verdict, _ in content.check_lines])}.", ""]
    for name, verdict, details in content.check_lines:
        if verdict in ("failed", "warned"):
            lines += [f"- {verdict.upper()} {escape(name)}: {escape('; '.join(details))}"]
    if content.problems:
        lines += ["", "## Points without a valid result", "", *(f"- {escape(line)}" for line in content.problems)]
    lines += ["", "## What was not measured", ""]
    lines += [f"- {escape(line)}" for line in content.not_measured or ["Nothing is known to be missing."]]
    lines += ["", "Sources of energy that were not read:", ""] if content.unread else []
    lines += [f"- {escape(line)}" for line in content.unread]
    lines += ["", "## Devices and software", "", *_table(content.devices), "", *_table(content.software)]
    shown = content.commands[:MOST_COMMANDS]
    lines += ["", "## Run it again", "", *(f"    # {' '.join(command.label.split())}\n    {command.line}" for command in shown)]
    if len(content.commands) > len(shown):
        lines += ["", f"{len(content.commands) - len(shown)} more are in reproduce.sh."]
    return "\n".join(lines) + "\n"


def escape(text: str) -> str:
    """Escape text so that Markdown does not read it as markup.

    Args:
        text: Of any number of lines.

    Returns:
        One line.
    """
    return re.sub(r"([\\`*_\[\]<>|#~])", r"\\\1", " ".join(text.split()))


def _table(table: Table) -> list[str]:
    if table.data.empty:
        return []
    titles = [escape(f"{column.title} ({column.unit})" if column.unit else column.title) for column in table.columns]
    lines = [_line(titles), _line(["---"] * len(titles))]
    lines += [_line([escape(f"{cell.text} {cell.interval}".strip()) for cell in row]) for row in table.rows(MOST_ROWS)]
    left = len(table.data) - MOST_ROWS
    return [*lines, "", f"{left} more rows are in tables/{table.name}.csv."] if left > 0 else lines


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
