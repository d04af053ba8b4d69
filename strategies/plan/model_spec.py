"""A Transformer as plain numbers: its switches and the list of its parameters.

Nothing here needs torch: plans, memory estimates and slices of checkpoints follow from the shapes alone.
Parameters have canonical names (``blocks.3.attn.q.weight``); model families (``models/families``) map them
to Hugging Face names.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from typing import Any, Literal

from strategies.common.plan_error import PlanError

Unit = Literal["heads", "kv_heads", "ffn", "vocab"]


@dataclass(frozen=True)
class ModelSpec:
    """Sizes and switches of one Transformer.

    ``family`` names the checkpoint layout (one of ``models/families``); every other field is a switch of the model itself,
    so that a new family is a new set of values. ``head`` is what the last stage computes: class logits from the
    mean of the token vectors (as all-MiniLM pools them), or next-token logits.
    """

    name: str
    family: str
    vocab: int
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    ffn: int
    max_positions: int
    causal: bool
    norm: Literal["layer", "rms"]
    norm_place: Literal["pre", "post"]
    positions: Literal["learned", "rotary"]
    mlp: Literal["gelu", "gelu_tanh", "silu_gated"]
    head: Literal["classifier", "lm"]
    norm_eps: float = 1e-12
    qkv_bias: bool = True
    out_bias: bool = True
    mlp_bias: bool = True
    token_types: int = 0
    labels: int = 0
    tied: bool = False
    rope_theta: float = 10000.0

    def __post_init__(self) -> None:
        if self.hidden % self.heads:
            raise PlanError(f"model {self.name}: hidden={self.hidden} is not a multiple of heads={self.heads}")
        if self.heads % self.kv_heads:
            raise PlanError(f"model {self.name}: heads={self.heads} is not a multiple of kv_heads={self.kv_heads}")
        if self.head == "classifier" and self.labels < 2:
            raise PlanError(f"model {self.name}: a classifier needs labels >= 2, found {self.labels}")
        if self.head == "lm" and not self.causal:
            raise PlanError(f"model {self.name} is not causal and cannot learn next tokens; use a classification task")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ModelSpec:
        """Read a spec from configuration.

        Args:
            values: Its fields by name.

        Returns:
            The spec.

        Raises:
            PlanError: A key is unknown or missing; the message names it.
        """
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise PlanError(f"model: unknown keys {', '.join(unknown)}; known are {', '.join(sorted(known))}")
        try:
            return cls(**values)
        except TypeError as error:
            raise PlanError(f"model {values.get('name', '?')}: {error}") from None

    def to_dict(self) -> dict[str, Any]:
        """The values by name; ``from_dict`` reads them."""
        return asdict(self)

    @property
    def head_dim(self) -> int:
        """Elements of one head."""
        return self.hidden // self.heads

    def units(self, unit: Unit) -> int:
        """How many indivisible pieces a split has.

        Args:
            unit: What is split: heads, key/value heads, MLP columns or vocabulary rows.

        Returns:
            The number in the whole model.
        """
        return {"heads": self.heads, "kv_heads": self.kv_heads, "ffn": self.ffn, "vocab": self.vocab}[unit]


@dataclass(frozen=True)
class Parameter:
    """One tensor of the whole model.

    ``place`` is ``embed``, ``head`` or the layer number. ``split`` is the dimension that tensor parallelism cuts
    (0 column-parallel or vocabulary, 1 row-parallel, None replicated), in pieces of ``unit``.
    """

    name: str
    shape: tuple[int, ...]
    place: int | Literal["embed", "head"]
    split: int | None = None
    unit: Unit | None = None

    @property
    def size(self) -> int:
        """Elements of the whole tensor."""
        return math.prod(self.shape)

    def part(self, span: tuple[int, int] | None) -> tuple[int, ...]:
        """The shape of a slice along ``split``.

        Args:
            span: The slice, or None for all of it.

        Returns:
            The shape; that of the whole where the parameter is never cut.
        """
        if span is None or self.split is None:
            return self.shape
        return tuple(span[1] - span[0] if dim == self.split else size for dim, size in enumerate(self.shape))


@lru_cache(maxsize=64)
def parameters(spec: ModelSpec) -> tuple[Parameter, ...]:
    """Every parameter of a model; a tied head has none of its own.

    Args:
        spec: The model.

    Returns:
        In forward order.
    """
    return tuple(_parameters(spec))


def _parameters(spec: ModelSpec) -> Iterator[Parameter]:
    yield Parameter("embed.tokens.weight", (spec.vocab, spec.hidden), "embed", 0, "vocab")
    if spec.positions == "learned":
        yield Parameter("embed.positions.weight", (spec.max_positions, spec.hidden), "embed")
    if spec.token_types:
        yield Parameter("embed.types.weight", (spec.token_types, spec.hidden), "embed")
    if spec.norm_place == "post":
        yield from _norm(spec, "embed.norm", "embed")
    for layer in range(spec.layers):
        yield from _block(spec, layer)
    if spec.norm_place == "pre":
        yield from _norm(spec, "norm", "head")
    if spec.head == "classifier":
        yield Parameter("head.weight", (spec.labels, spec.hidden), "head")
        yield Parameter("head.bias", (spec.labels,), "head")
    elif not spec.tied:
        yield Parameter("head.weight", (spec.vocab, spec.hidden), "head", 0, "vocab")


def parameter_count(spec: ModelSpec) -> int:
    """Elements of all parameters of a model.

    Args:
        spec: The model.

    Returns:
        A tied table counts once.
    """
    return sum(parameter.size for parameter in parameters(spec))


def _norm(spec: ModelSpec, name: str, place: int | Literal["embed", "head"]) -> Iterator[Parameter]:
    yield Parameter(f"{name}.weight", (spec.hidden,), place)
    if spec.norm == "layer":
        yield Parameter(f"{name}.bias", (spec.hidden,), place)


def _block(spec: ModelSpec, layer: int) -> Iterator[Parameter]:
    block, kv = f"blocks.{layer}", spec.kv_heads * spec.head_dim
    yield from _norm(spec, f"{block}.attn_norm", layer)
    for name, rows, unit in (("q", spec.hidden, "heads"), ("k", kv, "kv_heads"), ("v", kv, "kv_heads")):
        yield from _linear(f"{block}.attn.{name}", (rows, spec.hidden), layer, 0, unit, spec.qkv_bias)  # type: ignore[arg-type]
    yield from _linear(f"{block}.attn.o", (spec.hidden, spec.hidden), layer, 1, "heads", spec.out_bias)
    yield from _norm(spec, f"{block}.mlp_norm", layer)
    if spec.mlp == "silu_gated":
        yield from _linear(f"{block}.mlp.gate", (spec.ffn, spec.hidden), layer, 0, "ffn", spec.mlp_bias)
    yield from _linear(f"{block}.mlp.up", (spec.ffn, spec.hidden), layer, 0, "ffn", spec.mlp_bias)
    yield from _linear(f"{block}.mlp.down", (spec.hidden, spec.ffn), layer, 1, "ffn", spec.mlp_bias)


def _linear(name: str, shape: tuple[int, int], layer: int, split: int, unit: Unit, bias: bool) -> Iterator[Parameter]:
    yield Parameter(f"{name}.weight", shape, layer, split, unit)
    if bias:
        # A row-parallel bias is added once, after the all-reduce: it is not split.
        yield Parameter(f"{name}.bias", shape[:1], layer, *((0, unit) if split == 0 else (None, None)))
