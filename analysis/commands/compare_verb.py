"""The verb ``compare``: two studies, or two commits of one."""

from __future__ import annotations

import argparse

from analysis.commands import STUDY_HELP
from analysis.compare import study_comparison


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb.

    Args:
        parser: The parser of the verb.
    """
    parser.add_argument("one", help=STUDY_HELP)
    parser.add_argument("other", help="the study that is compared with it")


def run(arguments: argparse.Namespace) -> int:
    """Print what changed.

    Args:
        arguments: ``one`` and ``other``, the folders of two studies, each with or without ``@COMMIT``.

    Returns:
        Exit code: 0.

    Raises:
        UserError: A study cannot be read.
    """
    return study_comparison.compare_verb(arguments.one, arguments.other)
