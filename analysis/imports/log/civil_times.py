"""Civil times of logs: dates with times, numbers since 1970 or from a given start; each to the last digit that is printed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from zoneinfo import ZoneInfo, available_timezones

import numpy as np
import pandas as pd

from analysis.imports.log.meter_log import IntArray
from analysis.imports.log.written_times import as_iso
from bench.common.user_error import UserError
from strategies.common.registry import did_you_mean

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
OFFSET = re.compile(r"([+-])(\d\d):?(\d\d)")
ZONED = re.compile(r"(Z|[+-]\d\d:?\d\d)$")
FRACTION = re.compile(r":\d\d[.,](\d+)")
UNITS = ((Decimal(10) ** 17, 0, "ns"), (Decimal(10) ** 14, 3, "us"), (Decimal(10) ** 11, 6, "ms"), (Decimal(10) ** 8, 9, "s"))
"""From which value on a number is a time since 1970 in which unit, and the power of ten that makes nanoseconds of it:
10^8 s is 1973, 10^11 ms likewise."""
LAST_NS = 7_258_118_400 * 10**9
"""The year 2200: beyond it a number is no time of a run, and soon no 64 bits either."""
NUMBER = re.compile(r"[-+]?(\d{1,40}([.,]\d{0,20})?|[.,]\d{1,20})([eE][-+]?\d{1,2})?", re.ASCII)


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
    texts = as_iso(where, texts)
    zoned = [bool(ZONED.search(text)) for text in texts]
    if any(zoned) and not all(zoned):
        raise UserError(f"{where}: {texts[zoned.index(False)]} has no time zone and others do; give all of them one")
    try:
        times = pd.to_datetime(texts, format="ISO8601", utc=all(zoned)).as_unit("ns")
        if times.isna().any():
            raise ValueError(texts)
    except (ValueError, OverflowError):
        raise UserError(f"{where}: {_first_wrong(texts)} is no ISO 8601 time, such as 2026-11-28T18:45:51.93+01:00") from None
    if not all(zoned) and zone is None:
        raise UserError(f"{where}: times such as {texts[0]} have no time zone; give --time-zone, such as UTC or Europe/Berlin")
    if not all(zoned):
        try:
            times = times.tz_localize(zone)
        except ValueError as error:
            raise UserError(
                f"{where}: the clocks were changed in between, so local times have no one meaning ({error}); log UTC instead"
            ) from None
    digits = max(len(fraction.group(1)) if (fraction := FRACTION.search(text)) else 0 for text in texts)
    known_ns = 10 ** max(9 - digits, 0) if all(text.count(":") >= 2 for text in texts) else 60 * 10**9
    times_ns: IntArray = times.tz_convert("UTC").as_unit("ns").asi8
    strange = np.flatnonzero((times_ns < 0) | (times_ns > LAST_NS))
    if len(strange):
        raise UserError(f"{where}: {texts[int(strange[0])]} is no time between 1970 and 2200")
    return times_ns, known_ns


def _first_wrong(texts: Sequence[str]) -> str:
    for text in texts:
        try:
            missing = pd.to_datetime([text], format="ISO8601").as_unit("ns").isna().any()
        except (ValueError, OverflowError):
            missing = True
        if missing:
            return repr(text)
    return repr(texts[0])


def column_ns(
    where: str, texts: Sequence[str], zone: tzinfo | None, start_ns: int | None, named_power: int | None = None
) -> tuple[IntArray, int]:
    """A column of times, all written in one way, in ns since 1970.

    Args:
        where: The place that messages name.
        texts: Dates with times, or numbers that count from 1970 or from a start.
        zone: The zone of dates without an offset.
        start_ns: The civil time of second 0 (ns since 1970), for numbers that count from a start.
        named_power: The power of ten that makes nanoseconds of numbers, by the column's name; None where it says no unit.

    Returns:
        The times, and how well they are known in ns.

    Raises:
        UserError: A text is no time, or ``start_ns`` is missing or has no meaning.
    """
    if not NUMBER.fullmatch(texts[0]):
        return iso_ns(where, texts, zone)
    strange = next((text for text in texts if not NUMBER.fullmatch(text)), None)
    if strange is not None:
        raise UserError(f"{where}: {strange} is no time, or not one like {texts[0]}")
    numbers = [Decimal(text.replace(",", ".")) for text in texts]
    power = next((power for least, power, _ in UNITS if abs(numbers[0]) >= least), None)
    if power is None and start_ns is None:
        raise UserError(
            f"{where}: times such as {texts[0]} count from a start that the file does not tell; give --start, such as "
            "2026-11-28T18:45:51.93+01:00"
        )
    if power is not None and named_power not in (None, power) and start_ns is None:
        raise UserError(
            f"{where}: {texts[0]} is no time since 1970 in the unit of its name; rename the column, or give --start if "
            "it counts from one"
        )
    if power is not None and start_ns is not None and named_power in (None, power):
        raise UserError(f"{where}: times such as {texts[0]} count from 1970, so --start has no meaning; leave it out")
    shift = power if power is not None and start_ns is None else 9 if named_power is None else named_power
    digits = max(max(-int(number.as_tuple().exponent), 0) for number in numbers)
    whole_ns = [int(number.scaleb(shift).to_integral_value()) + (start_ns or 0) for number in numbers]
    wrong = next((text for text, t_ns in zip(texts, whole_ns, strict=True) if not 0 <= t_ns <= LAST_NS), None)
    if wrong is not None:
        raise UserError(f"{where}: {wrong} is no time between 1970 and 2200")
    return np.array(whole_ns, dtype=np.int64), 10 ** max(shift - digits, 0)


def started_ns(text: str) -> tuple[int, bool]:
    """When a point began.

    Args:
        text: ISO 8601 with its offset, as records have it.

    Returns:
        ns since 1970, and whether that is known to the microsecond (older records: to the second).
    """
    since = datetime.fromisoformat(text) - EPOCH
    return (since // timedelta(microseconds=1)) * 1000, "." in text
