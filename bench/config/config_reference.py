"""Every key of the configuration as a row: for ``--help`` and for ``docs/reference/configuration.md``."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bench.config.config_field import default_of, kind_of, leaves, must_be, nullable, setting_of
from bench.config.run_config import RunConfig
from strategies.base import registered
from strategies.common.option_fields import option_fields

TYPES = {"int": "whole number", "float": "number", "bool": "true or false", "str": "text", "list": "list", "Any": "see meaning"}


@dataclass(frozen=True)
class KeyRow:
    """One key: its dotted name, type, default and unit as text, what it must be, and its meaning in one line."""

    key: str
    type: str
    default: str
    unit: str
    must: str
    meaning: str


def rows() -> list[KeyRow]:
    """The keys of all blocks in the order of ``conf/config.yaml``; those of strategies are in ``strategy_rows``."""
    return [row(key, field) for key, field in leaves(RunConfig) if not setting_of(field).flat]


def row(key: str, field: dataclasses.Field) -> KeyRow:
    """One key with what its field says.

    Args:
        key: The dotted key.
        field: Its field.

    Returns:
        The row of the reference.
    """
    kind, rule = kind_of(field), setting_of(field)
    name = TYPES.get(kind, "mapping") + (" or null" if nullable(field) and kind != "Any" else "")
    return KeyRow(key, name, shown(default_of(field)), rule.unit or "", must_be(field), rule.meaning)


def strategy_rows() -> dict[str, list[KeyRow]]:
    """The options of every strategy, by its name."""
    return {
        name: [
            KeyRow(f"strategy.{one.name}", "", shown(one.default), "", one.kind.description, one.meaning)
            for one in option_fields(strategy.option_class)
        ]
        for name, strategy in registered().items()
    }


def shown(value: Any) -> str:
    """A value as the command line takes it.

    Args:
        value: A default: number, text, truth value, null, or a list of them.

    Returns:
        Its text, such as ``[a,b]``, ``null`` or ``true``.
    """
    if isinstance(value, (list, tuple)):
        return f"[{','.join(map(shown, value))}]"
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def page() -> str:
    """``docs/reference/configuration.md`` without its heading: a table for the top and for each block."""
    return "\n".join(_page())


def _page() -> Iterator[str]:
    every = rows()
    meanings = {field.name: setting_of(field).meaning for field in dataclasses.fields(RunConfig)}
    yield from _table([one for one in every if "." not in one.key])
    for name in dict.fromkeys(one.key.split(".")[0] for one in every if "." in one.key):
        yield from ("", f"## {name}", "", f"{meanings[name][0].upper()}{meanings[name][1:]}.", "")
        yield from _table([one for one in every if one.key.startswith(f"{name}.")])
        if name == "strategy":
            for strategy, options in strategy_rows().items():
                yield from ("", f"### strategy={strategy}", "")
                yield from _table(options) if options else ("It has no options.",)
    yield ""


def _table(some: list[KeyRow]) -> Iterator[str]:
    yield from ("| key | default | unit | must be | meaning |", "| --- | --- | --- | --- | --- |")
    for one in some:
        cells = (f"`{one.key}`", f"`{one.default}`", one.unit, one.must, one.meaning)
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
