"""A study: a folder of points that belong to one experiment."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench.common.atomic_files import write_json
from bench.common.user_error import UserError
from bench.record.record_file import load_record

STUDY = "edgejoule.study/1"
SEARCH = "edgejoule.search/1"
SEARCH_FILE = "search.json"  # of a study that is searched: bench/search writes it
FINISHED = ("ok", "oom")


def check_study(folder: Path, experiment: str | None) -> None:
    """Refuse a folder that holds another experiment, or files that are not a study. Writes nothing.

    Args:
        folder: The study's folder, which need not exist.
        experiment: The experiment's name; None for points of none.

    Raises:
        UserError: The folder holds another study, or no study.
    """
    marker = folder / "study.json"
    if marker.exists():
        try:
            stored = json.loads(marker.read_text())
        except ValueError as error:
            raise UserError(f"{marker} cannot be read ({error}); move the folder away or choose another study=") from None
        if stored.get("schema") != STUDY or stored.get("experiment") != experiment:
            raise UserError(
                f"{folder} holds another study (experiment {stored.get('experiment') or 'none'}, not "
                f"{experiment or 'none'}); choose another study= or move the folder away"
            )
    elif folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder} is not empty and is not a study; choose another study= or move the folder away")


def open_study(folder: Path, study: str, experiment: str | None, planned: Iterable[str] = ()) -> None:
    """Make the study's folder, or check that it is this one.

    Args:
        folder: The study's folder, which need not exist.
        study: The study's name.
        experiment: The experiment's name; None for points of none.
        planned: Names of points to come; they join those of before, so that one that never ran is missed.

    Raises:
        UserError: The folder holds another study, or no study.
    """
    check_study(folder, experiment)
    marker = folder / "study.json"
    new = {"schema": STUDY, "study": study, "experiment": experiment}
    stored: dict[str, Any] = json.loads(marker.read_text()) if marker.exists() else new
    names = sorted({*stored.get("planned", ()), *planned})
    if not marker.exists() or names != stored.get("planned", []):
        write_json(marker, {**stored, "planned": names})


def finished(point: Path) -> bool:
    """Whether a point has a result that need not be repeated.

    Args:
        point: The point's folder.

    Returns:
        True where it ran, or was shown to need more memory; False where its record cannot be read.
    """
    try:
        return load_record(point / "result.json").status in FINISHED
    except UserError:
        return False
