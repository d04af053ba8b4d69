"""Files and functions stay small, and dictionaries without a type become fewer: what is above may only shrink."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.house import measures
from tests.house.measures import LONGEST_FUNCTION, MEASURES, above, below, limits, long_functions, plain_dictionaries
from tests.project import ROOT

LOWER = "well done: python -m tests.house.measures lower"


@pytest.mark.parametrize("name", MEASURES)
def test_nothing_grows(name: str) -> None:
    """A new file, function or dictionary keeps to the rules; an old one does not become worse."""
    assert above(MEASURES[name](), limits()[name]) == []


@pytest.mark.parametrize("name", MEASURES)
def test_limits_are_what_was_reached(name: str) -> None:
    """A limit above what was reached would allow it to grow back."""
    assert below(MEASURES[name](), limits()[name]) == [], LOWER


def test_no_function_is_longer_than_a_screen() -> None:
    assert {name: lines for name, lines in long_functions().items() if lines > LONGEST_FUNCTION} == {}


def test_where_dictionaries_stand_is_said() -> None:
    """The page of the architecture names each package that has any, as an edge or as what is still to be typed."""
    page = (ROOT / "docs/explanation/architecture.md").read_text()
    section = page[page.index("## Where plain dictionaries end") :].split("\n## ")[0]
    named = set(re.findall(r"`((?:strategies|bench|analysis)/[\w.]+)", section))
    assert set(plain_dictionaries()) - named == set()


def test_what_grows_is_seen() -> None:
    """A new name and a larger number are above; a smaller number and a name that is gone are below."""
    assert above({"new": 1, "same": 2, "more": 4}, {"same": 2, "more": 3}) == ["new: 1, at most 0", "more: 4, at most 3"]
    assert below({"same": 2, "less": 1}, {"same": 2, "less": 3, "gone": 5}) == ["less: 1, not 3", "gone: 0, not 5"]


def test_a_missing_section_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Arguments and results must be described; private functions, properties and overrides need no sections."""
    (tmp_path / "analysis").mkdir()
    (tmp_path / "analysis" / "module.py").write_text(
        'class Base:\n    def described(self, a: int) -> int:\n        """It.\n\n        Args:\n            a: One.\n\n'
        '        Returns:\n            Two.\n        """\n\n    def bare(self, a: int) -> int:\n        """It."""\n\n'
        'class Child(Base):\n    def described(self, a: int) -> int:\n        """It."""\n\n'
        'def half(a: int) -> int:\n    """It.\n\n    Args:\n        a: One.\n    """\n\n'
        'def _private(a: int) -> int:\n    return a\n\ndef nothing() -> int:\n    """It."""\n'
    )
    monkeypatch.setattr(measures, "ROOT", tmp_path)
    assert measures.missing_sections() == {"analysis/module.py": 2}  # bare, and half, which does not say what it returns
