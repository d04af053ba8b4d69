"""A job that is started before its turn waits, goes on a word, says when it has measured, and leaves nothing behind."""

from __future__ import annotations

import os
import sys
import time
import uuid
from pathlib import Path

import pytest

from bench.campaign.next_point import NextPoint
from bench.common.user_error import UserError
from bench.launch.held_job import MEASURED, HeldJob
from bench.launch.supervised_process import RUN_ID, survivors
from tests.points import make_point

pytestmark = pytest.mark.machine

WAITS = f"""
import pathlib, sys, time
if sys.stdin.readline() != "go\\n":
    sys.exit(7)
pathlib.Path("went").touch()
print("{MEASURED}", flush=True)
while not pathlib.Path("next").exists():
    time.sleep(0.01)
"""


def held(folder: Path, code: str = WAITS) -> HeldJob:
    run_id = uuid.uuid4().hex
    return HeldJob([sys.executable, "-c", code], folder / "log", run_id, folder, {**os.environ, RUN_ID: run_id})


def test_it_waits_for_the_word_and_tells_once_that_it_has_measured(tmp_path: Path) -> None:
    job, calls = held(tmp_path), []
    time.sleep(0.3)
    assert not (tmp_path / "went").exists()

    def measured() -> None:
        calls.append((tmp_path / "went").exists())
        (tmp_path / "next").touch()

    outcome = job.run(30.0, measured)
    assert (outcome.status, outcome.exit_code) == ("ended", 0)
    assert calls == [True]
    assert survivors(job.run_id) == []


def test_one_that_is_dropped_leaves_nothing(tmp_path: Path) -> None:
    job = held(tmp_path)
    job.end()
    assert survivors(job.run_id) == []
    assert not (tmp_path / "went").exists()


def test_time_limit_and_a_crash_before_the_word(tmp_path: Path) -> None:
    assert held(tmp_path).run(0.5, lambda: None).status == "timeout"
    crashing = held(tmp_path, "raise SystemExit('no torch here')")
    time.sleep(0.3)
    outcome = crashing.run(30.0, lambda: None)
    assert (outcome.status, outcome.exit_code) == ("ended", 1)
    assert "no torch here" in outcome.log_tail[-1]


def test_what_is_wrong_with_the_next_point_is_told_at_its_turn(tmp_path: Path) -> None:
    """The point that runs goes on; and a job for another point than the one whose turn it is does not stay."""
    changes = {"cluster": {"mpirun": "/nowhere/mpirun"}}
    first, second = (
        make_point(point=f"p{order}", order=order, paths={"point": str(tmp_path / f"p{order}")}, **changes) for order in (0, 1)
    )
    following = NextPoint([first, second], wanted=True)
    following.start_after(first, lambda point: True)  # no error here
    with pytest.raises(UserError, match="mpirun is missing"):
        following.take(second)
    following.drop()
