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
from analysis.imports.metered import metered_record
from analysis.imports.metered.metered_record import Alignment, Joined, Record
from analysis.study.study import about_study
from bench.common.atomic_files import write_json, write_power
from bench.common.user_error import UserError
from bench.record.record_file import load_record, problem
from bench.record.study_folder import check_study, open_study

WITH_NUMBERS = ("ok", "invalid")
REPLACED = ("result.json", "power.parquet")


@dataclass(frozen=True)
class Source:
    """The study that is read: its marker, the chosen points by their folders, the others, and what could not be read."""

    folder: Path
    about: dict[str, Any]
    points: dict[Path, Record]
    others: tuple[Record, ...]
    problems: tuple[str, ...]

    @property
    def measurable(self) -> list[Record]:
        """The records whose numbers can be replaced by those of the meter."""
        return [record for record in self.points.values() if record["status"] in WITH_NUMBERS]


@dataclass
class Told:
    """What happened to the points, by their names."""

    imported: list[Joined] = field(default_factory=list)
    copied: list[Record] = field(default_factory=list)


def read_source(folder: Path, pattern: str) -> Source:
    """UserError for a folder that is no study, and where no point fits the pattern."""
    about = about_study(folder)
    found: dict[Path, Record] = {}
    others, problems = [], []
    folders = sorted(path for path in folder.iterdir() if path.is_dir())
    for point in folders:
        try:
            record = load_record(point / "result.json").to_dict()
        except UserError as error:
            problems.append(str(error))
            continue
        if fnmatch.fnmatchcase(point.name, pattern):
            found[point] = record
        else:
            others.append(record)
    if not any(record["status"] in WITH_NUMBERS for record in found.values()):
        names = ", ".join(path.name for path in folders[:3]) or "none"
        raise UserError(
            f"{folder} has no point with numbers that fits --point {pattern}; points are {names}{' ...' * (len(folders) > 3)}"
        )
    in_order = sorted(found.items(), key=lambda item: (item[1]["point"]["repeat"], item[1]["point"]["order"]))
    return Source(folder, about, dict(in_order), tuple(others), tuple(problems))


def check_overlap(log: Log, source: Source, how: Alignment) -> None:
    """UserError, with both spans, for a log that has nothing of any point."""
    spans = [metered_record.span_ns(record, how) for record in source.measurable]
    first, last = log.span_ns
    if all(last < begin or first > end for begin, end in spans):
        raise UserError(
            f"{log.path} has readings from {span_text(first, last)}, the points of {source.folder} ran from "
            f"{span_text(min(begin for begin, _ in spans), max(end for _, end in spans))}: nothing overlaps; check --time-zone "
            "and --offset-s"
        )


def check_target(source: Source, into: Path) -> None:
    """UserError for a folder that is another study, or that has one of the points already. Writes nothing."""
    old, new = source.folder.resolve(), into.resolve()
    if old == new or old in new.parents:
        raise UserError(f"--into {into} is in the study that is read, which stays as it is; give another folder")
    check_study(into, source.about.get("experiment"))
    there = next((path.name for path in source.points if (into / path.name / "result.json").exists()), None)
    if there is not None:
        raise UserError(f"{into} has {there} already, and records are never changed; give another --into")


def write_study(
    log: Log, source: Source, meters: Sequence[Meter], how: Alignment, into: Path, words: Mapping[str, Any]
) -> Told:
    """Write the new study, each record after its other files, so that half a point is none.

    ``words`` are the options of the import, for its records.
    """
    open_study(into, into.name, source.about.get("experiment"))
    origin = _origin(log, source, meters, words)
    told = Told()
    for folder, record in source.points.items():
        target = into / folder.name
        new = {**record, "point": {**record["point"], "study": into.name}}
        if record["status"] in WITH_NUMBERS:
            joined = metered_record.join(new, folder, meters, how, target)
            new = joined.record
            new["environment"] = {**record["environment"], "imported": {**origin, "alignment_s": joined.within_s}}
            told.imported.append(joined)
        else:
            joined = None
            told.copied.append(new)
        wrong = problem(json.loads(json.dumps(new)))  # as it will be read
        if wrong is not None:
            raise UserError(f"{folder.name}: the record with the readings would break the schema at {wrong}")
        target.mkdir(parents=True, exist_ok=True)
        for path in _others(folder):
            shutil.copyfile(path, target / path.name)
        if joined is not None and joined.traces:
            write_power(target / "power.parquet", joined.traces, metered_record.to_common_s, joined.cover.in_total)
        write_json(target / "result.json", new)
    return told


def _others(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.iterdir()) if path.is_file() and path.name not in REPLACED)


def _origin(log: Log, source: Source, meters: Sequence[Meter], words: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "file": log.path.name,
        "sha256": hashlib.sha256(log.path.read_bytes()).hexdigest(),
        "format": log.source,
        "study": source.about.get("study"),
        "meters": {meter.name: list(meter.hosts) for meter in meters},
        "words": dict(words),
    }
