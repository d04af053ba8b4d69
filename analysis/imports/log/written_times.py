"""Dates and times as logs print them, rewritten as ISO 8601; a day that may be a month is refused, never guessed."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bench.common.user_error import UserError

DATE = re.compile(r"(\d{1,4})([-/.])(\d{1,2})\2(\d{1,4})\.?", re.ASCII)
TIME = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,:](\d{1,9}))?)?\s*([AaPp]\.?[Mm]\.?)?", re.ASCII)
STAMP = re.compile(rf"({DATE.pattern})[T, ]+({TIME.pattern})\s*(Z|UTC|GMT|[+-]\d\d:?\d\d)?".replace(r"\2", r"\3"), re.ASCII)
UTC = ("Z", "UTC", "GMT")


def is_date(text: str) -> bool:
    """Whether a cell is a day and nothing else.

    Args:
        text: The cell.

    Returns:
        True for ``2026-11-30``, ``30.11.2026``, ``11/30/2026``.
    """
    return DATE.fullmatch(text) is not None


def is_time_of_day(text: str) -> bool:
    """Whether a cell is a time of day and nothing else.

    Args:
        text: The cell.

    Returns:
        True for ``16:26:31.05``, ``4:26 PM``.
    """
    return TIME.fullmatch(text) is not None


def as_iso(where: str, texts: Sequence[str]) -> list[str]:
    """Times with a date in another order, with slashes or dots, with AM and PM or a decimal comma, as ISO 8601.

    Args:
        where: The place that messages name.
        texts: The times; a text of another form is left as it is.

    Returns:
        One text for each.

    Raises:
        UserError: The order of day and month is not known from any of them.
    """
    matches = [STAMP.fullmatch(text) for text in texts]
    if not any(matches):
        return list(texts)
    order = _order(where, [match.groups()[1:5] for match in matches if match])
    return [text if match is None else _iso(match, order) for text, match in zip(texts, matches, strict=True)]


def _order(where: str, dates: Sequence[tuple[str, ...]]) -> tuple[int, int, int]:
    """Where year, month and day stand among the three numbers of a date."""
    first, sign, _, _ = dates[0]
    if len(first) == 4:
        return (0, 1, 2)
    if sign == ".":
        return (2, 1, 0)  # a date with dots begins with the day, wherever it is written
    if any(int(date[0]) > 12 for date in dates):
        return (2, 1, 0)
    if any(int(date[2]) > 12 for date in dates):
        return (2, 0, 1)
    raise UserError(
        f"{where}: {sign.join((first, dates[0][2], dates[0][3]))} may begin with the day or with the month, and no other row "
        "tells; write the dates as 2026-11-30"
    )


def _iso(match: re.Match[str], order: tuple[int, int, int]) -> str:
    _, one, _, two, three, _, hour, minute, second, fraction, half, zone = match.groups()
    numbers = (one, two, three)
    year, month, day = (numbers[index] for index in order)
    if half:
        hour = str(int(hour) % 12 + (12 if half[0] in "Pp" else 0))
    seconds = f":{second}" if second else ""
    fractions = f".{fraction}" if fraction else ""
    offset = "" if not zone else "Z" if zone in UTC else zone
    return f"{_year(year)}-{month:0>2}-{day:0>2}T{hour:0>2}:{minute}{seconds}{fractions}{offset}"


def _year(text: str) -> str:
    return f"20{text}" if len(text) == 2 else text
