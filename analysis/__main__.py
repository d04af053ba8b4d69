"""``python -m analysis report results/STUDY`` and ``python -m analysis check results/STUDY``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from analysis import tables
from analysis.records import Study, load_study
from analysis.report import FORMATS, write_report
from analysis.style import LAYOUTS
from bench.errors import UserError


def main(argv: list[str] | None = None) -> int:
    arguments = parser().parse_args(argv)
    try:
        return int(arguments.verb(arguments))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m analysis", description="Reports and checks of recorded studies.")
    verbs = top.add_subparsers(required=True)
    report = verbs.add_parser(
        "report",
        help="write the report of a study",
        epilog="example: python -m analysis report results/quickstart --out report --format svg,pdf",
    )
    report.add_argument("study", type=Path, help="folder of the study, results/STUDY")
    report.add_argument("--out", type=Path, default=Path("report"), help="folder of the report (default: report)")
    report.add_argument("--format", default="svg,pdf", help="figure files: svg, pdf, png, separated by commas")
    report.add_argument("--column", choices=sorted(LAYOUTS), default="ieee", help="what figures are to fit (default: ieee)")
    report.set_defaults(verb=report_verb)
    check = verbs.add_parser(
        "check", help="print every check of every point", epilog="example: python -m analysis check results/quickstart"
    )
    check.add_argument("study", type=Path, help="folder of the study, results/STUDY")
    check.set_defaults(verb=check_verb)
    return top


def report_verb(arguments: argparse.Namespace) -> int:
    formats = [word for word in arguments.format.split(",") if word]
    unknown = sorted(set(formats) - set(FORMATS))
    if unknown or not formats:
        raise UserError(f"--format={arguments.format} is unknown; use some of {', '.join(FORMATS)}")
    study = load_study(arguments.study)
    page = write_report(study, arguments.out, formats, LAYOUTS[arguments.column])
    print_headline(study)
    for line in study.problems:
        print(f"left out: {line}")
    print(f"report: {page}")
    return 0


def print_headline(study: Study) -> None:
    shown = tables.shown(study)
    table = Table(title=f"{study.name}: medians of the repeats", title_justify="left")
    for column in shown.columns:
        table.add_column(column, justify="left" if column in ("configuration", "energy") else "right")
    for row in shown.itertuples(index=False):
        table.add_row(*map(str, row))
    Console(width=None if sys.stdout.isatty() else 120, highlight=False).print(table)


def check_verb(arguments: argparse.Namespace) -> int:
    """1 when a check failed or a point has no valid result."""
    study = load_study(arguments.study)
    words = {"passed": "PASSED", "failed": "FAILED", "warned": "WARNED", "skipped": "SKIPPED"}
    for record in study.records:
        print(f"{record['point']['name']}: {record['status']}{'' if record['reason'] is None else ' - ' + record['reason']}")
        for check in record["checks"]:
            print(f"  {words[check['status']]}  {check['name']}: {check['detail']}")
    for line in study.problems:
        print(f"FAILED  {line}")
    bad = [record for record in study.records if record["status"] not in ("ok", "oom")]
    return 1 if bad or study.problems else 0


if __name__ == "__main__":
    sys.exit(main())
