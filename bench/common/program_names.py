"""Command lines in texts: as ``python -m MODULE``, or as ``edgejoule VERB`` where this process was called by that name."""

from __future__ import annotations

import re
import sys
from pathlib import Path

PROGRAM = "edgejoule"
_NAMES = (
    (re.compile(r"python -m (?:bench\.planner|analysis)\b(?: +(?=[a-z]))?"), f"{PROGRAM} "),
    (re.compile(r"python -m bench\.(doctor|testbed|calibrate|fetch|export)\b"), rf"{PROGRAM} \1"),
    (re.compile(r"python -m bench\b(?!\.)"), f"{PROGRAM} run"),
)


def version() -> str:
    """The name and version of this package, as pyproject.toml says them and the installation keeps them."""
    from importlib import metadata  # half of the time that a help text takes

    try:
        return f"{PROGRAM} {metadata.version(PROGRAM)}"
    except metadata.PackageNotFoundError:
        return f"{PROGRAM} (not installed; run ./run_all.sh setup, or pip install .)"


def as_called(text: str) -> str:
    """A text with its command lines in the words by which the user called this process.

    Args:
        text: Has command lines as ``python -m MODULE``.

    Returns:
        The same text where this process was called by its module, else with ``edgejoule VERB``.
    """
    if Path(sys.argv[0]).name != PROGRAM:
        return text
    for pattern, name in _NAMES:
        text = pattern.sub(name, text)
    return text
