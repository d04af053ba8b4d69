"""A wrapper's side of its host's agent: the first wrapper of a host starts it, all talk to it over a socket.

The agent is a process of its own, so that a wrapper may be killed without the host's readings. It ends when its wrappers have.
Lines of JSON go to and fro: ``hello``, then ``go`` or ``refused``; ``started``, ``ended``, and to whom ended last, ``done``.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.common.paths import JOB_FOLDER
from bench.common.user_error import UserError
from bench.monitor.monitor_order import MonitorOrder
from bench.record.record_file import Json

MODULE = "bench.monitor.host_agent"
SOCKET, LOG, REGIONS = "agent.sock", "agent.log", "regions"
BACKLOG = 4096


def meeting_folder(job: str, label: str) -> Path:
    """The folder in which the wrappers of a host and its agent meet.

    Args:
        job: The same text on all ranks of the job.
        label: The host's name: hosts may share a machine.

    Returns:
        A folder of this machine that nobody else may write into; it need not be there.

    Raises:
        UserError: Somebody else's folder is in its place.
    """
    top = Path(tempfile.gettempdir()) / f"edgejoule-monitor-{os.getuid()}"
    with contextlib.suppress(FileExistsError):
        top.mkdir(mode=0o700)
    about = top.lstat()
    if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.getuid() or about.st_mode & 0o077:
        raise UserError(f"{top} is not a folder of yours alone; remove it, or set TMPDIR to another folder")
    return top / hashlib.sha256(f"{job}\0{label}".encode()).hexdigest()[:12]


@dataclass
class AgentLink:
    """An open connection. ``starter`` tells whether this wrapper started the agent: then it speaks for its host."""

    meeting: Path
    starter: bool
    connection: socket.socket

    def __post_init__(self) -> None:
        """Make a reader of lines."""
        self.lines = self.connection.makefile("r")

    @property
    def regions(self) -> Path:
        """The folder for the files of regions."""
        return self.meeting / REGIONS

    def tell(self, message: Json) -> None:
        """Send a line; an agent that is gone is seen when it is asked.

        Args:
            message: What JSON has.
        """
        with contextlib.suppress(OSError):
            self.connection.sendall(json.dumps(message).encode() + b"\n")

    def answer(self) -> Json | None:
        """Wait for a line; None where the agent is gone."""
        try:
            line = self.lines.readline()
        except OSError:
            line = ""
        return json.loads(line) if line else None

    def why_gone(self) -> str:
        """The last line that the agent left, for an agent that is gone."""
        try:
            lines = (self.meeting / LOG).read_text().strip().splitlines()
        except OSError:
            lines = []
        return lines[-1] if lines else "it left no word"


def join(job: str, order: MonitorOrder) -> AgentLink:
    """Connect to the agent of this host; start it where there is none.

    Args:
        job: The same text on all ranks of the job.
        order: What the agent is to do.

    Returns:
        The connection.

    Raises:
        UserError: The agent's folder cannot be made.
    """
    meeting = meeting_folder(job, order.label)
    lock = meeting.with_suffix(".lock")
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        starter = False
        try:
            connection = _connected(meeting)
        except OSError:
            _start(meeting, order)
            connection, starter = _connected(meeting), True
    return AgentLink(meeting, starter, connection)


@contextlib.contextmanager
def _short(meeting: Path) -> Iterator[str]:
    """A name of a folder that fits into a socket's address, 107 bytes, however long its path is."""
    opened = os.open(meeting, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{opened}"
    finally:
        os.close(opened)


def _connected(meeting: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _short(meeting) as folder:
            connection.connect(f"{folder}/{SOCKET}")
    except OSError:
        connection.close()
        raise
    return connection


def _start(meeting: Path, order: MonitorOrder) -> None:
    """The listening socket is made here, so that whoever comes next finds it."""
    (meeting / REGIONS).mkdir(parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening, (meeting / LOG).open("wb") as log:
        (meeting / SOCKET).unlink(missing_ok=True)
        with _short(meeting) as folder:
            listening.bind(f"{folder}/{SOCKET}")
        listening.listen(BACKLOG)
        agent = subprocess.Popen(
            [sys.executable, "-m", MODULE, str(listening.fileno()), str(meeting)],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            cwd=JOB_FOLDER,
            pass_fds=[listening.fileno()],
            start_new_session=True,
        )
    assert agent.stdin is not None
    with contextlib.suppress(BrokenPipeError), agent.stdin:
        agent.stdin.write(order.to_json().encode() + b"\n")
