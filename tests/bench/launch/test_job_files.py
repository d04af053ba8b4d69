"""A job's own files: out of the way of what other jobs left, and gone when it has ended."""

from __future__ import annotations

import shlex
import socket
import sys
from pathlib import Path

import pytest

from bench.launch import supervised_process
from bench.launch.mpirun import find_mpirun
from tests.command_line import environment

pytestmark = pytest.mark.machine

SHOW = "import os; print('files in', os.environ['PMIX_SERVER_TMPDIR'])"


def after_a_killed_one(tmp_path: Path) -> list[str]:
    """An mpirun whose PID is that of a killed one, which has left its files."""
    left = f"{tmp_path}/ompi.$$"
    job = shlex.join([find_mpirun(), "-n", "1", sys.executable, "-c", SHOW])
    host = shlex.quote(socket.gethostname().split(".")[0])
    return ["/bin/sh", "-c", f"mkdir {left} && touch {left}/pmix.{host}.tool {left}/pmix.{host}.tool.$$ && exec {job}"]


def test_files_left_by_a_killed_mpirun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command, log = after_a_killed_one(tmp_path), tmp_path / "log"
    env = environment(TMPDIR=str(tmp_path))
    del env[supervised_process.SESSIONS]
    outcome = supervised_process.run(command, log, 60, "leftovers", tmp_path, env)
    assert (outcome.status, outcome.exit_code) == ("ended", 0), outcome.log_tail
    (line,) = [line for line in outcome.log_tail if line.startswith("files in ")]
    assert "edgejoule-mpirun-" in line
    assert not Path(line.removeprefix("files in ")).parent.exists()
    monkeypatch.setattr(supervised_process, "SESSIONS", "SOME_OTHER_VARIABLE")  # what happens without: it is not for nothing
    outcome = supervised_process.run(command, log, 60, "leftovers", tmp_path, env)
    assert outcome.exit_code != 0
    assert "listener thread failed to start" in "\n".join(outcome.log_tail)
