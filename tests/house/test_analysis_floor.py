"""The contract of the analysis: it names every package of bench but the four that the analysis may read."""

from __future__ import annotations

import re

from tests.project import ROOT

ALLOWED = {"common", "joules", "record", "timeline"}


def test_every_other_package_of_bench_is_forbidden() -> None:
    """import-linter's contract is a list of names, so a new package of bench must join it."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    contract = text[text.index('name = "analysis reads of bench') :]
    forbidden = set(re.findall(r'"bench\.(\w+)"', contract[: contract.index("\n]\n")]))
    parts = {path.stem for path in (ROOT / "bench").iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    assert forbidden == parts - ALLOWED - {"__init__"}
