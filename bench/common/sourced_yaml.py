"""Descriptions in YAML whose every number says where it is from: ``{value: 4, source: the page, or how it was derived}``."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from bench.common.user_error import UserError
from strategies.common.registry import did_you_mean

NUMBER_KEYS = ("value", "source")


def read(kind: str, name: str, folders: Path | Sequence[Path]) -> dict[str, Any]:
    """Read the mapping in ``NAME.yaml``.

    Args:
        kind: What is described, such as ``board``, for messages.
        name: The file's name without ``.yaml``.
        folders: Where the files are; of several folders the first that has the file.

    Returns:
        The mapping, of which only ``name`` is checked.

    Raises:
        UserError: The name is unknown, or its file is no mapping of that name.
    """
    several = [folders] if isinstance(folders, Path) else folders
    known = sorted({path.stem for folder in several for path in folder.glob("*.yaml")})
    if name not in known:
        raise UserError(f"unknown {kind} {name}; known are {', '.join(known)}{did_you_mean(name, known)}")
    path = next(path for folder in several if (path := folder / f"{name}.yaml").is_file())
    try:
        described = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise UserError(f"{kind} {name}: {path} is not YAML ({' '.join(str(error).split())}); mend the file") from None
    if not isinstance(described, dict) or described.get("name") != name:
        has = described.get("name") if isinstance(described, dict) else described
        raise UserError(f"{kind} {name}: {path} must be a mapping with name: {name}, found {has!r}")
    return described


def check_keys(where: str, values: Any, known: Collection[str], needed: Collection[str] = ()) -> None:
    """Check that a value is a mapping with the right keys.

    Args:
        where: The place of the value, which begins the message.
        values: The value as YAML has it.
        known: The keys that it may have.
        needed: The keys that it must have.

    Raises:
        UserError: It is no mapping, has an unknown key, or lacks a needed one.
    """
    if not isinstance(values, Mapping):
        raise UserError(f"{where} must be a mapping with {', '.join(known)}, found {values!r}")
    for key in values:
        if key not in known:
            raise UserError(f"{where} has the unknown key {key}; keys are {', '.join(known)}{did_you_mean(str(key), known)}")
    for key in needed:
        if key not in values:
            raise UserError(f"{where} has no {key}; add it, each number as value and source")


def check_number(where: str, number: Any, more: Collection[str] = (), zero: bool = False) -> None:
    """Check that a value is a positive number with its source.

    Args:
        where: The place of the value, which begins the message.
        number: The value as YAML has it.
        more: Keys that it must have besides ``value`` and ``source``.
        zero: Whether zero is allowed too.

    Raises:
        UserError: It is anything else.
    """
    if not isinstance(number, Mapping) or not set(NUMBER_KEYS) <= set(number):
        raise UserError(f"{where} needs a value and its source, found {number!r}")
    check_keys(where, number, (*NUMBER_KEYS, *more), more)
    if not isinstance(number["source"], str) or not number["source"].strip():
        raise UserError(f"{where} needs a source beside its value, found {number['source']!r}; name the page that it is from")
    check_positive(where, number["value"], zero)


def check_positive(where: str, value: Any, zero: bool = False) -> None:
    """Check that a value is a number above zero.

    Args:
        where: The place of the value, which begins the message.
        value: The value as YAML has it.
        zero: Whether zero is allowed too.

    Raises:
        UserError: It is anything else; true and false are no numbers.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        hint = " (YAML wants a dot and a sign: 1.0e+9)" if isinstance(value, str) else ""
        raise UserError(f"{where} must be a number, found {value!r}{hint}")
    if not (value > 0 or (zero and value == 0)):
        raise UserError(f"{where} must be {'at least zero' if zero else 'positive'}, found {value!r}")


def check_text(where: str, value: Any) -> None:
    """Check that a value is a line of text.

    Args:
        where: The place of the value, which begins the message.
        value: The value as YAML has it.

    Raises:
        UserError: It is anything else, or blank.
    """
    if not isinstance(value, str) or not value.strip():
        raise UserError(f"{where} must be a line of text, found {value!r}")
