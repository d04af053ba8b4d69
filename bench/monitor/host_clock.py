"""How a host's clock stands to civil time, and how well that is known: what aligns hosts that exchange no messages.

Readings and regions are on CLOCK_MONOTONIC, which starts with each boot. Without MPI the clocks of two hosts meet in civil time
alone (CLOCK_REALTIME), which NTP or PTP keeps on each. How far that may be off is what the daemon says: chrony by its tracking
report, any other by what it told the kernel (``adjtimex``). A clock that nobody keeps has no bound, and the record says so.
"""

from __future__ import annotations

import ctypes
import subprocess
import time
from dataclasses import asdict, dataclass

from bench.record.record_file import Json

PAIRS = 20
STA_UNSYNC, TIME_ERROR = 0x0040, 5
CHRONY = ("chronyc", "-n", "-c", "tracking")
CHRONY_TIMEOUT_S = 2.0
OFFSET_COLUMN, DELAY_COLUMN, DISPERSION_COLUMN, LEAP_COLUMN = 4, 10, 11, 13


@dataclass(frozen=True)
class HostClock:
    """One comparison of a host's two clocks.

    ``civil_ns`` is CLOCK_REALTIME when CLOCK_MONOTONIC was ``monotonic_ns``, to ``read_ns``. ``bound_s`` is how far civil time
    may be off on this host, by ``basis``; None: nobody says.
    """

    monotonic_ns: int
    civil_ns: int
    read_ns: int
    bound_s: float | None
    basis: str

    def to_dict(self) -> Json:
        """The plain values."""
        return asdict(self)


def host_clock() -> HostClock:
    """Compare the clocks of this host now."""
    tries = []
    for _ in range(PAIRS):
        before_ns = time.monotonic_ns()
        civil_ns = time.time_ns()
        after_ns = time.monotonic_ns()
        tries.append((after_ns - before_ns, (before_ns + after_ns) // 2, civil_ns))
    read_ns, monotonic_ns, civil_ns = min(tries)
    bound_s, basis = _chrony() or _kernel()
    return HostClock(monotonic_ns, civil_ns, read_ns, bound_s, basis)


def _chrony() -> tuple[float, str] | None:
    try:
        done = subprocess.run(CHRONY, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=CHRONY_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return chrony_bound(done.stdout) if done.returncode == 0 else None


def chrony_bound(tracking: str) -> tuple[float, str] | None:
    """What chrony says of its clock: |offset| + root delay / 2 + root dispersion, its documented bound.

    Args:
        tracking: The output of ``chronyc -c tracking``: one line of values with commas.

    Returns:
        Seconds and where they come from; None where it is not synchronised, or says something else.
    """
    words = tracking.strip().split(",")
    try:
        offset_s, delay_s, dispersion_s = (abs(float(words[i])) for i in (OFFSET_COLUMN, DELAY_COLUMN, DISPERSION_COLUMN))
        synchronised = words[LEAP_COLUMN] != "Not synchronised"
    except (IndexError, ValueError):
        return None
    return (offset_s + delay_s / 2 + dispersion_s, "chrony") if synchronised else None


class _Timex(ctypes.Structure):
    """The kernel's ``struct timex``, as far as it is read."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_long * 32),
    )


def _kernel() -> tuple[float | None, str]:
    values = _Timex()
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(values))
    except (OSError, AttributeError):
        return None, "this system does not say"
    if state < 0 or state == TIME_ERROR or values.status & STA_UNSYNC:
        return None, "nothing keeps this host's clock (the kernel says it is not synchronised)"
    return values.maxerror / 1e6, "the kernel's maximum error"
