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


def as_called(text: str) -> str:
    """``text`` with its command lines in the words by which the user called this process."""
    if Path(sys.argv[0]).name != PROGRAM:
        return text
    for pattern, name in _NAMES:
        text = pattern.sub(name, text)
    return text
