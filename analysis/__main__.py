"""The command line of the analysis: ``python -m analysis report|check|compare|import|publish|gallery``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from analysis import imports, tables
from analysis.compare import study_comparison
from analysis.compare.study_comparison import select
from analysis.exports import gallery, published_study
from analysis.page.report_files import FORMATS, write_report
from analysis.plotting.page_layouts import LAYOUTS
from analysis.rules.study_checks import refuse_mixed, study_checks
from analysis.study.study import Study
from bench.common.user_error import UserError

WORDS = {"passed": "PASSED", "failed": "FAILED", "warned": "WARNED", "skipped": "SKIPPED"}
STUDY_HELP = "folder of the study, results/STUDY, or of its records of one commit, results/STUDY@COMMIT"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code: 1 where a check failed, 2 for what the user can mend."""
    arguments = parser().parse_args(argv)
    try:
        return int(arguments.verb(arguments))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m analysis", description="From the records of studies to reports and figures.")
    verbs = top.add_subparsers(required=True, metavar="report|check|compare|import|publish|gallery")
    report = verbs.add_parser(
        "report",
        help="figures, tables and the page of a study",
        epilog="example: python -m analysis report results/quickstart --out report --column acm --format pdf,svg",
    )
    report.add_argument("study", help=STUDY_HELP)
    report.add_argument("--out", type=Path, default=Path("report"), help="folder of the report (default: report)")
    report.add_argument(
        "--format", default="svg,pdf", help="figure files: svg, pdf, png, separated by commas (default: svg,pdf)"
    )
    report.add_argument("--column", choices=sorted(LAYOUTS), default="ieee", help="what figures are to fit (default: ieee)")
    report.add_argument("--interactive", action="store_true", help="also explore.html, a figure to explore (needs plotly)")
    report.add_argument("--olympic", action="store_true", help="also means without the fastest and the slowest repeat")
    report.add_argument(
        "--allow-mixed", action="store_true", help="compare points that ran with different code or on different hosts"
    )
    report.set_defaults(verb=report_verb)
    check = verbs.add_parser(
        "check",
        help="every check of every point, and those of the study",
        epilog="example: python -m analysis check results/quickstart",
    )
    check.add_argument("study", help=STUDY_HELP)
    check.set_defaults(verb=check_verb)
    compare = verbs.add_parser(
        "compare",
        help="two studies, or two commits of one: what changed, by how much, and whether it is real",
        epilog="example: python -m analysis compare results/before results/after",
    )
    compare.add_argument("one", help=STUDY_HELP)
    compare.add_argument("other", help="the study that is compared with it")
    compare.set_defaults(verb=lambda arguments: study_comparison.compare_verb(arguments.one, arguments.other))
    imported = verbs.add_parser(
        "import",
        help="another meter's data (perun, CodeCarbon, CSV) beside our events: a new study",
        epilog="example: python -m analysis import power.csv results/quickstart --into results/quickstart-metered",
    )
    imports.add_arguments(imported)
    imported.set_defaults(verb=imports.import_verb)
    given = verbs.add_parser(
        "publish",
        help="a copy of a study's records to give away, without paths and boot ids",
        epilog="example: python -m analysis publish results/quickstart --into artefact/quickstart",
    )
    given.add_argument("study", help=STUDY_HELP)
    given.add_argument("--into", type=Path, required=True, help="folder of the copy; must not exist")
    given.add_argument(
        "--power", choices=published_study.POWER, default="first", help="raw power of which repeats (default: first)"
    )
    given.set_defaults(verb=publish_verb)
    pictures = verbs.add_parser(
        "gallery", help="make docs/gallery again from its records", epilog="example: python -m analysis gallery"
    )
    pictures.add_argument("folder", type=Path, nargs="?", default=gallery.HERE, help="folder with gallery.yaml and records/")
    pictures.set_defaults(verb=gallery_verb)
    return top


def report_verb(arguments: argparse.Namespace) -> int:
    formats = [word for word in arguments.format.split(",") if word]
    unknown = sorted(set(formats) - set(FORMATS))
    if unknown or not formats:
        raise UserError(f"--format={arguments.format} is unknown; use some of {', '.join(FORMATS)}")
    study = select(arguments.study)
    notes = refuse_mixed(study, arguments.allow_mixed)
    layout = LAYOUTS[arguments.column]
    options = {"interactive": arguments.interactive, "olympic": arguments.olympic}
    page = write_report(study, arguments.out, formats, layout, notes=notes, **options)
    print_headline(study)
    for line in notes:
        print(f"mixed: {line}")
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
    study = select(arguments.study)
    for record in study.records:
        print(f"{record['point']['name']}: {record['status']}{'' if record['reason'] is None else ' - ' + record['reason']}")
        for check in record["checks"]:
            print(f"  {WORDS[check['status']]}  {check['name']}: {check['detail']}")
    print(f"study {study.name}")
    own = study_checks(study)
    for check in own:
        print(f"  {WORDS[check['status']]}  {check['name']}: {check['detail']}")
    for line in study.problems:
        print(f"FAILED  {line}")
    bad = [record for record in study.records if record["status"] not in ("ok", "oom")]
    return 1 if bad or study.problems or any(check["status"] == "failed" for check in own) else 0


def publish_verb(arguments: argparse.Namespace) -> int:
    count = published_study.publish(select(arguments.study), arguments.into, arguments.power)
    print(f"{count} records in {arguments.into}")
    return 0


def gallery_verb(arguments: argparse.Namespace) -> int:
    page = gallery.write_gallery(arguments.folder, LAYOUTS["ieee"])
    print(f"gallery: {page}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
