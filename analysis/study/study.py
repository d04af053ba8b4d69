"""A study as it lies in its folder: its records in the order in which they ran, and what could not be read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.study.comparability import measured
from analysis.study.configuration_labels import labels_of, natural
from analysis.study.point_table import points_frame
from analysis.study.study_record import MeasuredStudyRecord, StudyRecord, in_study, label_of
from bench.common.user_error import UserError
from bench.record.monitored_record import MONITORED_FILE
from bench.record.record import Record
from bench.record.record_file import load_record
from bench.record.study_folder import STUDY

__all__ = ["Study", "about_study", "label_of", "load_study", "study_of"]


@dataclass(frozen=True)
class Study:
    """Records of one study in the order in which they ran.

    ``problems`` are lines about files that are no records. ``planned`` are the names of all points that were asked for, as far
    as study.json knows.
    """

    name: str
    folder: Path
    records: tuple[StudyRecord, ...]
    problems: tuple[str, ...]
    planned: tuple[str, ...] = ()

    @cached_property
    def good(self) -> list[MeasuredStudyRecord]:
        """Records whose numbers may be compared."""
        return measured(self.records)

    @cached_property
    def ordered(self) -> list[MeasuredStudyRecord]:
        """Good records by strategy (the single process first), then by label and repeat: the order of every figure."""
        from analysis.study.strategy_appearance import place  # those that only read records do without the strategies

        order = {label: natural(label) for label in {record.label for record in self.good}}
        return sorted(self.good, key=lambda r: (place(r.point.strategy), order[r.label], r.point.repeat))

    @cached_property
    def points(self) -> pd.DataFrame:
        """One row for each good point (``analysis/study/point_table.py`` has the columns). Not to be changed in place.

        In the order of every figure: by kind of energy, strategy (the single process first), label and repeat.
        """
        frame = points_frame(self.ordered)
        return frame.sort_values("kind", kind="stable").reset_index(drop=True)

    @property
    def smoke(self) -> bool:
        """Whether any point is a smoke run."""
        return any(record.point.smoke for record in self.records)


def load_study(folder: Path) -> Study:
    """Read every point of a study.

    Args:
        folder: results/STUDY.

    Returns:
        With every record that can be read, and a line for each that cannot.

    Raises:
        UserError: The folder is not a study, or holds no record.
    """
    if any(folder.glob(f"*/{MONITORED_FILE}")) and not any(folder.glob("*/result.json")):
        raise UserError(f"{folder} has monitored programs and no points; report and check read them, this verb does not")
    about = about_study(folder)
    records: dict[Path, Record] = {}
    problems = []
    for point in sorted(path for path in folder.iterdir() if path.is_dir()):
        try:
            records[point] = load_record(point / "result.json")
        except UserError as error:
            problems.append(str(error))
    if not records:
        more = f": {problems[0]}" if problems else ""
        raise UserError(f"{folder} holds no record yet{more}; run python -m bench study={folder.name} first")
    return study_of(about["study"], folder, list(records.values()), problems, about.get("planned", ()), list(records))


def about_study(folder: Path) -> dict[str, Any]:
    """The content of study.json.

    Args:
        folder: results/STUDY.

    Returns:
        As it lies in the file: ``schema``, ``study``, and where they are known ``planned`` and ``experiment``.

    Raises:
        UserError: There is no study.json, or it is of another version.
    """
    marker = folder / "study.json"
    try:
        about: dict[str, Any] = json.loads(marker.read_text())
    except (OSError, ValueError):
        raise UserError(f"{folder} is not a study (no readable study.json); give results/STUDY") from None
    if about.get("schema") != STUDY:
        raise UserError(f"{marker} has schema {about.get('schema')!r}, this version reads {STUDY!r}")
    return about


def study_of(
    name: str,
    folder: Path,
    records: Sequence[Record],
    problems: Sequence[str],
    planned: Sequence[str] = (),
    folders: Sequence[Path | None] | None = None,
) -> Study:
    """A study of these records: in their order, each with its label.

    Args:
        name: The study's.
        folder: Where it lies.
        records: In any order.
        problems: Lines about files that are no records.
        planned: Names of points that should be there.
        folders: Of each record (default: that of a record of a study, None of others).

    Returns:
        Its records in the order in which they ran.
    """
    lie_in = [getattr(record, "folder", None) for record in records] if folders is None else folders
    ran = sorted(zip(records, lie_in, strict=True), key=lambda pair: (pair[0].point.repeat, pair[0].point.order))
    labels = labels_of([record for record, _ in ran])
    labelled = [in_study(record, labels[record.point.hash], path) for record, path in ran]
    return Study(name, folder, tuple(labelled), tuple(problems), tuple(planned))
