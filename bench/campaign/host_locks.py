"""One campaign at a time on a machine: a file for each host, locked as long as the campaign lives.

The kernel lets go of a lock when its process ends, however that ends. The files are those of the machine that campaigns are
started on; two machines that start campaigns on the same boards do not see each other's.
"""

from __future__ import annotations

import fcntl
import getpass
import json
import os
import re
import socket
import stat
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import IO

import psutil

from bench.common.user_error import UserError
from bench.config.point_config import PointConfig

FOLDER = "EDGEJOULE_LOCKS"
SHARED = Path("/run/lock")
HERE = "localhost"
EVERYBODY = 0o666


def lock_folder(environment: Mapping[str, str] | None = None) -> Path:
    """The folder of the locks, the same for all users of the machine.

    Args:
        environment: Its ``EDGEJOULE_LOCKS`` comes first; null: that of this process.

    Returns:
        The folder, which need not exist.
    """
    folder = (os.environ if environment is None else environment).get(FOLDER)
    if folder:
        return Path(folder)
    try:  # not whether we may write there: the answer must be the same for everybody
        open_to_all = bool(SHARED.stat().st_mode & stat.S_IWOTH)
    except OSError:
        open_to_all = False
    return SHARED / "edgejoule" if open_to_all else Path(tempfile.gettempdir()) / "edgejoule-locks"


def hosts_of(points: Sequence[PointConfig]) -> dict[str, str]:
    """The hosts to lock for some points.

    Emulated boards have locks of their own (``bench.testbed``); of them it is this machine, whose cores they share.

    Args:
        points: Resolved points.

    Returns:
        By host key, in order, the name of the cluster that has the host.
    """
    clusters = {}
    for point in points:
        cluster = point.cluster
        addresses = [HERE] if cluster.emulated is not None else [host.address for host in cluster.hosts]
        clusters.update({host_key(address): cluster.name for address in addresses})
    return dict(sorted(clusters.items()))


def host_key(address: str) -> str:
    """One name for one machine.

    Args:
        address: A name or number, with or without ``USER@``.

    Returns:
        ``localhost`` for this machine under any of its names, else the number, or the name where it has none.
    """
    name = address.rsplit("@", 1)[-1].lower()
    if name in (HERE, socket.gethostname().lower()):
        return HERE
    try:
        number = socket.getaddrinfo(name, None)[0][4][0]
    except OSError:
        return name
    own_addresses = {entry.address for entries in psutil.net_if_addrs().values() for entry in entries}
    return HERE if number in own_addresses or str(number).startswith("127.") else str(number)


class Locks:
    """``with Locks(points): ...`` while a campaign runs them. UserError where another campaign has one of their hosts."""

    def __init__(self, points: Sequence[PointConfig], folder: Path | None = None) -> None:
        self.hosts = hosts_of(points) if points else {}
        self.study = points[0].study if points else ""
        self.folder = folder or lock_folder()
        self._stack = ExitStack()

    def __enter__(self) -> Locks:
        with ExitStack() as stack:
            for host, cluster in self.hosts.items():
                file = stack.enter_context(self._lock(host, cluster))
                stack.callback(file.truncate, 0)  # before it is closed: the next one is not told of us
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()

    def _lock(self, host: str, cluster: str) -> IO[str]:
        path = self.folder / f"{re.sub(r'[^A-Za-z0-9_.-]', '_', host)}.lock"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if self.folder.stat().st_uid == os.geteuid():
                self.folder.chmod(0o1777)
            file = _open(path)
        except OSError as error:
            raise UserError(
                f"campaigns cannot be locked in {self.folder} ({error.strerror}); give {FOLDER} a folder that all users of "
                "this machine can write to"
            ) from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            with file:
                raise UserError(f"cluster {cluster} is in use (host {host}): {_holder(file)}") from None
        file.seek(0)
        file.truncate()
        started = datetime.now().astimezone().isoformat(timespec="seconds")
        json.dump({"pid": os.getpid(), "user": _user(), "study": self.study, "started": started}, file)
        file.flush()
        return file


def _open(path: Path) -> IO[str]:
    """Open for reading and writing, by everybody.

    Without O_CREAT where it exists: the kernel may refuse that for another user's file in a folder that all can write to
    (fs.protected_regular).
    """
    for flags in (os.O_RDWR, os.O_RDWR | os.O_CREAT | os.O_EXCL, os.O_RDWR):
        try:
            handle = os.open(path, flags | os.O_CLOEXEC, EVERYBODY)
        except (FileNotFoundError, FileExistsError):
            continue
        if flags & os.O_CREAT:
            os.fchmod(handle, EVERYBODY)  # whatever the umask
        return os.fdopen(handle, "r+", encoding="utf-8")
    raise FileNotFoundError(2, "the lock file comes and goes", str(path))


def _holder(file: IO[str]) -> str:
    try:
        held = json.load(file)
        who = f"process {held['pid']} of {held['user']} measures study {held['study']} since {held['started']}"
        return f"{who}; wait for its end, or end it with: kill -INT {held['pid']}"
    except (OSError, ValueError, KeyError, TypeError):  # it is just writing
        return "another campaign measures there; wait for its end"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return str(os.getuid())
