"""Running mpirun to its end: time limit, log, and no process left behind.

Ranks live in process groups of their own, so killing mpirun's group leaves them spinning. A job is ended by SIGTERM to
mpirun, which ends its ranks; whatever then still carries the run's id in its environment is killed by itself.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

RUN_ID = "BENCH_RUN_ID"
GRACE_S = 10.0
LOG_LINES = 40
SESSIONS = "PRTE_MCA_prte_local_tmpdir_base"
ERROR_WORDS = ("error:", "Error", "Exception", "not enough slots", "was unable", "signal", "Killed")


@dataclass(frozen=True)
class Outcome:
    """How a job ended. ``log_tail`` has its last lines."""

    status: Literal["ended", "timeout", "interrupted"]
    exit_code: int
    log_tail: list[str]


def run(command: Sequence[str], log: Path, timeout_s: float, run_id: str, cwd: Path, env: dict[str, str]) -> Outcome:
    """Run a command to its end, within a time limit, and leave no process of it.

    Args:
        command: Its words.
        log: The file for its output and errors, which is replaced.
        timeout_s: The time limit in seconds; then it is ended.
        run_id: The run's id, by which processes that are left are known.
        cwd: The working folder.
        env: All its variables; must have ``BENCH_RUN_ID`` with ``run_id``.

    Returns:
        How it ended; Ctrl-C is ``interrupted``, after the job has been ended.
    """
    status: Literal["ended", "timeout", "interrupted"] = "ended"
    with log.open("wb") as output, session_folder() as variables:
        job = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=cwd,
            env={**env, **variables},
            start_new_session=True,
        )
        try:
            job.wait(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            status = "timeout"
            end_job(job)
        except KeyboardInterrupt:
            status = "interrupted"
            end_job(job)
        sweep(run_id)
    return Outcome(status, job.returncode, tail(log))


@contextmanager
def session_folder() -> Iterator[dict[str, str]]:
    """Variables with which Open MPI 5's mpirun keeps its files in a folder of its own, removed at the end.

    By itself it keeps them in /tmp/ompi.PID and leaves them there when it is killed; a later mpirun that gets the same PID
    then cannot start.
    """
    with tempfile.TemporaryDirectory(prefix="edgejoule-mpirun-", ignore_cleanup_errors=True) as folder:
        yield {SESSIONS: folder}


def end_job(job: subprocess.Popen[bytes]) -> None:
    """End an mpirun: SIGTERM, by which it ends its ranks, twice; then SIGKILL.

    Args:
        job: The process of mpirun.
    """
    for _ in range(2):
        job.send_signal(signal.SIGTERM)
        try:
            job.wait(timeout=GRACE_S)
            return
        except subprocess.TimeoutExpired:
            continue
    job.kill()
    job.wait()


def sweep(run_id: str) -> int:
    """Kill what is left of a run on this machine.

    Args:
        run_id: The run's id.

    Returns:
        The number of processes that were left.
    """
    left = survivors(run_id)
    for pid in left:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    deadline = time.monotonic() + GRACE_S
    while survivors(run_id) and time.monotonic() < deadline:
        time.sleep(0.05)
    return len(left)


def survivors(run_id: str) -> list[int]:
    """Processes that carry the run's id in their environment, ourselves excepted; zombies have none.

    Args:
        run_id: The run's id.

    Returns:
        The numbers of the processes.
    """
    mark, pids = f"{RUN_ID}={run_id}".encode(), []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (folder / "environ").read_bytes().split(b"\0") and int(folder.name) != os.getpid():
                pids.append(int(folder.name))
        except OSError:
            continue
    return pids


def tail(log: Path, lines: int = LOG_LINES) -> list[str]:
    """The last lines of a log.

    Args:
        log: The file.
        lines: How many at most.

    Returns:
        The lines, without line breaks.
    """
    return log.read_text(errors="replace").splitlines()[-lines:]


def telling_line(log_tail: Sequence[str]) -> str:
    """The line of a log that says most about a failure: a rank's own error, else the last that is not decoration.

    Args:
        log_tail: The last lines of the log.

    Returns:
        The line, at most 300 characters; ``no output`` for an empty log.
    """
    telling = [line for line in log_tail if any(word in line for word in ERROR_WORDS) and "Traceback" not in line]
    named = [line for line in telling if line.startswith("error:") or line.split(":")[0].endswith(("Error", "Exception"))]
    plain = [line for line in log_tail if line.strip(" -*")]
    chosen = (named or telling or plain or ["no output"])[-1 if not named else 0]
    return chosen.strip()[:300]
