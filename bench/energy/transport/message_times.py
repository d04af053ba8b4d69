"""When a value was taken that comes with the time of the device's clock, which is nobody else's. Pure.

The smallest difference between arrival and stamp of the last messages is the clocks' difference and the shortest way of a
message; a message that took longer is moved back by as much. A stamp of whole seconds says the second only: a message counts at
its arrival unless that is later than the second can be.
"""

from __future__ import annotations

import re
from collections import deque
from datetime import datetime, timezone
from typing import Any

from bench.energy.sensor_base.external_meter import exact

REMEMBERED = 64
"""Messages, after which a clock that was set back is forgotten."""
MILLISECONDS_FROM = 10**11
"""A number of seconds as large is the year 5138: it is milliseconds."""
FRACTION = re.compile(r"[.,](\d{1,9})")


def stamp_of(value: Any) -> tuple[int, int]:
    """The time in a message.

    Args:
        value: ISO 8601, with or without a zone, or seconds or milliseconds since 1970.

    Returns:
        Nanoseconds of the device's clock, and their resolution in nanoseconds.

    Raises:
        ValueError: It is no time.
    """
    text = str(value).strip()
    try:
        number = exact(text)
    except ValueError:
        return _iso(text)
    unit_ns = 10**6 if abs(number) >= MILLISECONDS_FROM else 10**9
    digits = max(0, -int(number.as_tuple().exponent))
    return int(number * unit_ns), max(1, unit_ns // 10 ** min(9, digits))


def _iso(text: str) -> tuple[int, int]:
    fraction = FRACTION.search(text)
    whole = FRACTION.sub("", text, count=1)
    try:
        time = datetime.fromisoformat(re.sub("[zZ]$", "+00:00", whole))
        seconds = round((time if time.tzinfo else time.replace(tzinfo=timezone.utc)).timestamp())
    except (ValueError, OverflowError):
        raise ValueError(f"{text[:40]!r} is no time") from None
    digits = fraction[1] if fraction else ""
    return seconds * 10**9 + int(digits.ljust(9, "0") or 0), 10 ** (9 - len(digits))


class MessageTimes:
    """The times of one device's messages, in the order of their arrival."""

    def __init__(self) -> None:
        self.differences: deque[int] = deque(maxlen=REMEMBERED)
        self.last_stamp_ns: int | None = None

    def taken_ns(self, arrival_ns: int, stamp: tuple[int, int]) -> int:
        """When the value of a message was taken.

        Args:
            arrival_ns: When it came, by this host's monotonic clock.
            stamp: The device's time and its resolution.

        Returns:
            Nanoseconds of this host's monotonic clock, never after the arrival.
        """
        stamp_ns, resolution_ns = stamp
        if self.last_stamp_ns is not None and stamp_ns < self.last_stamp_ns:
            self.differences.clear()  # the device's clock was set back
        self.last_stamp_ns = stamp_ns
        self.differences.append(arrival_ns - stamp_ns)
        slack_ns = resolution_ns if resolution_ns >= 10**8 else 0
        return min(arrival_ns, stamp_ns + min(self.differences) + slack_ns)
