"""One idea once: each of these has one home, and everything else imports it."""

from __future__ import annotations

import ast
import re

import pytest

from tests.house.measures import modules, name_of

ONCE = {
    "strategies/common/registry.py": r"^\s*(?:import difflib|from difflib)|^class \w*Registry\b|^def did_you_mean\b",
    "bench/common/paths.py": r"^PROJECT\s*(?::[^=]*)?=|^def project_root\b",
    "bench/common/exit_codes.py": r"^(?:BAD_INPUT|INTERRUPTED|OUT_OF_MEMORY)\s*(?::[^=]*)?=\s*\d",
}
"""A file, and lines that stand in no other: the registry with "did you mean", the project's root, exit codes."""


@pytest.mark.parametrize("home", ONCE)
def test_one_home(home: str) -> None:
    """A second copy goes its own way sooner or later."""
    homes = {name_of(path) for path in modules() if re.search(ONCE[home], path.read_text(), re.MULTILINE)}
    assert homes == {home}


def test_phases_are_listed_once() -> None:
    """A tuple, list or Literal with the phases of a step stands in one file only."""
    homes = set()
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Tuple | ast.List | ast.Set):
                words = {each.value for each in node.elts if isinstance(each, ast.Constant)}
                if {"forward", "backward", "optimizer", "communicate"} <= words:
                    homes.add(name_of(path))
    assert homes == {"bench/common/phases.py"}
