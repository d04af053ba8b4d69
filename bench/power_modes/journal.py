"""The states to put back on a host, on disk before anything is touched: a guard that was killed leaves it to the next one.

It lies in ``/var/lib`` and not in ``/run``, because nvpmodel's mode outlives a reboot: a board that breaks down under the
mode that it was tried in must come back to its own.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.common.user_error import UserError
from bench.power_modes.machine_files import Machine, text

FOLDER = "var/lib/edgejoule"
SCHEMA = "edgejoule.power/1"
FILE = "power.json"
LOCK_WAIT_S = 60.0
POLL_S = 0.1


def boot_id(machine: Machine) -> str | None:
    """The kernel's id of this boot.

    Args:
        machine: The machine that is asked.

    Returns:
        The id; None where the kernel tells none.
    """
    return text(machine.root / "proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class JournalEntry:
    """The states that were there before a power ``mode`` was set, by the names of their controls, and the boot of then."""

    mode: str
    boot_id: str | None
    states: Mapping[str, object]


class Journal:
    """The journal of a host in ``folder``; used by one guard at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / FILE

    @contextlib.contextmanager
    def held(self, wait_s: float = LOCK_WAIT_S) -> Iterator[None]:
        """Hold the host's power mode; waits for a guard that is just restoring.

        Args:
            wait_s: The longest wait for another guard, s.

        Yields:
            Nothing, while the lock is held.

        Raises:
            UserError: Another guard keeps the mode, or the folder cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o664)
        except OSError as error:
            raise UserError(
                f"{self.folder} cannot be written ({error.strerror}), where the state to put back is kept; run as root, or "
                f"make it yours: sudo install -d -o USER {self.folder}"
            ) from None
        try:
            self._lock(lock, time.monotonic() + wait_s)
            os.ftruncate(lock, 0)
            os.pwrite(lock, str(os.getpid()).encode(), 0)
            yield
        finally:
            os.close(lock)

    def _lock(self, lock: int, deadline: float) -> None:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except OSError as error:
                if error.errno not in (errno.EAGAIN, errno.EACCES):
                    raise
            if time.monotonic() > deadline:
                holder = os.pread(lock, 32, 0).decode() or "unknown"
                raise UserError(
                    f"another run keeps the power mode of this host (guard process {holder}); wait for it, or end it with "
                    f"kill {holder}"
                )
            time.sleep(POLL_S)

    def write(self, machine: Machine, mode: str, states: Mapping[str, object]) -> None:
        """Keep the states to restore; on disk when it returns.

        Args:
            machine: The machine that they are of.
            mode: The name of the power mode that is about to be set.
            states: The states by the names of their controls, in the order in which these are set.
        """
        entry = {"schema": SCHEMA, "boot_id": boot_id(machine), "pid": os.getpid(), "mode": mode, "states": states}
        partial = self.path.with_suffix(".new")
        with partial.open("w") as file:
            json.dump(entry, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self.path)
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def read(self) -> JournalEntry | None:
        """What a guard left that could not restore. Raises UserError for a file that is not whole."""
        try:
            entry = json.loads(self.path.read_text())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise UserError(f"{self.path} cannot be read ({error}); set the power mode back by hand, then remove it") from None
        if entry.get("schema") != SCHEMA:
            raise UserError(
                f"{self.path} has schema {entry.get('schema')!r}, not {SCHEMA!r}; run the version that wrote it once"
            )
        return JournalEntry(entry["mode"], entry["boot_id"], entry["states"])

    def remove(self) -> None:
        """Forget the states: they are restored."""
        self.path.unlink(missing_ok=True)
