"""A study with the readings of another meter, written beside the one that it comes from, which stays as it is."""

from __future__ import annotations

import fnmatch
import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from analysis.imports.log.column_hosts import Meter
from analysis.imports.log.meter_log import Log, span_text
from analysis.imports.metered.meter_traces import Alignment, span_ns
from analysis.imports.metered.metered_record import MeteredRecord, metered_record, to_common_s
from analysis.study.study import about_study
from bench.common.atomic_files import write_json, write_power
from bench.common.user_error import UserError
from bench.record.record import MeasuredRecord, Record
from bench.record.record_file import load_record, problem
from bench.record.study_folder import check_study, open_study

REPLACED = ("result.json", "power.parquet")


@dataclass(frozen=True)
class SourceStudy:
    """The study that is read: its marker, the chosen points by their folders, the others, and what could not be read."""

    folder: Path
    about: dict[str, Any]
    points: dict[Path, Record]
    others: tuple[Record, ...]
    problems: tuple[str, ...]

    @property
    def measurable(self) -> list[MeasuredRecord]:
        """The chosen points that finished."""
        return [record for record in self.points.values() if isinstance(record, MeasuredRecord)]


@dataclass
class ImportedPoints:
    """The points that have the new readings, and those that were copied as they are: they have no numbers."""

    imported: list[MeteredRecord] = field(default_factory=list)
    copied: list[Record] = field(default_factory=list)


def read_source(folder: Path, pattern: str) -> SourceStudy:
    """Read the points of a study.

    Args:
        folder: results/STUDY.
        pattern: The names of the points that are chosen.

    Returns:
        Its chosen points in the order in which they ran, and the names of the others.

    Raises:
        UserError: The folder is no study, or no finished point fits the pattern.
    """
    about = about_study(folder)
    chosen: dict[Path, Record] = {}
    others, problems = [], []
    folders = sorted(path for path in folder.iterdir() if path.is_dir())
    for point in folders:
        try:
            record = load_record(point / "result.json")
        except UserError as error:
            problems.append(str(error))
            continue
        if fnmatch.fnmatchcase(point.name, pattern):
            chosen[point] = record
        else:
            others.append(record)
    if not any(isinstance(record, MeasuredRecord) for record in chosen.values()):
        names = ", ".join(path.name for path in folders[:3]) or "none"
        raise UserError(
            f"{folder} has no point with numbers that fits --point {pattern}; points are {names}{' ...' * (len(folders) > 3)}"
        )
    in_order = sorted(chosen.items(), key=lambda item: (item[1].point.repeat, item[1].point.order))
    return SourceStudy(folder, about, dict(in_order), tuple(others), tuple(problems))


def check_overlap(log: Log, source: SourceStudy, alignment: Alignment) -> None:
    """Refuse a log that has nothing of any point.

    Args:
        log: The readings.
        source: The study that is read.
        alignment: Of the log's times.

    Raises:
        UserError: With the times of the log and of the points.
    """
    spans = [span_ns(record, alignment) for record in source.measurable]
    first, last = log.span_ns
    if all(last < begin or first > end for begin, end in spans):
        raise UserError(
            f"{log.path} has readings from {span_text(first, last)}, the points of {source.folder} ran from "
            f"{span_text(min(begin for begin, _ in spans), max(end for _, end in spans))}: nothing overlaps; check --time-zone "
            "and --offset-s"
        )


def check_target(source: SourceStudy, into: Path) -> None:
    """Refuse a folder that the new study cannot be written into. Writes nothing.

    Args:
        source: The study that is read.
        into: The folder of the new study, which need not be there.

    Raises:
        UserError: It is another study, lies in the one that is read, or has one of the points already.
    """
    old, new = source.folder.resolve(), into.resolve()
    if old == new or old in new.parents:
        raise UserError(f"--into {into} is in the study that is read, which stays as it is; give another folder")
    check_study(into, source.about.get("experiment"))
    present = next((path.name for path in source.points if (into / path.name / "result.json").exists()), None)
    if present is not None:
        raise UserError(f"{into} has {present} already, and records are never changed; give another --into")


def write_study(
    log: Log, source: SourceStudy, meters: Sequence[Meter], alignment: Alignment, into: Path, words: Mapping[str, Any]
) -> ImportedPoints:
    """Write the new study, each record after its other files, so that half a point is none.

    Args:
        log: The readings.
        source: The study that is read.
        meters: Of the log, with their hosts.
        alignment: Of the log's times.
        into: The folder of the new study.
        words: The options of the import, for its records.

    Returns:
        What became of each point.

    Raises:
        UserError: A record lacks what the import needs, or would break the schema.
    """
    open_study(into, into.name, source.about.get("experiment"))
    origin = _origin(log, source, meters, words)
    points = ImportedPoints()
    for folder, record in source.points.items():
        target = into / folder.name
        content = record.to_dict()
        content["point"]["study"] = into.name
        if isinstance(record, MeasuredRecord):
            metered = metered_record(record, folder, meters, alignment, target)
            content.update(metered.blocks())
            content["environment"]["imported"] = {**origin, "alignment_s": metered.within_s}
            points.imported.append(metered)
        else:
            metered = None
            points.copied.append(record)
        _write_point(content, folder, target, metered)
    return points


def _write_point(content: dict[str, Any], folder: Path, target: Path, metered: MeteredRecord | None) -> None:
    """The files of one point, its record last."""
    wrong = problem(json.loads(json.dumps(content)))  # as it will be read
    if wrong is not None:
        raise UserError(f"{folder.name}: the record with the readings would break the schema at {wrong}")
    target.mkdir(parents=True, exist_ok=True)
    for path in _others(folder):
        shutil.copyfile(path, target / path.name)
    if metered is not None and metered.traces:
        write_power(target / "power.parquet", metered.traces, to_common_s, metered.cover.in_total)
    write_json(target / "result.json", content)


def _others(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.iterdir()) if path.is_file() and path.name not in REPLACED)


def _origin(log: Log, source: SourceStudy, meters: Sequence[Meter], words: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "file": log.path.name,
        "sha256": hashlib.sha256(log.path.read_bytes()).hexdigest(),
        "format": log.source,
        "study": source.about.get("study"),
        "meters": {meter.name: list(meter.hosts) for meter in meters},
        "words": dict(words),
    }
