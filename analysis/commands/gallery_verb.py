"""The verb ``gallery``: docs/gallery again from its records."""

from __future__ import annotations

import argparse
from pathlib import Path

from analysis.exports import gallery
from analysis.plotting.page_layouts import LAYOUTS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb.

    Args:
        parser: The parser of the verb.
    """
    parser.add_argument("folder", type=Path, nargs="?", default=gallery.HERE, help="folder with gallery.yaml and records/")


def run(arguments: argparse.Namespace) -> int:
    """Write the pictures and their page.

    Args:
        arguments: ``folder``, the one with ``gallery.yaml`` and ``records/``.

    Returns:
        Exit code: 0.

    Raises:
        UserError: The folder holds no gallery.
    """
    page = gallery.write_gallery(arguments.folder, LAYOUTS["ieee"])
    print(f"gallery: {page}")
    return 0
