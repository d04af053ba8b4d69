"""Studies for tests: records in a folder, and the figures drawn from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from analysis.plotting.figure_registry import report_figures
from analysis.plotting.figure_style import DrawnFigure, close
from analysis.plotting.page_layouts import IEEE, Layout
from analysis.study import study as studies
from analysis.study.study import Study, load_study
from bench.common.atomic_files import write_json
from bench.record.record import Record
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


def study_of(
    name: str, folder: Path, records: Sequence[dict[str, Any]], problems: Sequence[str] = (), planned: Sequence[str] = ()
) -> Study:
    """A study of records as JSON; one with a ``folder`` lies there."""
    folders = [record.get("folder") for record in records]
    bare = [{key: value for key, value in record.items() if key != "folder"} for record in records]
    return studies.study_of(name, folder, list(map(Record.from_dict, bare)), problems, planned, folders)


def study(records: Sequence[dict[str, Any]]) -> Study:
    """A study of these records that is in no folder."""
    return study_of("test", Path("test"), records)


def drawn_by(
    draw: Callable[[Study, Layout], list[DrawnFigure]], records: Sequence[dict[str, Any]], layout: Layout = IEEE
) -> list[DrawnFigure]:
    """What one figure's function draws of these records."""
    found = draw(study(records), layout)
    for figure in found:
        close(figure)
    return found


def drawn(folder: Path) -> dict[str, DrawnFigure]:
    """All figures of a study by name."""
    found = {figure.name: figure for draw in report_figures() for figure in draw(load_study(folder), IEEE)}
    for figure in found.values():
        close(figure)
    return found
