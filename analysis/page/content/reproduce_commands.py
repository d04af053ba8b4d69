"""How to run the points of a study again."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from analysis.study.study import Study
from analysis.study.study_record import StudyRecord
from bench.record.point_record import PointRecord

RECONSTRUCTED = "reconstructed from the record, which is older than the words that it was composed from"


@dataclass(frozen=True)
class Command:
    """Of one configuration: its line for bench, the line of mpirun that this became, the folder of its first repeat."""

    label: str
    line: str
    mpirun: str
    folder: str
    repeats: int
    note: str = ""


def commands(study: Study) -> list[Command]:
    """The commands that run a study's configurations again.

    Args:
        study: Records of any status.

    Returns:
        One for each configuration, in the order in which they first ran.
    """
    by_hash: dict[str, list[StudyRecord]] = {}
    for record in study.records:
        by_hash.setdefault(record.point.hash, []).append(record)
    return [_command(records) for records in by_hash.values()]


def _command(records: Sequence[StudyRecord]) -> Command:
    first = records[0]
    overrides, mpirun = first.environment.overrides, first.environment.command or ""
    if overrides is None:
        line, note = _reconstructed(first.point), RECONSTRUCTED
    else:
        line, note = shlex.join(["python", "-m", "bench", "hydra.mode=RUN", *overrides]), ""
    return Command(first.label, line, mpirun, first.point.name, len(records), note)


def _reconstructed(point: PointRecord) -> str:
    overrides = [f"experiment={point.experiment}", "hydra.mode=RUN"] if point.experiment else [f"study={point.study}"]
    overrides += [f"{key}={getattr(point, key)}" for key in ("strategy", "ranks", "model", "task")]
    overrides += [f"train.{key}={getattr(point, key)}" for key in ("batch", "micro_batches", "seq", "lr", "optimizer", "dtype")]
    if point.strategy == "hybrid":
        overrides += [f"mesh.{axis}={size}" for axis, size in point.mesh.items() if size > 1]
    return shlex.join(["python", "-m", "bench", *overrides])


def whole_study(study: Study) -> str | None:
    """The line that runs all points: the overrides that all have in common.

    Args:
        study: Records of any status.

    Returns:
        A line of the shell; None where the study was no experiment, or where a record does not tell.
    """
    overrides = [record.environment.overrides or () for record in study.records]
    if any(record.environment.overrides is None for record in study.records):
        return None
    common = [override for override in overrides[0] if all(override in others for others in overrides)]
    if not any(override.startswith("experiment=") for override in common):
        return None
    return shlex.join(["python", "-m", "bench", *common])


def script(study: Study) -> str:
    """A shell script with the commands of all configurations.

    Args:
        study: Records of any status.

    Returns:
        The text of reproduce.sh.
    """
    lines = ["#!/bin/sh", f"# The configurations of study {_one_line(study.name)}, one after the other.", "set -e"]
    for command in commands(study):
        times = f", {command.repeats} repeats" if command.repeats > 1 else ""
        note = f" ({command.note})" if command.note else ""
        lines += ["", f"# {_one_line(command.label)}{times}{note}", command.line]
    return "\n".join(lines) + "\n"


def _one_line(text: str) -> str:
    return " ".join(text.split())
