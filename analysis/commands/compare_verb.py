"""The verb ``compare``: two studies, or two commits of one."""

from __future__ import annotations

import argparse

from analysis.commands import STUDY_HELP
from analysis.compare import study_comparison


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The words of the verb."""
    parser.add_argument("one", help=STUDY_HELP)
    parser.add_argument("other", help="the study that is compared with it")


def run(arguments: argparse.Namespace) -> int:
    """Print what changed; 0.

    Raises:
        UserError: A study cannot be read.
    """
    return study_comparison.compare_verb(arguments.one, arguments.other)
