"""The verb ``report``: figures, tables and the page of a study."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from analysis.commands import STUDY_HELP
from analysis.commands.supply_words import add_supply_arguments, supply_of
from analysis.compare.study_comparison import select
from analysis.monitored.monitored_report import write_monitored_report
from analysis.monitored.monitored_study import is_monitored, load_monitored_study
from analysis.monitored.monitored_tables import runs_table
from analysis.page.report_files import FORMATS, write_report
from analysis.plotting.page_layouts import LAYOUTS
from analysis.rules.study_checks import refuse_mixed
from analysis.study.study import Study
from analysis.tables import headline_table
from analysis.tables.table import NUMBER
from analysis.tables.table import Table as DataTable
from bench.common.user_error import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb.

    Args:
        parser: The parser of the verb.
    """
    parser.add_argument("study", help=STUDY_HELP)
    parser.add_argument("--out", type=Path, default=Path("report"), help="folder of the report (default: report)")
    parser.add_argument(
        "--format", default="svg,pdf", help="figure files: svg, pdf, png, separated by commas (default: svg,pdf)"
    )
    parser.add_argument("--column", choices=sorted(LAYOUTS), default="ieee", help="what figures are to fit (default: ieee)")
    parser.add_argument("--interactive", action="store_true", help="also explore.html, a figure to explore (needs plotly)")
    parser.add_argument("--olympic", action="store_true", help="also means without the fastest and the slowest repeat")
    add_supply_arguments(parser)
    parser.add_argument(
        "--allow-mixed", action="store_true", help="compare points that ran with different code or on different hosts"
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the report and print its headline.

    Args:
        arguments: What ``add_arguments`` declares.

    Returns:
        Exit code: 0.

    Raises:
        UserError: The study cannot be read or must not be compared, or an option is unknown.
    """
    formats = [word for word in arguments.format.split(",") if word]
    unknown = sorted(set(formats) - set(FORMATS))
    if unknown or not formats:
        raise UserError(f"--format={arguments.format} is unknown; use some of {', '.join(FORMATS)}")
    if is_monitored(Path(arguments.study)):
        return report_monitored(arguments, formats)
    supply = supply_of(arguments)
    study = select(arguments.study)
    notes = refuse_mixed(study, arguments.allow_mixed)
    layout = LAYOUTS[arguments.column]
    options = {"interactive": arguments.interactive, "olympic": arguments.olympic}
    page = write_report(study, arguments.out, formats, layout, notes=notes, supply=supply, **options)
    print_headline(study)
    for line in notes:
        print(f"mixed: {line}")
    for line in study.problems:
        print(f"left out: {line}")
    print(f"report: {page}")
    return 0


def report_monitored(arguments: argparse.Namespace, formats: Sequence[str]) -> int:
    """The report of monitored programs.

    Args:
        arguments: What ``add_arguments`` declares.
        formats: Endings of the files of figures.

    Returns:
        Exit code: 0.

    Raises:
        UserError: The study cannot be read, or an option is of points alone.
    """
    for option in ("interactive", "olympic", "allow_mixed", "co2", "price"):
        if getattr(arguments, option):
            raise UserError(
                f"--{option.replace('_', '-')} is of points; {arguments.study} has monitored programs: leave it out"
            )
    study = load_monitored_study(Path(arguments.study))
    page = write_monitored_report(study, arguments.out, formats, LAYOUTS[arguments.column])
    print_table(runs_table(study))
    for line in study.problems:
        print(f"left out: {line}")
    print(f"report: {page}")
    return 0


def print_table(shown: DataTable) -> None:
    """A table on the terminal.

    Args:
        shown: With its rows.
    """
    table = Table(title=shown.title, title_justify="left")
    for column in shown.columns:
        unit = f" ({column.unit})" if column.unit else ""
        table.add_column(column.title + unit, justify="right" if column.kind == NUMBER else "left")
    for row in shown.rows():
        table.add_row(*(f"{cell.text} {cell.interval}".strip() for cell in row))
    Console(width=None if sys.stdout.isatty() else 120, highlight=False).print(table)


def print_headline(study: Study) -> None:
    """The medians of every configuration, as a table on the terminal.

    Args:
        study: The study; its good records make the table.
    """
    shown = headline_table.shown(study)
    table = Table(title=f"{study.name}: medians of the repeats", title_justify="left")
    for column in shown.columns:
        table.add_column(column, justify="left" if column in ("configuration", "energy") else "right")
    for row in shown.itertuples(index=False):
        table.add_row(*map(str, row))
    Console(width=None if sys.stdout.isatty() else 120, highlight=False).print(table)
