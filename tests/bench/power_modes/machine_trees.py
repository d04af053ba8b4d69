"""Machines for tests: real directory trees with programs that keep their state in files."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from bench.cluster.board_class import BoardClass, BoardMode

TREES = Path(__file__).parent / "trees"
POLICY = "sys/devices/system/cpu/cpufreq/policy{}"
OURS = "var/lib/edgejoule"
SEVEN_W = {"nvpmodel": 1, "governor": "performance", "jetson_clocks": True}
SLOW_PI = {"governor": "powersave", "max_frequency_Hz": 6e8}


def machine(name: str, at: Path) -> Path:
    """A copy of a tree, as the root of a machine of its own."""
    return Path(shutil.copytree(TREES / name, at))


def snapshot(root: Path) -> dict[str, str]:
    """Every file of the machine but our own journal."""
    files = (path for path in sorted(root.rglob("*")) if path.is_file())
    return {name: path.read_text() for path in files if not (name := str(path.relative_to(root))).startswith(OURS)}


def governor(root: Path, policy: int = 0) -> str:
    return read(root, policy, "scaling_governor")


def read(root: Path, policy: int, name: str) -> str:
    return (root / POLICY.format(policy) / name).read_text().strip()


def board(modes: dict[str, Any], name: str = "raspberry-pi-4") -> BoardClass:
    """A board class, as far as its power modes need it."""
    described = {name: BoardMode.from_dict(mode) for name, mode in modes.items()}
    return BoardClass(name, "for tests", power_modes=described, default_mode=next(iter(modes)))
