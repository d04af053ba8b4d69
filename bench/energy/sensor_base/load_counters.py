"""How busy a host is, as the kernel counts it: cores, their clocks, the GPU, bytes on the wire and of the memory."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from bench.energy.sensor_base.source import Place

READ_BYTES = 65536
BUSY_FIELDS = (1, 2, 3, 6, 7)  # user nice system - - irq softirq
GPU_FILES = {
    "sys/devices/platform/gpu.0/load": 1000,
    "sys/devices/gpu.0/load": 1000,
    "sys/devices/platform/*/*.gpu/load": 1000,
    "sys/devices/platform/*.gpu/load": 1000,
    "sys/class/drm/card*/device/gpu_busy_percent": 100,
}
"""Where the use of a GPU may lie (Jetson's in thousandths), and what it is when the GPU is busy."""
CLOCKS = "sys/devices/system/cpu/cpu{core}/cpufreq/scaling_cur_freq"
MEMORY = "sys/fs/resctrl/mon_data/mon_L3_*/mbm_total_bytes"


def busy_ticks(text: str) -> tuple[int, list[tuple[int, int]]]:
    """The busy clock ticks in ``/proc/stat``.

    User (guests are inside it), nice, system and interrupt time count. Waiting for a disk does not: the core sleeps. Nor does
    stolen time: another virtual machine had the core, and its joules are not ours.

    Args:
        text: The file's text.

    Returns:
        Those of all cores together, and number and ticks of each core.
    """
    lines = [line.split() for line in text.splitlines() if line.startswith("cpu")]
    ticks = [sum(int(fields[i]) for i in BUSY_FIELDS) for fields in lines]
    return ticks[0], [(int(fields[0][3:]), count) for fields, count in zip(lines[1:], ticks[1:], strict=True)]


class Files:
    """Files of one number each that are read again and again.

    Args:
        place: Whose opener opens them.
        paths: The files.

    Raises:
        OSError: One of them cannot be opened or read.
        ValueError: One of them has no number.
    """

    def __init__(self, place: Place, paths: Sequence[Path]) -> None:
        self._files = [place.opener(path) for path in paths]
        self.values()

    def values(self) -> list[int]:
        """The number in each file."""
        return [int(os.pread(file, 64, 0)) for file in self._files]

    def close(self) -> None:
        """Close them."""
        for file in self._files:
            os.close(file)


def gpu_file(root: Path) -> tuple[Path, int] | None:
    """The file with the use of the GPU.

    Args:
        root: A real ``/``, or a tree.

    Returns:
        The file, and its value when the GPU is busy; None where there is none.
    """
    return next(((path, full) for pattern, full in GPU_FILES.items() for path in sorted(root.glob(pattern))), None)


def network_files(root: Path) -> list[Path]:
    """The kernel's counts of bytes sent and received, of interfaces that are hardware.

    Args:
        root: A real ``/``, or a tree.

    Returns:
        Two files for each interface.
    """
    cards = [path for path in sorted(root.glob("sys/class/net/*")) if (path / "device").exists()]
    return [card / "statistics" / name for card in cards for name in ("rx_bytes", "tx_bytes")]
