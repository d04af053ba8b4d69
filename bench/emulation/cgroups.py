"""Control groups of the boards: processor quota, memory limit, who is in them. Versions 1 and 2, under an injectable root.

A board's group is ``ej-TESTBED/BOARD`` under the root of the hierarchy. Its numbers are read from files alone.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from bench.common.user_error import UserError
from bench.emulation import PREFIX

ROOT = Path("/sys/fs/cgroup")
NEEDED = ("cpu", "memory")
WAIT_S = 5.0
USEC = 1e-6


class Cgroups(ABC):
    """Both versions of control groups; ``hierarchies`` are the folders in which a board has a group."""

    version: ClassVar[int]

    def __init__(self, hierarchies: dict[str, Path]) -> None:
        self.hierarchies = hierarchies

    @abstractmethod
    def limit(self, testbed: str, board: str, quota_us: tuple[int, int] | None, memory_bytes: int | None) -> None:
        """Make the board's group where there is none, and set its limits.

        Args:
            testbed: The testbed's name.
            board: The board's name.
            quota_us: Processor time and the period that it is of, in microseconds; None: no limit.
            memory_bytes: Limit of memory with swap; None: no limit.
        """

    @abstractmethod
    def quota_cores(self, testbed: str, board: str) -> float | None:
        """The processor quota of a board as the kernel has it.

        Args:
            testbed: The testbed's name.
            board: The board's name.

        Returns:
            The cores that the board may use; None: all.
        """

    @abstractmethod
    def memory_bytes(self, testbed: str, board: str) -> int | None:
        """The memory limit of a board as the kernel has it.

        Args:
            testbed: The testbed's name.
            board: The board's name.

        Returns:
            The limit in bytes; None: none.
        """

    @abstractmethod
    def oom_kills(self, testbed: str, board: str) -> int:
        """Count the processes of a board that the kernel has killed for memory.

        Args:
            testbed: The testbed's name.
            board: The board's name.

        Returns:
            The number since the group was made.
        """

    @abstractmethod
    def cpu_file(self, testbed: str, board: str) -> Path:
        """The file with the processor time that a board has used.

        Args:
            testbed: The testbed's name.
            board: The board's name.

        Returns:
            Its path; version 1 counts nanoseconds in it, version 2 microseconds (``usage_usec``).
        """

    def groups(self, testbed: str, board: str) -> list[Path]:
        """The groups of a board.

        Args:
            testbed: The testbed's name.
            board: The board's name.

        Returns:
            A folder in each hierarchy, whether or not it exists.
        """
        return [path / f"{PREFIX}{testbed}" / board for path in dict.fromkeys(self.hierarchies.values())]

    def boards(self, testbed: str) -> list[str]:
        """The boards of a testbed that have a group now.

        Args:
            testbed: The testbed's name.

        Returns:
            Their names, sorted.
        """
        tops = [path / f"{PREFIX}{testbed}" for path in self.hierarchies.values()]
        return sorted({folder.name for top in tops if top.is_dir() for folder in top.iterdir() if folder.is_dir()})

    def processes(self, testbed: str, board: str) -> list[int]:
        """The processes in the groups of a board.

        Args:
            testbed: The testbed's name.
            board: The board's name.

        Returns:
            Their numbers on this machine, sorted.
        """
        pids = set()
        for group in self.groups(testbed, board):
            pids |= {int(word) for word in _read(group / "cgroup.procs").split()}
        return sorted(pids - {0})

    def remove(self, testbed: str) -> None:
        """Remove all groups of a testbed, whose processes have been killed.

        Args:
            testbed: The testbed's name.

        Raises:
            UserError: The kernel refuses, for longer than a dead process takes to go.
        """
        for top in {path / f"{PREFIX}{testbed}" for path in self.hierarchies.values()}:
            for group in [*(path for path in sorted(top.glob("*")) if path.is_dir()), top]:
                _rmdir(group)


class Version1(Cgroups):
    """A hierarchy for each controller."""

    version: ClassVar[int] = 1

    def limit(self, testbed: str, board: str, quota_us: tuple[int, int] | None, memory_bytes: int | None) -> None:
        """Quota in microseconds of a period, memory in bytes, with swap."""
        for group in self.groups(testbed, board):
            group.mkdir(parents=True, exist_ok=True)
        cpu, memory = self._group("cpu", testbed, board), self._group("memory", testbed, board)
        _write(cpu / "cpu.cfs_quota_us", "-1")  # the kernel checks quota and period together: not a mixture of old and new
        if quota_us is not None:
            _write(cpu / "cpu.cfs_period_us", str(quota_us[1]))
            _write(cpu / "cpu.cfs_quota_us", str(quota_us[0]))
        swap = memory / "memory.memsw.limit_in_bytes"
        with_swap = [swap] if swap.exists() else []  # absent where the kernel does not count swap
        for path in [*with_swap, memory / "memory.limit_in_bytes"]:  # with swap may not be less than without
            _write(path, "-1")
        if memory_bytes is not None:
            for path in [memory / "memory.limit_in_bytes", *with_swap]:
                _write(path, str(memory_bytes))

    def quota_cores(self, testbed: str, board: str) -> float | None:
        """Quota over period."""
        cpu = self._group("cpu", testbed, board)
        quota, period = _number(cpu / "cpu.cfs_quota_us"), _number(cpu / "cpu.cfs_period_us")
        return quota / period if quota is not None and quota > 0 and period else None

    def memory_bytes(self, testbed: str, board: str) -> int | None:
        """The limit in bytes."""
        limit = _number(self._group("memory", testbed, board) / "memory.limit_in_bytes")
        return limit if limit is not None and 0 < limit < 2**62 else None  # without one the kernel says a huge number

    def oom_kills(self, testbed: str, board: str) -> int:
        """The kernel's count."""
        return _field(self._group("memory", testbed, board) / "memory.oom_control", "oom_kill")

    def cpu_file(self, testbed: str, board: str) -> Path:
        """The file that counts processor time."""
        return self._group("cpuacct", testbed, board) / "cpuacct.usage"

    def _group(self, controller: str, testbed: str, board: str) -> Path:
        return self.hierarchies[controller] / f"{PREFIX}{testbed}" / board


