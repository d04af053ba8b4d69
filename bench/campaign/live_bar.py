"""A live line on a terminal: point i of N, the time that is left, and how the last point ended."""

from __future__ import annotations

from typing import TextIO


def duration(seconds: float) -> str:
    """A duration in the unit that a reader would use.

    Args:
        seconds: The duration.

    Returns:
        ``75 s``, ``12 min`` or ``3.5 h``.
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


class LiveBar:
    """One line that is drawn anew twice a second while a point runs: its thread sleeps in between.

    Args:
        out: A terminal.
        last: How the point before ended.
    """

    def __init__(self, out: TextIO, last: str = "") -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        self._bar = Progress(
            *(
                MofNCompleteColumn(),
                BarColumn(bar_width=20),
                TextColumn("{task.description}", markup=False),
                TimeElapsedColumn(),
            ),
            console=Console(file=out),
            refresh_per_second=2,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._last = last
        self._task = self._bar.add_task("", total=None)

    def show(self, number: int, total: int, name: str, left_s: float | None) -> None:
        """Draw the line for the point that begins.

        Args:
            number: Its place, from 1.
            total: All points of the campaign.
            name: Its name.
            left_s: Seconds until the last point ends; None: not known yet.
        """
        left = "" if left_s is None else f"  left about {duration(left_s)}"
        last = f"  last: {self._last}" if self._last else ""
        self._bar.update(self._task, completed=number - 1, total=total, description=f"{name}{left}{last}")
        self._bar.start()

    def close(self) -> None:
        """Take the line away."""
        self._bar.stop()
