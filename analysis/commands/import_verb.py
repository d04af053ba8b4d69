"""The verb ``import``: another meter's data beside our events."""

from __future__ import annotations

import argparse

from analysis import imports


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb.

    Args:
        parser: The parser of the verb.
    """
    imports.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write the new study.

    Args:
        arguments: What ``add_arguments`` declares.

    Returns:
        Exit code: 1 when a point is not valid with these readings, otherwise 0.

    Raises:
        UserError: Something cannot be imported.
    """
    return imports.import_verb(arguments)
