"""The verb ``gallery``: docs/gallery again from its records."""

from __future__ import annotations

import argparse
from pathlib import Path

from analysis.exports import gallery
from analysis.plotting.page_layouts import LAYOUTS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The words of the verb."""
    parser.add_argument("folder", type=Path, nargs="?", default=gallery.HERE, help="folder with gallery.yaml and records/")


def run(arguments: argparse.Namespace) -> int:
    """Write the pictures and their page; 0.

    Raises:
        UserError: The folder holds no gallery.
    """
    page = gallery.write_gallery(arguments.folder, LAYOUTS["ieee"])
    print(f"gallery: {page}")
    return 0
