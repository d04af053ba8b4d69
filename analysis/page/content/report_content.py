"""Everything that a report says about a study, before it becomes a page or Markdown."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from analysis.page.answer.answer_text import NOTHING, SMOKE, Answer, answers
from analysis.page.content.check_rows import Row, point_rows
from analysis.page.content.figure_sections import grouped
from analysis.page.content.reproduce_commands import Command, commands, whole_study
from analysis.plotting.figure_style import DrawnFigure, picture_of, save
from analysis.plotting.page_layouts import Layout
from analysis.rules.study_checks import study_checks
from analysis.rules.twelve_rules import Rule, rules
from analysis.study.searched_study import search_sentence
from analysis.study.study import Study
from analysis.tables.table import Table, plain_table

DOTS_PER_INCH = 200
LARGEST_SVG = 500_000
"""Bytes: more of them make a page slow, and are shown as a picture of dots; the vectors stay in the files."""


@dataclass(frozen=True)
class Picture:
    """A figure on the page.

    ``data_url`` has the picture itself, ``file`` is beside the page, ``table`` its data, ``points`` the
    records that it is from (empty: all good ones).
    """

    name: str
    section: str
    title: str
    caption: str
    alt: str
    data_url: str
    file: str
    width_in: float
    wide: bool
    formats: tuple[str, ...]
    table: Table
    points: tuple[str, ...]


@dataclass(frozen=True)
class Content:
    """Everything that a report says; the page and the Markdown are made from it."""

    study: Study
    notes: tuple[str, ...]
    answers: tuple[Answer, ...]
    figures: tuple[tuple[str, list[Picture]], ...]
    tables: tuple[Table, ...]
    rules: tuple[Rule, ...]
    study_rows: tuple[Row, ...]
    point_rows: tuple[Row, ...]
    commands: tuple[Command, ...]
    whole_study: str | None
    interactive: bool

    @property
    def lead(self) -> str:
        """The subject of the report, and how many points are valid."""
        points, good = len(self.study.records), len(self.study.good)
        return f"Energy against time of parallel Transformer fine-tuning: {points} points, {good} of them valid."

    @property
    def remarks(self) -> list[str]:
        """Sentences that go with the answer."""
        searched = search_sentence(self.study)
        return [*([] if self.answers else [NOTHING]), *([SMOKE] if self.study.smoke else []), *([searched] if searched else [])]

    @property
    def headlines(self) -> list[Table]:
        """The tables of the answer."""
        return [table for table in self.tables if table.name.startswith("headline")]

    @property
    def devices(self) -> Table:
        """The table of hosts."""
        return self.table("devices")

    @property
    def own_tables(self) -> list[Table]:
        """Those of the page's section of tables: the software has its place in the environment."""
        return [table for table in self.tables if table.name != "software"]

    @property
    def software(self) -> Table:
        """The table of versions."""
        return self.table("software")

    def table(self, name: str) -> Table:
        """One of the tables.

        Args:
            name: A name that ``tables`` have.

        Returns:
            The table of this name.
        """
        return next(table for table in self.tables if table.name == name)

    @property
    def check_lines(self) -> list[tuple[str, str, tuple[str, ...]]]:
        """All rules and checks: name, verdict and details of each."""
        ruled = [(f"rule {rule.number}, {rule.title}", rule.status, (rule.detail,)) for rule in self.rules]
        return [*ruled, *((row.name, row.verdict, row.details) for row in (*self.study_rows, *self.point_rows))]

    @property
    def problems(self) -> list[str]:
        """Points without a valid result, and files that are no records."""
        bad = (record for record in self.study.records if record.status != "ok")
        return [*(f"{record.point.name}: {record.status}. {record.reason}" for record in bad), *self.study.problems]

    @property
    def not_measured(self) -> list[str]:
        """Parts of the system that the energy does not contain."""
        return list(dict.fromkeys(line for record in self.study.good for line in record.energy.coverage.not_measured))

    @property
    def unread(self) -> list[str]:
        """Sources of energy that were not read, on which hosts, and why."""
        hosts: dict[tuple[str, str], dict[str, None]] = {}
        for record in self.study.good:
            for left in record.energy.left_out:
                hosts.setdefault((left.source, left.why), {})[left.host] = None
        return [f"{source} on {', '.join(names)}: {why}" for (source, why), names in hosts.items()]


def content_of(
    study: Study, pictures: Sequence[Picture], tables: Sequence[Table], notes: Sequence[str], interactive: bool
) -> Content:
    """The content of a report.

    Args:
        study: The points.
        pictures: Its figures, written.
        tables: Its tables.
        notes: Warnings that the page begins with.
        interactive: Whether there is a figure to explore beside the page.

    Returns:
        All that the page and its Markdown show.
    """
    return Content(
        study=study,
        notes=tuple(notes),
        answers=tuple(answers(study)),
        figures=tuple(grouped(pictures)),
        tables=tuple(tables),
        rules=tuple(rules(study)),
        study_rows=tuple(Row(check.name, check.status, "", (check.detail,)) for check in study_checks(study)),
        point_rows=tuple(point_rows(study)),
        commands=tuple(commands(study)),
        whole_study=whole_study(study),
        interactive=interactive,
    )


def picture(drawn: DrawnFigure, section: str, out: Path, formats: Sequence[str], layout: Layout) -> Picture:
    """Write a figure and its data below ``out``, and take it into this section of the page.

    Args:
        drawn: The figure with its data.
        section: Title of the section.
        out: Folder of the report; it has figures/ and data/.
        formats: Endings of the files of figures.
        layout: Sizes and fonts.

    Returns:
        The figure as the page shows it.
    """
    save(drawn, out / "figures", formats, layout)
    drawn.data.to_csv(out / "data" / f"{drawn.name}.csv", index=False)
    width_in = float(drawn.figure.get_figwidth())
    return Picture(
        name=drawn.name,
        section=section,
        title=drawn.title,
        caption=drawn.caption,
        alt=f"{drawn.title}. {drawn.caption.split('. ')[0].rstrip('.')}.",
        data_url=_data_url(drawn, out / "figures" / f"{drawn.name}.svg", formats, layout),
        file=f"figures/{drawn.name}.{'svg' if 'svg' in formats else 'png' if 'png' in formats else formats[0]}",
        width_in=width_in,
        wide=width_in > layout.column_in + 0.01 or layout.column_in == layout.page_in,
        formats=tuple(formats),
        table=plain_table(drawn.name, drawn.title, drawn.data),
        points=drawn.points,
    )


def _data_url(drawn: DrawnFigure, file: Path, formats: Sequence[str], layout: Layout) -> str:
    image, kind = file.read_bytes() if "svg" in formats else picture_of(drawn, "svg", layout), "svg+xml"
    if len(image) > LARGEST_SVG:
        image, kind = picture_of(drawn, "png", layout, DOTS_PER_INCH), "png"
    return f"data:image/{kind};base64,{base64.b64encode(image).decode()}"
