"""``edgejoule.region``: names a stretch of a program, so that ``edgejoule monitor`` can tell its joules.

    with edgejoule.region("forward"):
        ...

    @edgejoule.region("backward")
    def backward(): ...

Nothing but the standard library is imported. Each process writes into a file of its own that is mapped into memory: what was
written stays when the process is killed. Without ``edgejoule monitor`` around the program a region does nothing.
"""

from __future__ import annotations

import itertools
import json
import mmap
import os
import struct
import threading
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

FOLDER = "EDGEJOULE_MONITOR"
"""The variable that ``edgejoule monitor`` sets: the folder for these files."""
RANK = "EDGEJOULE_MONITOR_RANK"
"""The wrapper's own rank: that of a program that no further launcher starts."""

HEADER_BYTES = 4096
ENTRY = struct.Struct("<IIqqII")
"""Name, slot of the region around it plus one (0: none), begin and end in CLOCK_MONOTONIC ns (end 0: not left), thread, 0."""
FIRST_ENTRIES = 4096
CallableType = TypeVar("CallableType", bound=Callable[..., Any])
Sync = Callable[[], object]


class _Log:
    """The file of this process. Slots are taken in the order in which regions are entered."""

    def __init__(self, folder: str) -> None:
        from bench.monitor.launcher_place import launcher_place

        place = launcher_place(os.environ)
        rank = place.rank if place.launcher else int(os.environ.get(RANK, "0"))
        self.path = Path(folder) / f"{os.getpid()}-{time.monotonic_ns()}.regions"
        about = {"pid": os.getpid(), "rank": rank, "launcher": place.launcher, "main": os.getpid()}
        self.lock, self.slots, self.local = threading.Lock(), itertools.count(), threading.local()
        self.file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self.names = os.open(self.path.with_suffix(".names"), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        os.write(self.file, json.dumps(about).encode().ljust(HEADER_BYTES))
        self.ids: dict[str, int] = {}
        self.entries = 0
        self.grow(FIRST_ENTRIES)

    def grow(self, entries: int) -> None:
        os.ftruncate(self.file, HEADER_BYTES + entries * ENTRY.size)
        self.map = mmap.mmap(self.file, 0)
        self.entries = entries

    def name(self, text: str) -> int:
        with self.lock:
            if text not in self.ids:
                os.write(self.names, json.dumps(text).encode() + b"\n")
                self.ids[text] = len(self.ids)
            return self.ids[text]

    def enter(self, text: str) -> tuple[int, int]:
        name = self.ids.get(text)
        if name is None:
            name = self.name(text)
        slot = next(self.slots)
        if slot >= self.entries:
            with self.lock:
                while slot >= self.entries:
                    self.grow(2 * self.entries)
        try:
            stack: list[int] = self.local.stack
        except AttributeError:
            stack, self.local.thread = [], threading.get_native_id()
            self.local.stack = stack
        begin_ns = time.monotonic_ns()
        around = stack[-1] + 1 if stack else 0
        ENTRY.pack_into(self.map, HEADER_BYTES + slot * ENTRY.size, name, around, begin_ns, 0, self.local.thread, 0)
        stack.append(slot)
        return slot, begin_ns

    def leave(self, slot: int) -> None:
        end_ns = time.monotonic_ns()
        struct.pack_into("<q", self.map, HEADER_BYTES + slot * ENTRY.size + 16, end_ns)
        stack: list[int] = getattr(self.local, "stack", [])
        if stack and stack[-1] == slot:
            stack.pop()
        elif slot in stack:  # left in another order than entered: the reader sees it by the times
            stack.remove(slot)


class _Process:
    """The log of this process: made when the first region is entered, made anew in a forked child."""

    def __init__(self) -> None:
        self.log: _Log | None = None
        self.closed = False
        self.making = threading.Lock()

    def opened(self) -> _Log | None:
        if self.log is None and not self.closed:
            with self.making:
                folder = os.environ.get(FOLDER)
                if self.log is None and not self.closed:
                    try:
                        self.log = _Log(folder) if folder else None
                    except Exception:  # noqa: BLE001 -- whatever is wrong with the file, the program is not to suffer
                        self.log = None
                    self.closed = self.log is None
        return self.log

    def forked(self) -> None:
        self.__init__()  # type: ignore[misc]


_process = _Process()
os.register_at_fork(after_in_child=_process.forked)


class region:
    """A stretch of the program under a name; regions may lie inside of each other.

    Args:
        name: The name in the record; that of a region inside of another one follows it: ``step/forward``.
        sync: Called at the begin and at the end, such as ``torch.cuda.synchronize``: a GPU's work runs on after the call.
    """

    __slots__ = ("_open", "name", "sync")

    def __init__(self, name: str, sync: Sync | None = None) -> None:
        if not isinstance(name, str) or not name.strip() or "/" in name or len(name) > 200:
            raise ValueError(f"region({name!r:.60}): a name is text of at most 200 characters without '/'")
        self.name, self.sync = name, sync
        self._open: list[tuple[_Log, int]] = []

    def __enter__(self) -> region:
        log = _process.log or _process.opened()
        if log is None:
            return self
        if self.sync is not None:
            self.sync()
        self._open.append((log, log.enter(self.name)[0]))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if not self._open:
            return
        log, slot = self._open.pop()
        if log is not _process.log:  # entered before a fork: the parent leaves it
            return
        if self.sync is not None:
            self.sync()
        log.leave(slot)

    def __call__(self, function: CallableType) -> CallableType:
        """A function whose every call is this region.

        Args:
            function: A function, or a coroutine function, whose waiting then counts too.

        Returns:
            The function in the region.
        """
        from inspect import iscoroutinefunction

        name, sync = self.name, self.sync
        if iscoroutinefunction(function):

            @wraps(function)
            async def in_region(*arguments: Any, **more: Any) -> Any:
                with region(name, sync):
                    return await function(*arguments, **more)
        else:

            @wraps(function)
            def in_region(*arguments: Any, **more: Any) -> Any:
                with region(name, sync):
                    return function(*arguments, **more)

        return in_region  # type: ignore[return-value]
