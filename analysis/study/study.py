"""A study as it lies in its folder: its records in the order in which they ran, and what could not be read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.study.configuration_labels import labels_of, natural, short_label
from analysis.study.point_table import points_frame
from analysis.study.strategy_appearance import place
from bench.common.user_error import UserError
from bench.record.record_file import load_record
from bench.record.study_folder import STUDY


@dataclass(frozen=True)
class Study:
    """Records of one study in the order in which they ran. ``problems`` are lines about files that are no records.

    Each record has its folder (``record["folder"]``) and its label (``record["point"]["label"]``). ``planned`` are the names of
    all points that were asked for, as far as study.json knows.
    """

    name: str
    folder: Path
    records: tuple[dict[str, Any], ...]
    problems: tuple[str, ...]
    planned: tuple[str, ...] = ()

    @property
    def good(self) -> list[dict[str, Any]]:
        """Records whose numbers may be compared."""
        return [record for record in self.records if record["status"] == "ok"]

    @cached_property
    def ordered(self) -> list[dict[str, Any]]:
        """Good records by strategy (the single process first), then by label and repeat: the order of every figure."""

        def key(record: dict[str, Any]) -> tuple[Any, ...]:
            point = record["point"]
            return place(point["strategy"]), names[label_of(point)], point["repeat"]

        good = self.good
        names = {label: natural(label) for label in {label_of(record["point"]) for record in good}}
        return sorted(good, key=key)

    @cached_property
    def points(self) -> pd.DataFrame:
        """One row for each good point (``analysis/study/point_table.py`` has the columns), in the order of every figure: by
        kind of
        energy, strategy (the single process first), label and repeat. Not to be changed in place."""
        frame = points_frame(self.ordered)
        return frame.sort_values("kind", kind="stable").reset_index(drop=True)

    @property
    def smoke(self) -> bool:
        return any(record["point"]["smoke"] for record in self.records)


def load_study(folder: Path) -> Study:
    """Read every point of a study. UserError for a folder that is not one, or that holds no record."""
    about = about_study(folder)
    records, problems = [], []
    for point in sorted(path for path in folder.iterdir() if path.is_dir()):
        try:
            records.append({**load_record(point / "result.json"), "folder": point})
        except UserError as error:
            problems.append(str(error))
    if not records:
        more = f": {problems[0]}" if problems else ""
        raise UserError(f"{folder} holds no record yet{more}; run python -m bench study={folder.name} first")
    return study_of(about["study"], folder, records, problems, about.get("planned", ()))


def about_study(folder: Path) -> dict[str, Any]:
    """What study.json says. UserError for a folder without one, or with one of another version."""
    marker = folder / "study.json"
    try:
        about: dict[str, Any] = json.loads(marker.read_text())
    except (OSError, ValueError):
        raise UserError(f"{folder} is not a study (no readable study.json); give results/STUDY") from None
    if about.get("schema") != STUDY:
        raise UserError(f"{marker} has schema {about.get('schema')!r}, this version reads {STUDY!r}")
    return about


def study_of(name: str, folder: Path, records: list[dict[str, Any]], problems: list[str], planned: Sequence[str] = ()) -> Study:
    """A study of these records: in their order, each with its label. ``planned`` are names of points that should be there."""
    records = sorted(records, key=lambda record: (record["point"]["repeat"], record["point"]["order"]))
    labels = labels_of(records)
    named = [{**r, "point": {**r["point"], "label": labels[r["point"]["hash"]]}} for r in records]
    return Study(name, folder, tuple(named), tuple(problems), tuple(planned))


def label_of(point: dict[str, Any]) -> str:
    """A configuration in words, different for different configurations of the study that it was loaded with."""
    return str(point["label"]) if "label" in point else short_label(point)
