"""The verb ``check``: every check of every point, and those of the study."""

from __future__ import annotations

import argparse
from pathlib import Path

from analysis.commands import STUDY_HELP
from analysis.compare.study_comparison import select
from analysis.monitored.monitored_study import MonitoredStudy, is_monitored, load_monitored_study
from analysis.rules.study_checks import study_checks

LABELS = {"passed": "PASSED", "failed": "FAILED", "warned": "WARNED", "skipped": "SKIPPED"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb.

    Args:
        parser: The parser of the verb.
    """
    parser.add_argument("study", help=STUDY_HELP)


def run(arguments: argparse.Namespace) -> int:
    """Print all checks.

    Args:
        arguments: ``study``, its folder with or without ``@COMMIT``.

    Returns:
        Exit code: 1 when a check failed or a point has no valid result, otherwise 0.

    Raises:
        UserError: The study cannot be read.
    """
    if is_monitored(Path(arguments.study)):
        return check_monitored(load_monitored_study(Path(arguments.study)))
    study = select(arguments.study)
    for record in study.records:
        print(f"{record.point.name}: {record.status}{'' if record.reason is None else ' - ' + record.reason}")
        for check in record.checks:
            print(f"  {LABELS[check.status]}  {check.name}: {check.detail}")
    print(f"study {study.name}")
    of_study = study_checks(study)
    for check in of_study:
        print(f"  {LABELS[check.status]}  {check.name}: {check.detail}")
    for line in study.problems:
        print(f"FAILED  {line}")
    bad = [record for record in study.records if record.status not in ("ok", "oom")]
    return 1 if bad or study.problems or any(check.status == "failed" for check in of_study) else 0


def check_monitored(study: MonitoredStudy) -> int:
    """Print the checks of monitored programs.

    Args:
        study: Their records.

    Returns:
        Exit code: 1 when a run is not ok or cannot be read, otherwise 0.
    """
    for run in study.runs:
        record = run.record
        print(f"{record.name}: {record.status}{'' if record.reason is None else ' - ' + record.reason}")
        for check in record.checks:
            print(f"  {LABELS[check.status]}  {check.name}: {check.detail}")
    for line in study.problems:
        print(f"FAILED  {line}")
    return 1 if study.problems or any(run.record.status != "ok" for run in study.runs) else 0
