"""The description of a model family: names and layouts of its Hugging Face checkpoints. Neither torch nor files.

A family is one file with a registered class, in ``families/``, in a folder of plug-ins, or in another distribution (entry
points of the group ``edgejoule.model_families``). The model itself is ``transformer.py`` with the switches of a ModelSpec.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from strategies.common.plan_error import PlanError
from strategies.common.registry import Registry
from strategies.plan.model_spec import ModelSpec

Switches = Mapping[str, str | int | float | bool]
"""Fields of ModelSpec by name."""
Constants = Mapping[str, str | int | float | bool | None]
"""Values of config.json by key."""
UNKNOWN_TOKENS: Constants = {"bos_token_id": None, "eos_token_id": None}
"""The tokenizer is not part of a checkpoint of ours, so nothing is known of special tokens."""
PLAIN: Switches = {"norm": "layer", "positions": "learned", "qkv_bias": True, "out_bias": True, "mlp_bias": True}
"""Switches that the oldest families share."""


@dataclass(frozen=True)
class Stored:
    """Where a parameter is in a checkpoint.

    Attributes:
        name: The tensor's name, without a prefix of the family.
        transposed: Whether it is stored as [columns, rows].
        part: (index, number) of its place in a fused matrix.
    """

    name: str
    transposed: bool = False
    part: tuple[int, int] = (0, 1)


class ModelFamily(ABC):
    """One family of checkpoints. Only class attributes and class methods."""

    name: ClassVar[str]
    """``model_type`` in config.json, and ``family`` of a ModelSpec."""
    prefixes: ClassVar[tuple[str, ...]]
    """Prefixes that the names of its tensors may have, in the order in which they are looked for."""
    written_prefix: ClassVar[str] = ""
    """The prefix of written checkpoints (not of ``lm_head``)."""
    classes: ClassVar[Mapping[str, str]]
    """Its classes in ``transformers`` by head (``classifier``: without one; ``lm``)."""
    config_keys: ClassVar[Mapping[str, str]]
    """Keys of config.json, and the field of ModelSpec that each has."""
    config_constants: ClassVar[Constants] = {}
    """Keys of config.json that are the same for the whole family."""

    @classmethod
    @abstractmethod
    def stored(cls, name: str) -> Stored | None:
        """Where a parameter is in the family's checkpoints.

        Args:
            name: The canonical name, such as ``blocks.3.attn.q.weight``.

        Returns:
            The tensor and the part of it, or None where the checkpoints do not have it.
        """

    @classmethod
    @abstractmethod
    def fixed_switches(cls, spec: ModelSpec) -> Switches:
        """What the family's classes in ``transformers`` have no switch for.

        Args:
            spec: The model that is to be one of them.

        Returns:
            Fields of ModelSpec with the only value that the classes know.
        """


_FAMILIES: Registry[type[ModelFamily]] = Registry(
    "model family", "strategies.models.families", "edgejoule.model_families", error=PlanError
)
register = _FAMILIES.register
registered = _FAMILIES.all
get = _FAMILIES.get


def renamed(name: str, top: Mapping[str, str], inside: Mapping[str, str], layers: str) -> Stored | None:
    """Where a parameter is in a checkpoint that only has other names.

    Args:
        name: The canonical name, such as ``blocks.3.attn.q.weight``.
        top: The family's names of what lies outside of the blocks; what is missing, its checkpoints do not have.
        inside: Its names of the parts of a block.
        layers: Its name of the list of blocks.

    Returns:
        The tensor, or None for a name outside of the blocks that ``top`` does not have.
    """
    stem, kind = name.rsplit(".", 1)
    if stem.startswith("blocks."):
        _, layer, rest = stem.split(".", 2)
        return Stored(f"{layers}.{layer}.{inside[rest]}.{kind}")
    return Stored(f"{top[stem]}.{kind}") if stem in top else None
