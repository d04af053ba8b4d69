"""The record's dataclasses are the format: schema, files and reference page say what they say."""

from __future__ import annotations

import json
import types
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest

from bench.common.paths import PROJECT
from bench.record.block import Block, OpenBlock, block_fields
from bench.record.record import MeasuredRecord, Record
from bench.record.record_file import load_record, problem
from bench.record.result_schema import COPY, result_schema
from tests.records import make_record

GALLERY = sorted((PROJECT / "docs/gallery/records").glob("*/*/result.json"))


def blocks(kind: Any) -> Iterator[type[Block]]:
    """The blocks that a type has inside."""
    if isinstance(kind, type) and issubclass(kind, Block):
        yield kind
        for one in block_fields(kind):
            yield from blocks(one.kind)
    elif get_origin(kind) in (Sequence, Mapping, types.UnionType):
        for inner in get_args(kind):
            yield from blocks(inner)


ALL = list(dict.fromkeys(blocks(Record)))


def test_there_are_records_to_look_at() -> None:
    assert len(GALLERY) > 100
    assert len(ALL) > 50


@pytest.mark.parametrize("block", ALL, ids=lambda block: block.__name__)
def test_every_key_says_what_it_means(block: type[Block]) -> None:
    """A key without a meaning is unknown to the reference page; a key whose name has a unit says the same one."""
    units = {"_s": "s", "_J": "J", "_W": "W", "_bytes": "B", "_Hz": "Hz", "_C": "C"}
    for one in block_fields(block):
        assert one.entry.meaning, f"{block.__name__}.{one.name}"
        unit = next((unit for ending, unit in units.items() if one.name.endswith(ending)), None)
        if unit is not None and not one.name.endswith(("per_s", "bit_s", "flop_s")):
            assert one.entry.unit in (unit, ""), f"{block.__name__}.{one.name}"


@pytest.mark.parametrize("path", GALLERY, ids=lambda path: path.parent.name)
def test_a_record_read_and_written_is_the_same(path: Path) -> None:
    assert load_record(path).to_dict() == json.loads(path.read_text())


def test_a_point_without_numbers_is_read_and_written_the_same() -> None:
    record = make_record(status="oom", reason="too little memory")
    typed = Record.from_dict(record)
    assert not isinstance(typed, MeasuredRecord)
    assert typed.time is None
    assert typed.to_dict() == record


def test_the_schema_for_other_readers_is_that_of_the_classes() -> None:
    """``python -m bench.record.result_schema`` writes it again."""
    assert json.loads(COPY.read_text()) == result_schema()


def test_the_schema_and_the_classes_know_the_same_keys() -> None:
    """In both directions: no key of the schema without a field, no field without a key, and the same of them required."""

    def look(block: type[Block], schema: Mapping[str, Any], where: str) -> None:
        known = {one.name: one for one in block_fields(block)}
        assert list(schema["properties"]) == list(known), where
        required = {name for name, one in known.items() if one.required} | ({"schema"} if block is Record else set())
        assert set(schema.get("required", ())) == required, where
        assert schema.get("additionalProperties", True) is issubclass(block, OpenBlock), where
        for name, one in known.items():
            options = schema["properties"][name].get("anyOf", [schema["properties"][name]])
            null = any(option.get("type") == "null" or "null" in option.get("type", ()) for option in options)
            assert null is one.nullable or one.kind is Any, f"{where}.{name}"
            for inner in blocks_of(one.kind):
                (found,) = [o for o in map(item, options) if "properties" in o]
                look(inner, found, f"{where}.{name}")

    def item(schema: Mapping[str, Any]) -> Mapping[str, Any]:
        return schema.get("items") or schema

    def blocks_of(kind: Any) -> list[type[Block]]:
        return list(dict.fromkeys(blocks(kind)))[:1]

    look(Record, result_schema(), "$")


def test_a_key_that_is_missing_or_unknown_is_refused() -> None:
    record = make_record()
    del record["time"]["window_s"]
    with pytest.raises(KeyError, match="window_s"):
        Record.from_dict(record)
    with pytest.raises(ValueError, match="no place for colour"):
        Record.from_dict({**make_record(), "colour": "red"})


def test_what_may_be_missing_and_what_may_be_null_stay_apart() -> None:
    """Written again, a key that was missing is missing and one that was null is null."""
    record = make_record()
    assert "power_mode" not in Record.from_dict(record).to_dict()["point"]
    record["point"]["power_mode"] = None
    assert Record.from_dict(record).to_dict()["point"]["power_mode"] is None
    assert problem(Record.from_dict(record).to_dict()) is None
