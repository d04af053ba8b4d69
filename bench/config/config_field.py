"""One key of the configuration: its type, default, unit, meaning and range in one place, and the check of a value.

    batch: int = setting(32, "samples of one optimizer step, over all ranks", least=1)

The annotation says the type (``int``, ``float``, ``bool``, ``str``, ``list``, ``Mapping[str, Any]``, each with or without
``| None``); ``Any`` leaves the type to ``check``.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass
from typing import Any

from bench.common.user_error import UserError
from strategies.common.registry import did_you_mean
from strategies.plan.partition import either

Field = dataclasses.Field  # of a block of the configuration


@dataclass(frozen=True)
class Setting:
    """What a field carries besides its type and default.

    Args:
        meaning: One line for a reader.
        unit: The plural word of its unit (``seconds``), or None.
        least: The smallest value, included; ``above`` is the same, excluded.
        most: The largest value, included; ``below`` is the same, excluded.
        choices: The values that it can have; of a list, those of each element.
        must: What a value must be, for messages, where the range does not say it well enough.
        use: How messages list ``choices`` (default: ``a, b or c``).
        refused: Values that deserve an answer of their own: the text after ``KEY=VALUE``.
        check: A further condition on a value of the right type.
        block: The class of a nested block.
        partial: The block is a mapping that may have only some of the keys of its class.
        absent: Null is left out of the JSON of a point.
        flat: The mapping's entries stand beside the block's own keys, not under a key of their own.
    """

    meaning: str
    unit: str | None = None
    least: float | None = None
    above: float | None = None
    most: float | None = None
    below: float | None = None
    choices: tuple[str, ...] = ()
    must: str | None = None
    use: str | None = None
    refused: Mapping[str, str] = dataclasses.field(default_factory=dict)
    check: Callable[[Any], bool] | None = None
    block: type | None = None
    partial: bool = False
    absent: bool = False
    flat: bool = False


def setting(default: Any, meaning: str, **more: Any) -> Any:
    """A field of a block.

    Args:
        default: Its default; lists and dictionaries are copied for each instance.
        meaning: One line for a reader.
        **more: The other attributes of ``Setting``.

    Returns:
        The dataclass field.
    """
    metadata = {"setting": Setting(meaning, **more)}
    if isinstance(default, (list, dict)):
        return dataclasses.field(default_factory=lambda: default.copy(), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def block(cls: type, meaning: str, **more: Any) -> Any:
    """A field that is itself a block of keys.

    Args:
        cls: The block's class.
        meaning: One line for a reader.
        **more: The other attributes of ``Setting``; with ``partial`` the field is a mapping, empty by default.

    Returns:
        The dataclass field.
    """
    empty = dict if more.get("partial") else cls
    return dataclasses.field(default_factory=empty, metadata={"setting": Setting(meaning, block=cls, **more)})


def setting_of(field: Field) -> Setting:
    """The setting that a field of a block carries.

    Args:
        field: A field that ``setting`` or ``block`` made.

    Returns:
        Its meaning, unit and range.
    """
    carried: Setting = field.metadata["setting"]
    return carried


def kind_of(field: Field) -> str:
    """The type of a field without ``| None``.

    Args:
        field: A field with its annotation as text.

    Returns:
        As written: ``int``, ``float``, ``bool``, ``str``, ``list``, ...
    """
    return str(field.type).removesuffix("| None").strip()


def nullable(field: Field) -> bool:
    """Whether a field may be null.

    Args:
        field: A field with its annotation as text.

    Returns:
        True for ``... | None`` and for ``Any``.
    """
    return str(field.type).endswith("| None") or str(field.type) == "Any"


def default_of(field: Field) -> Any:
    """The default of a field.

    Args:
        field: A field that ``setting`` or ``block`` made.

    Returns:
        Its default; of a nested block an instance with all defaults.
    """
    return field.default_factory() if field.default_factory is not MISSING else field.default


def leaves(cls: type, prefix: str = "") -> Iterator[tuple[str, Field]]:
    """Every key of a block and of the blocks inside it.

    Args:
        cls: A block's class.
        prefix: Text before each key, such as ``train.``.

    Yields:
        The dotted key with its field.
    """
    for field in dataclasses.fields(cls):
        inner = setting_of(field).block
        if inner is None:
            yield prefix + field.name, field
        else:
            yield from leaves(inner, f"{prefix}{field.name}.")


def check_value(key: str, field: Field, value: Any) -> None:
    """Compare the value of one key with its type, range and choices.

    Args:
        key: The dotted key, for the message.
        field: The field that describes it.
        value: As composed.

    Raises:
        UserError: One line with the key, the value found and what it must be.
    """
    rule = setting_of(field)
    if value is None and nullable(field):
        return
    if isinstance(value, str) and value in rule.refused:
        raise UserError(f"{key}={value} {rule.refused[value]}")
    good = _has_type(kind_of(field), value) and _in_range(rule, value)
    if rule.choices:
        _check_choices(key, field, value, good)
    elif not good or (rule.check is not None and not rule.check(value)):
        raise UserError(f"{key}={_shown(field, value)} must be {must_be(field)}")


def _check_choices(key: str, field: Field, value: Any, good: bool) -> None:
    rule = setting_of(field)
    several = kind_of(field) == "list"
    if several and (not good or not value):
        raise UserError(f"{key}={_shown(field, value)} must be {must_be(field)}")
    for one in value if several else [value]:
        if one not in rule.choices or not isinstance(one, str):
            use = rule.use or either(rule.choices)
            raise UserError(f"{key}={one} is unknown; use {use}{did_you_mean(str(one), rule.choices)}")


def is_number(value: Any) -> bool:
    """Whether a value is a finite number; a truth value is none.

    Args:
        value: Any value.

    Returns:
        True for finite integers and floats.
    """
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _has_type(kind: str, value: Any) -> bool:
    if kind == "int":
        return isinstance(value, int) and not isinstance(value, bool)
    if kind == "float":
        return is_number(value)
    if kind == "bool":
        return isinstance(value, bool)
    if kind == "str":  # a name of digits alone is read as a number
        return is_number(value) or (isinstance(value, str) and bool(value.strip()))
    if kind == "list":
        return isinstance(value, (list, tuple))
    return isinstance(value, Mapping) if kind.startswith("Mapping") else True


def _in_range(rule: Setting, value: Any) -> bool:
    return not (
        (rule.least is not None and value < rule.least)
        or (rule.above is not None and value <= rule.above)
        or (rule.most is not None and value > rule.most)
        or (rule.below is not None and value >= rule.below)
    )


def must_be(field: Field) -> str:
    """The type and range of a field in words.

    Args:
        field: A field that ``setting`` or ``block`` made.

    Returns:
        Text such as ``null or a whole number of at least 1``.
    """
    rule = setting_of(field)
    if rule.must is not None:
        return rule.must
    words = either(rule.choices) if rule.choices else _type_words(kind_of(field), rule)
    return f"null or {words}" if nullable(field) else words


def _type_words(kind: str, rule: Setting) -> str:
    if kind not in ("int", "float"):
        known = {"bool": "true or false", "str": "text", "list": "a list"}
        return known.get(kind, "a mapping, such as {NAME: VALUE}")
    unit = f" of {rule.unit}" if rule.unit and kind == "float" else ""
    if rule.above == 0 and kind == "float" and rule.below is None and rule.most is None:
        return f"a positive number{unit}"
    words = ("a whole number" if kind == "int" else "a number") + unit
    limits = [
        f"{text} {limit:g}"
        for text, limit in (("at least", rule.least), ("above", rule.above), ("at most", rule.most), ("below", rule.below))
        if limit is not None
    ]
    return f"{words} of {' and '.join(limits)}" if limits else words


def _shown(field: Field, value: Any) -> str:
    """The value found; text that reads like the number or truth value wanted is shown in its quotes."""
    if isinstance(value, str) and kind_of(field) in ("int", "float", "bool"):
        try:
            float(value)
        except ValueError:
            return f"'{value}'" if value in ("true", "false") else value
        return f"'{value}'"
    return str(value)
