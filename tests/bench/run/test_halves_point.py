"""A point whose tensor parallelism alternates between the halves of a micro-batch, through the ordinary command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command_line import environment

pytestmark = pytest.mark.machine


def test_halves_leave_a_record(tmp_path: Path) -> None:
    """What a half computes before its first phase is of no step's phase: the record could not be assembled."""
    words = [
        "strategy=tensor",
        "strategy.overlap=halves",
        "ranks=2",
        "model=gpt2-tiny",
        "task=lm",
        "train.batch=8",
        "train.seq=16",
    ]
    words += ["train.steps=6", "energy=none", "window_s=0.2", "idle_s=0.1"]
    line = [sys.executable, "-m", "bench", *words]
    done = subprocess.run(line, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = tmp_path.glob("results/*/*/result.json")
    record = json.loads(path.read_text())
    assert record["status"] == "ok"
    time = record["time"]
    assert time["by_phase"]["compute_s"] > 0
    assert sum(time["by_phase"].values()) == pytest.approx(time["window_s"] / time["steps"])
