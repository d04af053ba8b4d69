"""Points one after the other: order, resume, progress, failures, summary.

Repeats are blocks: all points once, then all again, shuffled inside each block with the campaign's seed. So drift of
temperature or of other load spreads over all configurations instead of falling on the last.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from bench import config as configs
from bench.launch.point import launch
from bench.record.schema import load_record
from bench.record.study import check_study, finished, open_study
from bench.testbed.lease import Lease

Config = dict[str, Any]
LOG_LINES = 12


def expand(points: Sequence[Config], repeats: Sequence[int], results: Path, seed: int) -> list[Config]:
    """All repeats of all points in the order in which they will run; the same configuration twice counts once.

    ``repeats`` has the number of repeats of each point.
    """
    unique = {point["hash"]: (point, count) for point, count in zip(points, repeats, strict=True)}
    order = []
    for repeat in range(max(repeats, default=0)):
        block = [configs.named(point, results, repeat) for point, count in unique.values() if repeat < count]
        random.Random(f"{seed}/{repeat}").shuffle(block)
        order += block
    return [{**point, "order": number} for number, point in enumerate(order)]


@dataclass
class Progress:
    """One line for each point, with the time that is left by the mean of those that ran."""

    total: int
    out: TextIO = field(default_factory=lambda: sys.stdout)
    ran_s: list[float] = field(default_factory=list)

    def begins(self, number: int, point: Config) -> None:
        if self.out.isatty():
            print(f"[{number:3d}/{self.total}] {point['point']} ...", end="\r", file=self.out, flush=True)

    def ended(self, number: int, point: Config, text: str, seconds: float | None) -> None:
        if seconds is not None:
            self.ran_s.append(seconds)
        left = ""
        if self.ran_s and number < self.total:
            left = f"  left about {duration(sum(self.ran_s) / len(self.ran_s) * (self.total - number))}"
        print(f"[{number:3d}/{self.total}] {point['point']}  {text}{left}", file=self.out, flush=True)


def duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def headline(record: Mapping[str, Any]) -> str:
    """``ok  42.1 samples/s  0.52 J/sample (modelled)``, or the status with its reason."""
    if record["status"] != "ok":
        return f"{record['status'].upper()}: {record['reason']}"
    energy = record["energy"]
    joules = "" if energy["kind"] == "none" else f"  {energy['per_sample_J']:.3g} J/sample ({energy['kind']})"
    return f"ok  {record['time']['samples_per_s']:.3g} samples/s{joules}"


def run(points: Sequence[Config], repeats: Sequence[int], results: Path, seed: int) -> int:
    """Run what is not finished; 0 when every point is ok or shown to need more memory, 1 otherwise, 130 after Ctrl-C."""
    todo = expand(points, repeats, results, seed)
    folders = {(point["study"], point["experiment"]) for point in todo}
    for study, experiment in folders:
        check_study(results / study, experiment)
    with Lease([point for point in todo if not finished(Path(point["paths"]["point"]))]) as lease:
        for study, experiment in folders:
            open_study(results / study, study, experiment)
        return _run(todo, results, folders, lease)


def _run(todo: Sequence[Config], results: Path, folders: set[tuple[str, str | None]], lease: Lease) -> int:
    progress, statuses = Progress(len(todo)), list[str]()
    for number, point in enumerate(todo, 1):
        folder = Path(point["paths"]["point"])
        if finished(folder):
            record = load_record(folder / "result.json")
            progress.ended(number, point, f"finished before: {headline(record)}", None)
            statuses.append(record["status"])
            continue
        progress.begins(number, point)
        started = time.monotonic()
        lease.ready(point)
        record = launch(point)
        progress.ended(number, point, headline(record), time.monotonic() - started)
        statuses.append(record["status"])
        show_log(record, folder)
        if record["status"] == "interrupted":
            return summary(statuses, len(todo), results, folders, 130)
    good = all(status in ("ok", "oom") for status in statuses)
    return summary(statuses, len(todo), results, folders, 0 if good else 1)


def show_log(record: Mapping[str, Any], folder: Path) -> None:
    """The last lines of a point that did not finish, and where the rest is."""
    if record.get("log_tail"):
        for line in record["log_tail"][-LOG_LINES:]:
            print(f"    | {line}")
        print(f"    whole log: {folder / 'mpirun.log'}", flush=True)


def summary(statuses: Sequence[str], total: int, results: Path, folders: set[tuple[str, str | None]], code: int) -> int:
    counts = ", ".join(f"{statuses.count(status)} {status}" for status in dict.fromkeys(statuses))
    where = ", ".join(sorted(str(results / study) for study, _ in folders))
    print(f"{len(statuses)} of {total} points: {counts}. Records in {where}")
    return code
