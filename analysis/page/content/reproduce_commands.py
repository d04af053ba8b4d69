"""How to run the points of a study again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analysis.study.study import Study, label_of

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
    """One for each configuration, in the order in which they first ran."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for record in study.records:
        found.setdefault(record["point"]["hash"], []).append(record)
    return [_command(records) for records in found.values()]


def _command(records: Sequence[Mapping[str, Any]]) -> Command:
    first = records[0]
    point, environment = first["point"], first["environment"]
    words = environment.get("overrides")
    line = _reconstructed(point) if words is None else shlex.join(["python", "-m", "bench", "hydra.mode=RUN", *words])
    note = RECONSTRUCTED if words is None else ""
    return Command(label_of(point), line, environment.get("command") or "", point["name"], len(records), note)


def _reconstructed(point: Mapping[str, Any]) -> str:
    words = [f"experiment={point['experiment']}", "hydra.mode=RUN"] if point["experiment"] else [f"study={point['study']}"]
    words += [f"{key}={point[key]}" for key in ("strategy", "ranks", "model", "task")]
    words += [f"train.{key}={point[key]}" for key in ("batch", "micro_batches", "seq", "lr", "optimizer", "dtype")]
    if point["strategy"] == "hybrid":
        words += [f"mesh.{axis}={size}" for axis, size in point["mesh"].items() if size > 1]
    return shlex.join(["python", "-m", "bench", *words])


def whole_study(study: Study) -> str | None:
    """The line that runs all points: the words that all have in common. None where it was no experiment, or not recorded."""
    words = [record["environment"].get("overrides") for record in study.records]
    if any(own is None for own in words):
        return None
    common = [word for word in words[0] if all(word in own for own in words)]
    if not any(word.startswith("experiment=") for word in common):
        return None
    return shlex.join(["python", "-m", "bench", *common])


def script(study: Study) -> str:
    """A shell script with the commands of all configurations."""
    lines = ["#!/bin/sh", f"# The configurations of study {_one_line(study.name)}, one after the other.", "set -e"]
    for command in commands(study):
        times = f", {command.repeats} repeats" if command.repeats > 1 else ""
        note = f" ({command.note})" if command.note else ""
        lines += ["", f"# {_one_line(command.label)}{times}{note}", command.line]
    return "\n".join(lines) + "\n"


def _one_line(text: str) -> str:
    return " ".join(text.split())
