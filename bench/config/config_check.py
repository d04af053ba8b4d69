"""From composed plain values to the typed configuration: every wrong key, type and range is one line."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

from bench.common.user_error import UserError
from bench.config.config_field import check_value, kind_of, setting_of
from bench.config.run_config import RunConfig
from strategies.common.registry import did_you_mean

T = TypeVar("T")


def read_run_config(plain: Mapping[str, Any]) -> RunConfig:
    """The typed configuration of composed plain values.

    Args:
        plain: All keys as Hydra composed them.

    Returns:
        The checked configuration.

    Raises:
        UserError: One line with the key, the value found and what it must be.
    """
    return read_block(RunConfig, plain, "")


def read_block(cls: type[T], plain: Any, prefix: str) -> T:
    """One block of the configuration, checked. Keys that are missing have their defaults.

    Args:
        cls: The block's class.
        plain: Its values as composed.
        prefix: The dotted name of the block with a dot at its end, empty for the whole.

    Returns:
        An instance of ``cls``.

    Raises:
        UserError: For a value that is no block, an unknown key, and a value of the wrong type or out of range.
    """
    if not isinstance(plain, Mapping):
        raise UserError(f"{prefix[:-1]}={plain} must be a block of keys, such as {prefix}{dataclasses.fields(cls)[0].name}=...")  # type: ignore[arg-type]
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    flat = next((name for name, field in fields.items() if setting_of(field).flat), None)
    values: dict[str, Any] = {}
    further: dict[str, Any] = {}
    for name, value in plain.items():
        if name in fields and name != flat:
            values[name] = _value(fields[name], value, f"{prefix}{name}")
        else:
            further[str(name)] = value
    if flat is not None:
        values[flat] = further
    elif further:
        unknown = next(iter(further))
        raise UserError(f"unknown key {prefix}{unknown}{did_you_mean(prefix + unknown, [prefix + name for name in fields])}")
    return cls(**values)


def _value(field: dataclasses.Field, value: Any, key: str) -> Any:
    rule = setting_of(field)
    if rule.block is not None:
        checked: Any = read_block(rule.block, value, f"{key}.")
        return value if rule.partial else checked
    check_value(key, field, value)
    return str(value) if kind_of(field) == "str" and value is not None else value