class Version2(Cgroups):
    """One hierarchy for all controllers."""

    version: ClassVar[int] = 2

    def limit(self, testbed: str, board: str, quota_us: tuple[int, int] | None, memory_bytes: int | None) -> None:
        """Quota in microseconds of a period, memory in bytes, with swap."""
        (group,), root = self.groups(testbed, board), self.hierarchies["cpu"]
        group.mkdir(parents=True, exist_ok=True)
        for parent in (root, group.parent):  # controllers are handed down level by level
            if not set(NEEDED) <= set(_read(parent / "cgroup.subtree_control").split()):
                _write(parent / "cgroup.subtree_control", " ".join(f"+{name}" for name in NEEDED))
        _write(group / "cpu.max", "max 100000" if quota_us is None else f"{quota_us[0]} {quota_us[1]}")
        _write(group / "memory.max", "max" if memory_bytes is None else str(memory_bytes))
        if (group / "memory.swap.max").exists():
            _write(group / "memory.swap.max", "max" if memory_bytes is None else "0")

    def quota_cores(self, testbed: str, board: str) -> float | None:
        """Quota over period."""
        words = _read(self.groups(testbed, board)[0] / "cpu.max").split()
        return int(words[0]) / int(words[1]) if words and words[0] != "max" else None

    def memory_bytes(self, testbed: str, board: str) -> int | None:
        """The limit in bytes."""
        return _number(self.groups(testbed, board)[0] / "memory.max")

    def oom_kills(self, testbed: str, board: str) -> int:
        """The kernel's count."""
        return _field(self.groups(testbed, board)[0] / "memory.events", "oom_kill")

    def cpu_file(self, testbed: str, board: str) -> Path:
        """The file that counts processor time."""
        return self.groups(testbed, board)[0] / "cpu.stat"


def find_cgroups(root: Path = ROOT) -> Cgroups:
    """The version of control groups that has the controllers.

    Args:
        root: The folder that control groups are mounted at.

    Returns:
        Version 2 where it has them, else version 1.

    Raises:
        UserError: Neither has the controllers.
    """
    controllers = set(_read(root / "cgroup.controllers").split())
    if set(NEEDED) <= controllers:
        return Version2(dict.fromkeys(("cpu", "memory"), root))
    hierarchies = {}
    for folder in sorted(root.glob("*/")) if root.is_dir() else []:
        hierarchies.update({name: folder.resolve() for name in folder.name.split(",") if (folder / "cgroup.procs").exists()})
    if {*NEEDED, "cpuacct"} <= set(hierarchies):
        return Version1({name: hierarchies[name] for name in (*NEEDED, "cpuacct")})
    has = ", ".join(sorted(controllers or hierarchies)) or "none"
    raise UserError(
        f"emulated boards need the control groups cpu and memory under {root} (found {has}); boot with them, give the "
        "container its own, or use cluster=local"
    )


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _number(path: Path) -> int | None:
    text = _read(path).strip()
    return int(text) if text.lstrip("-").isdigit() else None


def _field(path: Path, name: str) -> int:
    """A count in lines of ``name value``; 0 where it is not told."""
    lines = [line.split() for line in _read(path).splitlines()]
    return next((int(words[1]) for words in lines if len(words) == 2 and words[0] == name), 0)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text)
    except OSError as error:
        raise UserError(
            f"the kernel refuses {text!r} in {path} ({error.strerror}); emulated boards need root and control groups that can "
            "be written, or use cluster=local"
        ) from None


def _rmdir(group: Path) -> None:
    """The last process may be dead and not yet gone, so the kernel's EBUSY is waited for."""
    deadline = time.monotonic() + WAIT_S
    while group.exists():
        try:
            group.rmdir()
        except OSError as error:
            if time.monotonic() > deadline:
                raise UserError(f"{group} cannot be removed ({error.strerror}); see which processes are in it") from None
            time.sleep(0.02)
