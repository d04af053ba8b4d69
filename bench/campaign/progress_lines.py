"""What a campaign says: a line for each point, and a summary."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from bench.campaign.live_bar import LiveBar, duration
from bench.config.point_config import PointConfig
from bench.record.record import Record

LOG_LINES = 12
NAMES = 8


@dataclass
class Progress:
    """One line for each point, with the time that is left by the mean of those that ran."""

    total: int
    out: TextIO = field(default_factory=lambda: sys.stdout)
    ran_s: list[float] = field(default_factory=list)
    bar: LiveBar | None = field(init=False, default=None)

    def begins(self, number: int, point: PointConfig) -> None:
        """Show which point runs now, on a terminal.

        Args:
            number: The point's place, from 1.
            point: The point.
        """
        if self.out.isatty():
            self.bar = self.bar or LiveBar(self.out)
            self.bar.show(number, self.total, point.point, self._left_s(number - 1))

    def close(self) -> None:
        """Take the bar away; lines that were printed stay."""
        if self.bar is not None:
            self.bar.close()
            self.bar = None

    def _left_s(self, done: int) -> float | None:
        """Seconds of the points that are left, by the mean of those that ran."""
        return sum(self.ran_s) / len(self.ran_s) * (self.total - done) if self.ran_s else None

    def ended(self, number: int, point: PointConfig, text: str, seconds: float | None) -> None:
        """Show how a point ended and how long the rest will take.

        Args:
            number: The point's place, from 1.
            point: The point.
            text: How it ended.
            seconds: Its duration; null for one that did not run now.
        """
        if seconds is not None:
            self.ran_s.append(seconds)
        left_s = self._left_s(number)
        left = f"  left about {duration(left_s)}" if left_s else ""
        if self.bar is not None:
            self.bar.close()  # the line takes its place; the next point brings it back below
            self.bar = LiveBar(self.out, last=text)
        print(f"[{number:3d}/{self.total}] {point.point}  {text}{left}", file=self.out, flush=True)


def show_log(record: Record, folder: Path) -> None:
    """The last lines of a point that did not finish, and where the rest is.

    Args:
        record: That of the point; without lines nothing is printed.
        folder: The point's folder, which has the whole log.
    """
    if record.log_tail:
        for line in record.log_tail[-LOG_LINES:]:
            print(f"    | {line}")
        print(f"    whole log: {folder / 'mpirun.log'}", flush=True)


def names(points: Sequence[str]) -> str:
    """The first of many names, and how many more there are.

    Args:
        points: Names of points.

    Returns:
        At most NAMES of them with commas, and the number of the others.
    """
    more = f" and {len(points) - NAMES} more" if len(points) > NAMES else ""
    return ", ".join(points[:NAMES]) + more


def summary(statuses: Sequence[str], total: int, where: Sequence[str]) -> str:
    """The last line: how many points ended how, and where their records are.

    Args:
        statuses: One for each point that ended.
        total: All points of the campaign.
        where: Folders of the studies.

    Returns:
        The line for a reader.
    """
    counts = ", ".join(f"{statuses.count(status)} {status}" for status in dict.fromkeys(statuses)) or "none run"
    return f"{len(statuses)} of {total} points: {counts}. Records in {', '.join(where)}"
