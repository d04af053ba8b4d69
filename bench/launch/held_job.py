"""A job that is started before its turn: its ranks load what they need and wait for a word on rank 0's standard input.

It is a job of its own in every way, with its own mpirun. While it waits it computes nothing; where whoever started it dies, its
input closes and it ends.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

from bench.launch.supervised_process import Outcome, end_job, session_folder, sweep, tail

HELD = "EDGEJOULE_HELD"
GO = b"go\n"
MEASURED = "edgejoule: measured"
"""The line of rank 0 after the last thing that is measured: from here on another job may load."""
POLL_S = 0.05


class HeldJob:
    """Starts a command, whose worker waits for ``go``.

    Args:
        command: Its words; the ranks' environment must have ``EDGEJOULE_HELD``.
        log: The file for its output and errors, which is replaced.
        run_id: The run's id, by which processes that are left are known.
        cwd: The working folder.
        env: All its variables; must have ``BENCH_RUN_ID`` with ``run_id``.
    """

    def __init__(self, command: Sequence[str], log: Path, run_id: str, cwd: Path, env: dict[str, str]) -> None:
        self.log, self.run_id = log, run_id
        self._stack = ExitStack()
        with ExitStack() as stack:
            output = stack.enter_context(log.open("wb"))
            variables = stack.enter_context(session_folder())
            self._job = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                cwd=cwd,
                env={**env, **variables},
                start_new_session=True,
            )
            self._stack = stack.pop_all()

    def run(self, timeout_s: float, measured: Callable[[], None]) -> Outcome:
        """Let it go, and wait for its end.

        Args:
            timeout_s: The time limit from now on, in seconds; then it is ended.
            measured: Called once, when the job says that nothing more is measured.

        Returns:
            How it ended; Ctrl-C is ``interrupted``, after the job has been ended.
        """
        status: Literal["ended", "timeout", "interrupted"] = "ended"
        deadline = time.monotonic() + timeout_s
        said = False
        try:
            self._go()
            while self._job.poll() is None:
                if time.monotonic() > deadline:
                    status = "timeout"
                    end_job(self._job)
                    break
                time.sleep(POLL_S)
                if not said and MEASURED in self.log.read_text(errors="replace"):
                    said = True
                    measured()
        except KeyboardInterrupt:
            status = "interrupted"
            end_job(self._job)
        return self._ended(status)

    def end(self) -> None:
        """End it without having let it go."""
        if self._job.poll() is None:
            end_job(self._job)
        self._ended("interrupted")

    def _go(self) -> None:
        assert self._job.stdin is not None
        try:
            self._job.stdin.write(GO)
            self._job.stdin.close()
        except BrokenPipeError:
            return  # it has ended: its log says why

    def _ended(self, status: Literal["ended", "timeout", "interrupted"]) -> Outcome:
        sweep(self.run_id)
        self._stack.close()
        return Outcome(status, self._job.returncode, tail(self.log))
