"""The configuration as Hydra's structured schema: which keys there are and how they nest.

Types and ranges are compared by ``config_check`` after composition: OmegaConf would turn the text "16" into a number.
"""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any

from hydra.core.config_store import ConfigStore

from bench.config.config_field import default_of, kind_of, setting_of
from bench.config.run_config import RunConfig

NAME = "run_config"
OPEN = ("strategy", "task", "spec")  # the option that is chosen says which keys there are


def register_schema() -> None:
    """Make the schema known to Hydra under the name that ``conf/config.yaml`` has in its defaults."""
    ConfigStore.instance().store(name=NAME, node=schema_of(RunConfig), provider="bench.config")


def schema_of(cls: type) -> type:
    """A dataclass with the keys of a block, for OmegaConf: not frozen, leaves of any type.

    Args:
        cls: The block's class.

    Returns:
        A new class with the same keys and defaults, nested as they are.
    """
    fields: list[tuple[str, Any, Any]] = []
    for field in dataclasses.fields(cls):
        inner = setting_of(field).block
        if field.name in OPEN:
            fields.append((field.name, Any, dataclasses.field(default_factory=dict)))
        elif inner is not None:
            nested = schema_of(inner)
            fields.append((field.name, nested, dataclasses.field(default_factory=nested)))
        elif kind_of(field) == "list" or kind_of(field).startswith("Mapping"):
            fields.append((field.name, Any, dataclasses.field(default_factory=partial(default_of, field))))
        else:
            fields.append((field.name, Any, dataclasses.field(default=default_of(field))))
    return dataclasses.make_dataclass(cls.__name__, fields)
