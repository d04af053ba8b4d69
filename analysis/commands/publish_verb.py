"""The verb ``publish``: a copy of a study's records to give away."""

from __future__ import annotations

import argparse
from pathlib import Path

from analysis.commands import STUDY_HELP
from analysis.compare.study_comparison import select
from analysis.exports import published_study


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb.

    Args:
        parser: The parser of the verb.
    """
    parser.add_argument("study", help=STUDY_HELP)
    parser.add_argument("--into", type=Path, required=True, help="folder of the copy; must not exist")
    parser.add_argument(
        "--power", choices=published_study.POWER, default="first", help="raw power of which repeats (default: first)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the copy.

    Args:
        arguments: ``study``, ``into`` (folder of the copy) and ``power`` (which repeats keep raw power).

    Returns:
        Exit code: 0.

    Raises:
        UserError: The study cannot be read, or the copy cannot be written.
    """
    count = published_study.publish(select(arguments.study), arguments.into, arguments.power)
    print(f"{count} records in {arguments.into}")
    return 0
