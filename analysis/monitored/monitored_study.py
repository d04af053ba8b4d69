"""A study of monitored programs as it lies in its folder, and which of its runs are repeats of each other."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bench.common.user_error import UserError
from bench.record.monitored_record import MONITORED_FILE, MonitoredRecord
from bench.record.record_file import load_monitored

PARTS = "parts"
WITH_JOULES = ("ok", "failed")
"""A command that failed has drawn what it has drawn; an invalid record has no joules to be shown."""
MOST_LETTERS = 60


@dataclass(frozen=True)
class MonitoredRun:
    """One run: its record and its folder."""

    record: MonitoredRecord
    folder: Path

    @property
    def good(self) -> bool:
        """Whether its command ended well and its joules are valid."""
        return self.record.status == "ok" and self.record.energy.total_J is not None


@dataclass(frozen=True)
class Repeats:
    """Good runs of the same command on as many ranks, with one kind of energy of the same sources."""

    label: str
    runs: tuple[MonitoredRun, ...]

    @property
    def kind(self) -> str:
        """Measured or modelled."""
        return self.runs[0].record.energy.kind


@dataclass(frozen=True)
class MonitoredStudy:
    """Runs in the order in which they began; ``problems`` are lines about folders without a whole record."""

    name: str
    folder: Path
    runs: tuple[MonitoredRun, ...]
    problems: tuple[str, ...]

    @cached_property
    def repeats(self) -> list[Repeats]:
        """Good runs, those of one command together, in the order in which the first of each began."""
        groups: dict[tuple[object, ...], list[MonitoredRun]] = {}
        for run in self.runs:
            if run.good:
                record = run.record
                hosts = tuple(host.host for host in record.energy.by_host)
                key = (tuple(record.command), record.size, hosts, record.energy.kind, record.energy.source)
                groups.setdefault(key, []).append(run)
        labels = _labels([runs[0].record for runs in groups.values()])
        return [Repeats(label, tuple(runs)) for label, runs in zip(labels, groups.values(), strict=True)]


def is_monitored(folder: Path) -> bool:
    """Whether a folder is a study of monitored programs.

    Args:
        folder: As the user gave it.

    Returns:
        True where a folder in it has a record of one, or the part of a host.
    """
    if not folder.is_dir():
        return False
    return any((run / MONITORED_FILE).exists() or (run / PARTS).is_dir() for run in folder.iterdir() if run.is_dir())


def load_monitored_study(folder: Path) -> MonitoredStudy:
    """Read every run of a study.

    Args:
        folder: The one that ``edgejoule monitor --out`` named.

    Returns:
        With every record that can be read, and a line for each that cannot.

    Raises:
        UserError: There is no record that can be read.
    """
    runs, problems = list[MonitoredRun](), list[str]()
    for path in sorted(path for path in folder.iterdir() if path.is_dir()):
        if not (path / MONITORED_FILE).exists():
            hint = f"edgejoule monitor --merge {path} joins what is there" if (path / PARTS).is_dir() else "it is no run"
            problems.append(f"{path.name} has no {MONITORED_FILE}; {hint}")
            continue
        try:
            runs.append(MonitoredRun(load_monitored(path / MONITORED_FILE), path))
        except UserError as error:
            problems.append(str(error))
    if not runs:
        raise UserError(f"{folder} holds no record of a monitored program: {problems[0] if problems else 'it is empty'}")
    runs.sort(key=lambda run: (run.record.environment.started or "", run.record.name))
    return MonitoredStudy(folder.resolve().name, folder, tuple(runs), tuple(problems))


def _labels(records: Sequence[MonitoredRecord]) -> list[str]:
    """The command with its ranks; what would be the same twice has its hosts and kind of energy too."""
    plain = [_label(record) for record in records]
    twice = {label for label, count in Counter(plain).items() if count > 1}
    more = [
        f"{label}, {record.energy.source} on {' + '.join(host.host for host in record.energy.by_host)}"
        for label, record in zip(plain, records, strict=True)
    ]
    chosen = [longer if label in twice else label for label, longer in zip(plain, more, strict=True)]
    seen = Counter[str]()
    named = []
    for label in chosen:  # long commands may differ in what is cut
        seen[label] += 1
        named.append(label if seen[label] == 1 else f"{label} ({seen[label]})")
    return named


def _label(record: MonitoredRecord) -> str:
    words = [Path(record.command[0]).name, *record.command[1:]]
    text = " ".join(shlex.join(words).split())
    text = text if len(text) <= MOST_LETTERS else f"{text[: MOST_LETTERS - 1]}\u2026"
    return f"{text}, {record.size} ranks" if record.size > 1 else text
