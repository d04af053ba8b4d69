"""Dataclasses of the configuration as JSON values and back, strictly: no key is unknown, none is missing."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from bench.common.user_error import UserError
from bench.config.config_field import Setting

T = TypeVar("T")
PLAIN = {int: (int,), float: (int, float), str: (str,), bool: (bool,)}
NOTHING_SPECIAL = Setting("")


def rule_of(field: dataclasses.Field) -> Setting:
    """The setting that a field carries.

    Args:
        field: A field of any dataclass.

    Returns:
        Its setting; one that says nothing for fields of classes from elsewhere.
    """
    return field.metadata.get("setting", NOTHING_SPECIAL)


def to_json(value: Any) -> Any:
    """A value as JSON has it.

    Fields that are ``absent`` are left out where they are null, unless the block's ``kept_nulls`` names them; ``flat``
    mappings stand beside the block's own keys.

    Args:
        value: A dataclass, mapping, list, tuple, or a value that JSON has anyway.

    Returns:
        Objects for blocks and mappings, lists for lists and tuples.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _block_to_json(value)
    if isinstance(value, Mapping):
        return {str(key): to_json(one) for key, one in value.items()}
    return [to_json(one) for one in value] if isinstance(value, (list, tuple)) else value


def _block_to_json(block: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    kept = getattr(block, "kept_nulls", ())
    for field in dataclasses.fields(block):
        rule, value = rule_of(field), getattr(block, field.name)
        if not field.init:
            continue
        if rule.flat:
            plain.update(to_json(value))
        elif value is not None or not rule.absent or field.name in kept:
            plain[field.name] = to_json(value)
    return plain


def from_json(cls: type[T], plain: Any, where: str) -> T:
    """An instance of a dataclass from what ``to_json`` made of one.

    Args:
        cls: The dataclass.
        plain: Its JSON object.
        where: The source, for messages, such as ``config.json``.

    Returns:
        An instance of ``cls``.

    Raises:
        UserError: For an unknown or missing key and a value of another type, with its dotted key.
    """
    if not isinstance(plain, Mapping):
        raise UserError(f"{where} must be an object, found {str(plain)[:40]!r}")
    hints, values, further = _hints(cls), dict[str, Any](), dict(plain)  # type: ignore[arg-type]
    flat = None
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]
        if not field.init:
            continue
        if rule_of(field).flat:
            flat = field.name
        elif field.name in further:
            values[field.name] = _value(hints[field.name], further.pop(field.name), f"{where}: {field.name}")
        elif not rule_of(field).absent:
            raise UserError(f"{where} has no {field.name}; it was written by another version: resolve the point again")
    if flat is not None:
        values[flat] = further
    elif further:
        raise UserError(f"{where} has the unknown key {next(iter(further))}; it was written by another version")
    return cls(**values)


@lru_cache(maxsize=64)
def _hints(cls: type) -> dict[str, Any]:
    return get_type_hints(cls)


def _value(hint: Any, value: Any, where: str) -> Any:
    if get_origin(hint) in (Union, types.UnionType):
        if value is None and type(None) in get_args(hint):
            return None
        others = [one for one in get_args(hint) if one is not type(None)]
        return _value(others[0], value, where) if len(others) == 1 else value
    if dataclasses.is_dataclass(hint):
        return from_json(hint, value, where)  # type: ignore[arg-type]
    if get_origin(hint) is tuple and isinstance(value, (list, tuple)):
        return tuple(_value(get_args(hint)[0], one, where) for one in value)
    if get_origin(hint) is Mapping and isinstance(value, Mapping):
        return {key: _value(get_args(hint)[1], one, f"{where}.{key}") for key, one in value.items()}
    if hint in PLAIN and (not isinstance(value, PLAIN[hint]) or (isinstance(value, bool) and hint is not bool)):
        raise UserError(f"{where} must be of type {hint.__name__}, found {value!r}")
    return value
