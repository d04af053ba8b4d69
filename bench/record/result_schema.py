"""The JSON Schemas of ``result.json`` and ``monitored.json``, derived from their dataclasses.

``result.schema.json`` and ``monitored.schema.json`` are copies for other readers; ``python -m bench.record.result_schema``
writes them again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from bench.record.block import Block, Entry, OpenBlock, block_fields, is_choice, is_row, members
from bench.record.monitored_record import MONITORED, MonitoredRecord
from bench.record.record import NUMBERS, RESULT, WITH_NUMBERS, Record

COPY = Path(__file__).with_name("result.schema.json")
MONITORED_COPY = Path(__file__).with_name("monitored.schema.json")
DRAFT = "https://json-schema.org/draft/2020-12/schema"
NAMES = {int: "integer", float: "number", str: "string", bool: "boolean", type(None): "null"}
BOUNDS = {
    "minimum": "minimum",
    "more_than": "exclusiveMinimum",
    "maximum": "maximum",
    "pattern": "pattern",
    "at_least_items": "minItems",
    "at_most_items": "maxItems",
}
Json = dict[str, Any]


@cache
def result_schema() -> Json:
    """The schema of a whole record: draft 2020-12."""
    return {
        "$schema": DRAFT,
        "$id": RESULT,
        "title": "The record of one point",
        **_object(Record),
        "if": {"properties": {"status": {"enum": list(WITH_NUMBERS)}}},
        "then": {"required": list(NUMBERS)},
        "else": {"properties": {"reason": {"type": "string", "minLength": 1}}},
    }


@cache
def monitored_schema() -> Json:
    """The schema of the record of a monitored program: draft 2020-12."""
    return {"$schema": DRAFT, "$id": MONITORED, "title": "The record of one monitored program", **_object(MonitoredRecord)}


def _object(block: type[Block]) -> Json:
    known = block_fields(block)
    schema: Json = {
        "type": "object",
        "description": (block.__doc__ or "").strip(),
        "properties": {one.name: _of(one.kind, one.entry, one.nullable) for one in known},
    }
    required = [one.name for one in known if one.required or one.name == "schema"]
    return schema | ({"required": required} if required else {}) | ({} if issubclass(block, OpenBlock) else CLOSED)


CLOSED: Json = {"additionalProperties": False}


def _of(kind: Any, entry: Entry | None, nullable: bool) -> Json:
    """The schema of a value; ``entry`` has its description and bounds."""
    options = [one for one in members(kind) if one is not type(None) or nullable]
    if len(options) == 1:
        schema = _single(options[0])
    elif all(one in NAMES for one in options):
        schema = {"type": [NAMES[one] for one in options]}
    else:
        schema = {"anyOf": [_single(one) for one in options]}
    if entry is None:
        return schema
    bounds = {word: value for name, word in BOUNDS.items() if (value := getattr(entry, name)) is not None}
    return schema | bounds | {"description": entry.meaning + (f" ({entry.unit})" if entry.unit not in ("", "1") else "")}


def _single(kind: Any) -> Json:
    if kind is Any:
        return {}
    if kind in NAMES:
        return {"type": NAMES[kind]}
    if is_choice(kind):
        values = list(get_args(kind))
        return {"const": values[0]} if len(values) == 1 else {"enum": values}
    if is_row(kind):
        places = [_annotated(hint) for hint in get_type_hints(kind, include_extras=True).values()]
        return {"type": "array", "prefixItems": places, "minItems": len(places), "items": False}
    if isinstance(kind, type) and issubclass(kind, Block):
        return _object(kind)
    return _container(kind)


def _container(kind: Any) -> Json:
    inner = get_args(kind)[-1]
    if get_origin(kind) is Sequence:
        return {"type": "array", "items": _annotated(inner)}
    if get_origin(kind) is Mapping:
        return {"type": "object"} if inner is Any else {"type": "object", "additionalProperties": _annotated(inner)}
    raise TypeError(f"the record cannot hold {kind}")


def _annotated(hint: Any) -> Json:
    """Of an item of a list or a mapping, or of a place of a row."""
    entry = next((about for about in getattr(hint, "__metadata__", ()) if isinstance(about, Entry)), None)
    return _of(getattr(hint, "__origin__", hint) if entry else hint, entry, nullable=True)


def write_copy() -> None:
    """Write ``result.schema.json`` and ``monitored.schema.json``."""
    COPY.write_text(json.dumps(result_schema(), indent=2) + "\n", encoding="utf-8")
    MONITORED_COPY.write_text(json.dumps(monitored_schema(), indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_copy()
