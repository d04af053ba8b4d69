"""Programs under ``edgejoule monitor``, as a user starts them, and what lies in their folder afterwards."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.bench.energy.board_trees import BOARDS
from tests.command_line import environment

MONITOR = (sys.executable, "-m", "edgejoule", "monitor")
STILL = ("--energy", "source=rapl", f"root={BOARDS / 'x86-desktop'}")
"""A sensor that is there and stands still."""


def monitor(
    folder: Path, options: Sequence[str], command: Sequence[str], stdin: str = "", timeout_s: float = 120, **variables: str
) -> subprocess.CompletedProcess[str]:
    """``edgejoule monitor OPTIONS -- COMMAND`` in ``folder``."""
    return subprocess.run(
        [*MONITOR, *options, "--", *command],
        cwd=folder,
        env=environment(TMPDIR=str(folder), **variables),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout_s,
    )


def python(code: str, *words: str) -> list[str]:
    return [sys.executable, "-c", code, *words]


def record_of(folder: Path) -> dict[str, Any]:
    """The only record under ``folder``."""
    (path,) = folder.glob("results/*/*/monitored.json")
    read: dict[str, Any] = json.loads(path.read_text())
    return read


def left_behind(folder: Path, seconds: float = 10.0) -> list[str]:
    """What a run with its temporary files in ``folder`` has left there, after some time to end: sockets, locks, agents."""
    deadline_s = time.monotonic() + seconds
    while True:
        files = [str(path) for path in folder.glob("edgejoule-monitor-*/*")]
        agents = [str(path.parent) for path in Path("/proc").glob("[0-9]*/cmdline") if str(folder).encode() in _read(path)]
        if (not files and not agents) or time.monotonic() > deadline_s:
            return files + agents
        time.sleep(0.1)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
