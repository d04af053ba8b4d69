"""A place in JSON as people write it: ``a.b[0]["c.d"]``."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any, NoReturn

from bench.energy.sensor_base.source import SourceUnavailable

STEP = re.compile(r"\[(\d{1,4})\]|\[\"([^\"]+)\"\]|\.?([^.\[\]\"]+)")
Keys = tuple[str | int, ...]


def keys_of(setting: str, path: str) -> Keys:
    """A path as its names and indices.

    Args:
        setting: The setting that has the path.
        path: Such as ``a.b[0]["c.d"]``; empty: the whole reply.

    Returns:
        Names of objects and indices of arrays, outermost first.

    Raises:
        SourceUnavailable: It is no path.
    """
    keys: list[str | int] = []
    position = 0
    while position < len(path):
        match = STEP.match(path, position)
        if match is None:
            raise SourceUnavailable(f'{setting}: {path} is no path; write it like a.b[0], and a name with dots ["a.b"]')
        keys.append(int(match[1]) if match[1] is not None else match[2] or match[3])
        position = match.end()
    return tuple(keys)


def parse_json(text: bytes | str) -> Any:
    """JSON whose fractions keep all digits that they were written with.

    Args:
        text: The JSON.

    Returns:
        The parsed value, with fractions as Decimal.

    Raises:
        ValueError: It is no JSON, or has infinity or nan.
    """
    try:
        return json.loads(text, parse_float=_fraction, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("too deep") from None


def _fraction(text: str) -> Decimal:
    try:
        return Decimal(text)
    except ArithmeticError:
        raise ValueError(f"{text[:20]} is no number") from None


def _no_number(name: str) -> NoReturn:
    raise ValueError(name)
