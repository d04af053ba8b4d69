"""The reference page of the record, made from its dataclasses: every key with its type, unit and meaning.

``python -m bench.record.record_reference`` writes ``docs/reference/record.md`` again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args, get_origin

from bench.common.paths import PROJECT
from bench.record.block import Block, BlockField, OpenBlock, block_fields, is_choice, is_row, members
from bench.record.monitored_record import MONITORED, MONITORED_FILE, MonitoredRecord
from bench.record.record import RESULT, Record

PAGE = PROJECT / "docs/reference/record.md"
NAMES = {int: "integer", float: "number", str: "text", bool: "yes or no", Any: "anything"}
HEAD = f"""# The record

`result.json` of a point, format `{RESULT}`: one table for each block. A key in **bold** is always there; any other may be
missing. Units are SI; `1` is a count or a ratio. Made from `bench/record` by `python -m bench.record.record_reference`.
Its JSON Schema is `bench/record/result.schema.json`.
"""
MONITORED_HEAD = f"""## The record of a monitored program

`{MONITORED_FILE}` of a run under [`edgejoule monitor`](../how-to/monitor.md), format `{MONITORED}`; its JSON Schema is
`bench/record/monitored.schema.json`. Blocks that points have too are described above.
"""


def reference_page() -> str:
    """The page as Markdown."""
    described: set[type[Block]] = set()
    parts = [HEAD, *_sections(Record, described), MONITORED_HEAD, *_sections(MonitoredRecord, described)]
    return "\n".join(parts).rstrip() + "\n"


def _sections(whole: type[Block], described: set[type[Block]]) -> Iterator[str]:
    """One section for each block that was not described yet, outer ones first, each under the first path that leads to it."""
    waiting: list[tuple[str, type[Block]]] = [("", whole)]
    while waiting:
        path, block = waiting.pop(0)
        if block in described:
            continue
        described.add(block)
        yield from _section(path, block)
        inner = [(f"{path}.{one.name}".lstrip("."), one.kind) for one in block_fields(block)]
        waiting[:0] = [(f"{outer_path}{place}", kind) for outer_path, outer in inner for place, kind in _blocks(outer)]


def _section(path: str, block: type[Block]) -> Iterator[str]:
    yield f"## `{path}`\n" if path else "## The whole record\n" if block is Record else "### The whole record of a run\n"
    yield f"{' '.join((block.__doc__ or '').split())}\n"
    yield "| key | type | unit | meaning |\n| --- | --- | --- | --- |"
    for one in block_fields(block):
        name = f"**`{one.name}`**" if one.required or one.name == "schema" else f"`{one.name}`"
        yield f"| {name} | {_type(one)} | {one.entry.unit} | {one.entry.meaning.replace('|', '/')} |"
    yield "\nFurther keys are allowed.\n" if issubclass(block, OpenBlock) else ""


def _blocks(kind: Any) -> Iterator[tuple[str, type[Block]]]:
    """The blocks inside a type, with what a path to them needs: ``[]`` for the items of a list, ``.*`` for any key."""
    for one in members(kind):
        if isinstance(one, type) and issubclass(one, Block):
            yield "", one
        elif get_origin(one) in (Sequence, Mapping):
            place = "[]" if get_origin(one) is Sequence else ".*"
            yield from ((place + rest, block) for rest, block in _blocks(get_args(one)[-1]))


def _type(one: BlockField) -> str:
    names = [_name(kind) for kind in members(one.kind) if kind is not type(None)]
    return " or ".join(names + (["null"] if one.nullable else []))


def _name(kind: Any) -> str:
    if is_choice(kind):
        return ", ".join(f"`{value}`" for value in get_args(kind))
    if is_row(kind):
        return f"[{', '.join(kind._fields)}]"
    if isinstance(kind, type) and issubclass(kind, Block):
        return "object"
    if get_origin(kind) in (Sequence, Mapping):
        inner = get_args(kind)[-1]
        inner = getattr(inner, "__origin__", inner) if hasattr(inner, "__metadata__") else inner
        return f"list of {_name(inner)}" if get_origin(kind) is Sequence else f"object of {_name(inner)}"
    return NAMES[kind]


def write_page() -> None:
    """Write ``docs/reference/record.md``."""
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(reference_page(), encoding="utf-8")


if __name__ == "__main__":
    write_page()
