"""Civil times of logs: ISO 8601, seconds since 1970, or seconds from a given start; each to the last digit that is printed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone, tzinfo
from decimal import Decimal, InvalidOperation
from zoneinfo import ZoneInfo, available_timezones

import numpy as np
import pandas as pd

from analysis.imports.log.meter_log import IntArray
from bench.common.user_error import UserError
from strategies.common.registry import did_you_mean

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
OFFSET = re.compile(r"([+-])(\d\d):?(\d\d)")
ZONED = re.compile(r"(Z|[+-]\d\d:?\d\d)$")
FRACTION = re.compile(r":\d\d[.,](\d+)")
UNITS = ((Decimal(10) ** 17, 0, "ns"), (Decimal(10) ** 14, 3, "us"), (Decimal(10) ** 11, 6, "ms"), (Decimal(10) ** 8, 9, "s"))
"""From which value on a number is a time since 1970 in which unit, and the power of ten that makes nanoseconds of it:
10^8 s is 1973, 10^11 ms likewise."""


def zone_of(text: str) -> tzinfo:
    """The time zone of the word of ``--time-zone``.

    Args:
        text: ``UTC``, ``+01:00`` or a name such as ``Europe/Berlin``.

    Returns:
        UTC, a fixed offset, or the zone of that name.

    Raises:
        UserError: There is no such zone.
    """
    if text.upper() in ("UTC", "Z"):
        return timezone.utc
    offset = OFFSET.fullmatch(text)
    if offset:
        sign, hours, minutes = offset.groups()
        shift = timedelta(hours=int(hours), minutes=int(minutes))
        if shift < timedelta(hours=24):
            return timezone(-shift if sign == "-" else shift)
    known = available_timezones()
    if text not in known:
        raise UserError(
            f"--time-zone={text} is unknown; give UTC, +01:00, or a name such as Europe/Berlin{did_you_mean(text, known)}"
        )
    return ZoneInfo(text)


def moment_ns(option: str, text: str, zone: tzinfo | None) -> int:
    """One ISO 8601 time as a number.

    Args:
        option: The place that messages name.
        text: The time.
        zone: Of a time that states none; None where it must state one.

    Returns:
        ns since 1970.

    Raises:
        UserError: As ``iso_ns``.
    """
    return int(iso_ns(option, [text], zone)[0][0])


def iso_ns(where: str, texts: Sequence[str], zone: tzinfo | None) -> tuple[IntArray, int]:
    """ISO 8601 times in ns since 1970.

    Args:
        where: The place that messages name.
        texts: The times; all with an offset from UTC or none.
        zone: The zone of times without an offset.

    Returns:
        The times, and how well they are known: the last digit that is printed, in ns.

    Raises:
        UserError: A text is no ISO 8601 time, only some have an offset, none has one and no zone is given, or the clocks were
            changed in between.
    """
    zoned = [bool(ZONED.search(text)) for text in texts]
    if any(zoned) and not all(zoned):
        raise UserError(f"{where}: {texts[zoned.index(False)]} has no time zone and others do; give all of them one")
    if not all(zoned) and zone is None:
        raise UserError(f"{where}: times such as {texts[0]} have no time zone; give --time-zone, such as UTC or Europe/Berlin")
    try:
        times = pd.to_datetime(list(texts), format="ISO8601", utc=all(zoned))
    except (ValueError, OverflowError):
        raise UserError(f"{where}: {_first_wrong(texts)} is no ISO 8601 time, such as 2026-11-28T18:45:51.93+01:00") from None
    if not all(zoned):
        try:
            times = times.tz_localize(zone)
        except ValueError as error:
            raise UserError(
                f"{where}: the clocks were changed in between, so local times have no one meaning ({error}); log UTC instead"
            ) from None
    digits = max(len(fraction.group(1)) if (fraction := FRACTION.search(text)) else 0 for text in texts)
    known_ns = 10 ** max(9 - digits, 0) if all(text.count(":") >= 2 for text in texts) else 60 * 10**9
    return times.tz_convert("UTC").as_unit("ns").asi8, known_ns


def _first_wrong(texts: Sequence[str]) -> str:
    for text in texts:
        try:
            pd.to_datetime([text], format="ISO8601")
        except (ValueError, OverflowError):
            return repr(text)
    return repr(texts[0])


def column_ns(where: str, texts: Sequence[str], zone: tzinfo | None, start_ns: int | None) -> tuple[IntArray, int]:
    """A column of times, all written in one way, in ns since 1970.

    Args:
        where: The place that messages name.
        texts: ISO 8601 times, or numbers that count from 1970 or from a start.
        zone: The zone of ISO times without an offset.
        start_ns: The civil time of second 0 (ns since 1970), for numbers that count from a start.

    Returns:
        The times, and how well they are known in ns.

    Raises:
        UserError: A text is no time, or ``start_ns`` is missing or has no meaning.
    """
    try:
        numbers = [Decimal(text) for text in texts]
    except InvalidOperation:
        return iso_ns(where, texts, zone)
    strange = next((text for text, number in zip(texts, numbers, strict=True) if not number.is_finite()), None)
    if strange is not None:
        raise UserError(f"{where}: {strange} is no time")
    power = next((power for least, power, _ in UNITS if abs(numbers[0]) >= least), None)
    if power is None and start_ns is None:
        raise UserError(
            f"{where}: times such as {texts[0]} count from a start that the file does not tell; give --start, such as "
            "2026-11-28T18:45:51.93+01:00"
        )
    if power is not None and start_ns is not None:
        raise UserError(f"{where}: times such as {texts[0]} count from 1970, so --start has no meaning; leave it out")
    shift = 9 if power is None else power
    digits = max(max(-int(number.as_tuple().exponent), 0) for number in numbers)
    times_ns = np.array([int(number.scaleb(shift).to_integral_value()) for number in numbers], dtype=np.int64)
    return times_ns + (start_ns or 0), 10 ** max(shift - digits, 0)


def started_ns(text: str) -> tuple[int, bool]:
    """When a point began.

    Args:
        text: ISO 8601 with its offset, as records have it.

    Returns:
        ns since 1970, and whether that is known to the microsecond (older records: to the second).
    """
    since = datetime.fromisoformat(text) - EPOCH
    return (since // timedelta(microseconds=1)) * 1000, "." in text
