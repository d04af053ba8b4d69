"""One block of the record: a frozen dataclass whose annotations say the type, the unit and the meaning of every key.

A field is ``name: Annotated[type, Entry(meaning, unit)]``. Of such classes are made the reading and writing of JSON (here), the
JSON Schema (``result_schema.py``) and the reference page (``record_reference.py``), so each key is described once. A field with
a default may be missing from the JSON object; one whose type allows None may be null.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import Annotated, Any, ClassVar, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

BlockType = TypeVar("BlockType", bound="Block")
Convert = Callable[[Any], Any]
UNIONS = (Union, types.UnionType)


@dataclass(frozen=True)
class Entry:
    """The description of a key beside its type: its meaning in one line, its unit, and the bounds of its values.

    ``unit`` is empty for names and yes or no, ``1`` for counts and ratios. ``more_than`` is an exclusive minimum; ``pattern``
    a regular expression of text; ``at_least_items`` and ``at_most_items`` bound the length of a list. ``or_null`` is of
    keys that may be missing: they may also be null.
    """

    meaning: str
    unit: str = ""
    minimum: float | None = None
    more_than: float | None = None
    maximum: float | None = None
    pattern: str | None = None
    at_least_items: int | None = None
    at_most_items: int | None = None
    or_null: bool = False


@dataclass(frozen=True)
class BlockField:
    """A field of a block: its key, the type without ``Entry``, whether the key must be there, and whether it may be null."""

    name: str
    kind: Any
    entry: Entry
    required: bool
    nullable: bool


@dataclass(frozen=True, kw_only=True)
class Block:
    """A JSON object of the record with the keys that its fields name, and no others."""

    _absent: ClassVar[frozenset[str]] = frozenset()
    """Of an object that was read: keys that it did not have though they may be null."""

    @classmethod
    def from_dict(cls: type[BlockType], values: Mapping[str, Any]) -> BlockType:
        """The block that a JSON object tells.

        Args:
            values: An object that obeys the schema; values of nested objects become blocks.

        Returns:
            The block; it remembers which keys were absent, so that ``to_dict`` gives the same object.

        Raises:
            KeyError: A key is missing that must be there.
            ValueError: There is a key that the block does not know.
        """
        readers = _readers(cls)
        arguments: dict[str, Any] = {}
        absent = []
        for one in block_fields(cls):
            if one.name in values:
                read = readers[one.name]
                arguments[one.name] = values[one.name] if read is None else read(values[one.name])
            elif one.required:
                raise KeyError(f"{cls.__name__} has no {one.name}")
            elif one.nullable:
                absent.append(one.name)
        more = {key: value for key, value in values.items() if key not in readers}
        if more and not issubclass(cls, OpenBlock):
            raise ValueError(f"{cls.__name__} has no place for {', '.join(sorted(more))}")
        block = cls(**arguments, **({"extra": more} if more else {}))
        if absent:
            object.__setattr__(block, "_absent", frozenset(absent))
        return block

    def items(self) -> list[tuple[str, Any]]:
        """Keys and values that the record has: what is None and need not be there is left out."""
        told = [
            (one.name, value)
            for one in block_fields(type(self))
            if (value := getattr(self, one.name)) is not None or one.required or (one.nullable and one.name not in self._absent)
        ]
        return told + list(self.extra.items()) if isinstance(self, OpenBlock) else told

    def to_dict(self) -> dict[str, Any]:
        """The JSON object again, keys in the order of the fields."""
        return {name: as_json(value) for name, value in self.items()}


@dataclass(frozen=True, kw_only=True)
class OpenBlock(Block):
    """A JSON object that may have further keys, which ``extra`` keeps."""

    extra: Mapping[str, Any] = field(default_factory=dict)


def as_json(value: Any) -> Any:
    """Values of the record in the types of JSON.

    Args:
        value: A block, a mapping, a sequence, or a plain value.

    Returns:
        Objects for blocks and mappings, lists for sequences; anything else as it is.
    """
    if isinstance(value, Block):
        return value.to_dict()
    if isinstance(value, Mapping):
        return {key: as_json(inner) for key, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [as_json(inner) for inner in value]
    return value


_FIELDS: dict[type[Block], tuple[BlockField, ...]] = {}
_READERS: dict[type[Block], dict[str, Convert | None]] = {}


def block_fields(cls: type[Block]) -> tuple[BlockField, ...]:
    """The keys of a block, in their order.

    Args:
        cls: The class of the block.

    Returns:
        One description a key, without ``extra``.

    Raises:
        TypeError: A field is not annotated with an ``Entry``.
    """
    if cls not in _FIELDS:
        _FIELDS[cls] = tuple(_look_at_fields(cls))
    return _FIELDS[cls]


def _look_at_fields(cls: type[Block]) -> Iterator[BlockField]:
    hints = get_type_hints(cls, include_extras=True)
    for one in fields(cls):
        if one.name == "extra":
            continue
        hint = hints[one.name]
        entry = next((about for about in getattr(hint, "__metadata__", ()) if isinstance(about, Entry)), None)
        if entry is None or get_origin(hint) is not Annotated:
            raise TypeError(f"{cls.__name__}.{one.name} has no Entry: say what the key means")
        kind = hint.__origin__
        required = one.default is MISSING and one.default_factory is MISSING
        nullable = type(None) in members(kind) and (required or entry.or_null)
        yield BlockField(one.name, kind, entry, required, nullable)


def members(kind: Any) -> tuple[Any, ...]:
    """The types that a union allows.

    Args:
        kind: Any type annotation.

    Returns:
        The members of a union; the type itself where it is none.
    """
    return get_args(kind) if get_origin(kind) in UNIONS else (kind,)


def _readers(cls: type[Block]) -> dict[str, Convert | None]:
    """How the value of each key is read."""
    if cls not in _READERS:
        _READERS[cls] = {one.name: _reader(one.kind) for one in block_fields(cls)}
    return _READERS[cls]


def _reader(kind: Any) -> Convert | None:
    """How a value of JSON becomes one of ``kind``; None where it stays as it is."""
    if get_origin(kind) in UNIONS:
        inner = next((convert for one in get_args(kind) if (convert := _reader(one)) is not None), None)
        return None if inner is None else _unless_null(inner)
    if isinstance(kind, type) and issubclass(kind, Block):
        return kind.from_dict
    if is_row(kind):
        return lambda value: kind(*value)
    inner = _reader(get_args(kind)[-1]) if get_origin(kind) in (Sequence, Mapping) else None
    if inner is None:
        return None
    if get_origin(kind) is Mapping:
        return lambda value: {key: inner(one) for key, one in value.items()}
    return lambda value: [inner(one) for one in value]


def _unless_null(convert: Convert) -> Convert:
    return lambda value: None if value is None else convert(value)


def is_row(kind: Any) -> bool:
    """Whether a type is a NamedTuple: a JSON list with one meaning for each place.

    Args:
        kind: Any type annotation.

    Returns:
        True for a NamedTuple.
    """
    return isinstance(kind, type) and issubclass(kind, tuple) and hasattr(kind, "_fields")


def is_choice(kind: Any) -> bool:
    """Whether a type allows a few values only.

    Args:
        kind: Any type annotation.

    Returns:
        True for a ``Literal``.
    """
    return get_origin(kind) is Literal
