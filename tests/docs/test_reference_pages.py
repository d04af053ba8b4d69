"""Reference pages that are made from the code are those of this code."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.docs.reference_pages import PAGES
from tests.project import ROOT

pytestmark = pytest.mark.slow

MADE_WITH = (3, 11)
"""argparse writes its help otherwise in other versions of Python."""


def made(page: str) -> str:
    line = [sys.executable, "-m", "tests.docs.reference_pages", page]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=True, timeout=240).stdout


@pytest.mark.parametrize("page", PAGES)
def test_pages_are_current(page: str) -> None:
    """``python -m tests.docs.reference_pages`` writes them again after a change."""
    committed, current = (ROOT / f"docs/reference/{page}.md").read_text(), made(page)
    if sys.version_info[:2] != MADE_WITH:
        committed, current = (" ".join(sorted(set(re.findall(r"--[a-z][\w-]+|`\w+`", text)))) for text in (committed, current))
    assert committed == current


def test_every_sensor_says_what_it_reads() -> None:
    """A sensor without a docstring in its file would be a heading without a text."""
    sections = re.split(r"^### ", (ROOT / "docs/reference/sensors.md").read_text(), flags=re.MULTILINE)[1:]
    assert len(sections) > 10
    for section in sections:
        assert len(section.split("\n", 1)[1].strip()) > 100, section.split("\n", 1)[0]
