"""Dataclasses that travel between hosts as JSON, where a host may have another version of this project."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

from bench.common.user_error import UserError
from bench.config.config_json import from_json

T = TypeVar("T")


def read_report(cls: type[T], values: Any, place: str) -> T:
    """A report that a rank wrote.

    Args:
        cls: The dataclass of the report.
        values: Its JSON object.
        place: The report's name in messages, such as ``the report of board1``.

    Returns:
        The report.

    Raises:
        UserError: A key is unknown or missing: another version wrote it.
    """
    try:
        return from_json(cls, values, place)
    except UserError as error:
        difference = str(error).split(";")[0]
        raise UserError(
            f"{difference}: that host has another version of this project; bring the same to all, such as by "
            "python -m bench.doctor push"
        ) from None


def known_fields(cls: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values that a dataclass has fields for; others are those of a newer version.

    Args:
        cls: The dataclass.
        values: A JSON object.

    Returns:
        Keyword arguments of ``cls``.
    """
    names = {field.name for field in fields(cls)}
    return {name: value for name, value in values.items() if name in names}
