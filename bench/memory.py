"""Memory of this process as the kernel counts it."""

from __future__ import annotations

import resource
from pathlib import Path

PROC = Path("/proc/self")


def resident_bytes() -> int:
    """Resident set size now."""
    return int((PROC / "statm").read_text().split()[1]) * resource.getpagesize()


def reset_peak() -> bool:
    """Start a new peak (Linux: 5 into ``clear_refs``); False where the kernel does not let us."""
    try:
        (PROC / "clear_refs").write_text("5")
    except OSError:
        return False
    return True


def peak_bytes() -> int:
    """The largest resident set size since ``reset_peak``, or since the start of the process without it."""
    for line in (PROC / "status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
