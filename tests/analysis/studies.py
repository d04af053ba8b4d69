"""Studies for tests: records in a folder, and the figures drawn from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from analysis.figures import FIGURES
from analysis.records import load_study
from analysis.style import IEEE, Drawn, close
from bench.record.writer import write_json
from tests.records import make_record

STRATEGIES = ("pipeline", "single", "tensor", "data")


def write_study(folder: Path, records: list[dict[str, Any]]) -> Path:
    """A study's folder with these records; points of the same name replace each other."""
    write_json(folder / "study.json", {"schema": "edgejoule.study/1", "study": folder.name, "experiment": None})
    for record in records:
        write_json(folder / record["point"]["name"] / "result.json", record)
    return folder


def full(repeats: int = 3, **changes: Any) -> list[dict[str, Any]]:
    """Four strategies on two ranks, ``repeats`` of each."""
    return [make_record(strategy, repeat, **changes) for repeat in range(repeats) for strategy in STRATEGIES]


def drawn(folder: Path) -> dict[str, Drawn]:
    """All figures of a study by name."""
    found = {figure.name: figure for draw in FIGURES for figure in draw(load_study(folder), IEEE)}
    for figure in found.values():
        close(figure)
    return found
