"""Weights: Hugging Face checkpoints read by slices, or random ones that do not depend on the distribution.

An adapter maps each canonical parameter to a tensor of the file, and says how it is stored there: GPT-2 keeps its
matrices transposed (Conv1D) and q, k, v side by side in one. Each rank reads only the rows or columns it holds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from strategies.base import WeightSource
from strategies.common.plan_error import PlanError
from strategies.plan.model_spec import ModelSpec, Parameter
from strategies.plan.partition import Span

INIT_STD = 0.02


@dataclass(frozen=True)
class Stored:
    """Where a parameter is in a checkpoint: a tensor, transposed or not, and its place in a fused matrix."""

    name: str
    transposed: bool = False
    part: tuple[int, int] = (0, 1)


def _bert(name: str) -> Stored | None:
    top = {
        "embed.tokens": "embeddings.word_embeddings",
        "embed.positions": "embeddings.position_embeddings",
        "embed.types": "embeddings.token_type_embeddings",
        "embed.norm": "embeddings.LayerNorm",
    }
    inside = {
        "attn.q": "attention.self.query",
        "attn.k": "attention.self.key",
        "attn.v": "attention.self.value",
        "attn.o": "attention.output.dense",
        "attn_norm": "attention.output.LayerNorm",
        "mlp.up": "intermediate.dense",
        "mlp.down": "output.dense",
        "mlp_norm": "output.LayerNorm",
    }
    return _renamed(name, top, inside, "encoder.layer")


def _llama(name: str) -> Stored | None:
    top = {"embed.tokens": "embed_tokens", "norm": "norm", "head": "lm_head"}
    inside = {
        "attn.q": "self_attn.q_proj",
        "attn.k": "self_attn.k_proj",
        "attn.v": "self_attn.v_proj",
        "attn.o": "self_attn.o_proj",
        "attn_norm": "input_layernorm",
        "mlp.gate": "mlp.gate_proj",
        "mlp.up": "mlp.up_proj",
        "mlp.down": "mlp.down_proj",
        "mlp_norm": "post_attention_layernorm",
    }
    return _renamed(name, top, inside, "layers")


def _gpt2(name: str) -> Stored | None:
    top = {"embed.tokens": "wte", "embed.positions": "wpe", "norm": "ln_f", "head": "lm_head"}
    inside = {"attn_norm": "ln_1", "attn.o": "attn.c_proj", "mlp_norm": "ln_2", "mlp.up": "mlp.c_fc", "mlp.down": "mlp.c_proj"}
    fused = {"attn.q": 0, "attn.k": 1, "attn.v": 2}
    for key, part in fused.items():
        if f".{key}." in name:
            layer, kind = name.split(".")[1], name.rsplit(".", 1)[1]
            return Stored(f"h.{layer}.attn.c_attn.{kind}", kind == "weight", (part, 3))
    found = _renamed(name, top, inside, "h")
    matrix = any(f".{key}.weight" in name for key in ("attn.o", "mlp.up", "mlp.down"))
    return Stored(found.name, transposed=True) if found and matrix else found


def _renamed(name: str, top: dict[str, str], inside: dict[str, str], layers: str) -> Stored | None:
    stem, kind = name.rsplit(".", 1)
    if stem.startswith("blocks."):
        _, layer, rest = stem.split(".", 2)
        return Stored(f"{layers}.{layer}.{inside[rest]}.{kind}")
    return Stored(f"{top[stem]}.{kind}") if stem in top else None


ADAPTERS: dict[str, tuple[Callable[[str], Stored | None], tuple[str, ...]]] = {
    "bert": (_bert, ("", "bert.")),
    "gpt2": (_gpt2, ("", "transformer.")),
    "llama": (_llama, ("model.", "")),
}


class WeightLoader:
    """Gives every rank its slice of a parameter.

    With a checkpoint directory (``*.safetensors``) tensors come from it; a task head that it does not have is drawn
    at random and listed in ``drawn``. Without one, everything is random: a parameter depends only on the seed and its
    name, so it is the same under every distribution. Use as a context manager; it keeps the files open.
    """

    def __init__(self, spec: ModelSpec, checkpoint: Path | None, seed: int) -> None:
        self.spec, self.seed, self.checkpoint = spec, seed, checkpoint
        self.drawn: list[str] = []
        self._stack = ExitStack()
        self._where: dict[str, Any] = {}

    def __enter__(self) -> WeightLoader:
        if self.checkpoint is not None:
            files = sorted(self.checkpoint.glob("*.safetensors"))
            if not files:
                raise PlanError(
                    f"checkpoint {self.checkpoint} holds no *.safetensors file; give another <model checkpoint:folder>"
                )
            for file in files:
                self._open(file)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _open(self, file: Path) -> None:
        try:
            opened = self._stack.enter_context(safe_open(file, framework="pt"))
        except (SafetensorError, OSError) as error:
            raise PlanError(f"checkpoint {file} cannot be read ({error}); fetch it again") from None
        self._where.update(dict.fromkeys(opened.keys(), opened))

    def read(self, parameter: Parameter, span: Span | None, dtype: torch.dtype) -> Tensor:
        """The slice ``span`` of ``parameter`` along its split dimension (None: all of it), contiguous, in memory of its own.

        A slice of columns comes as a view with the strides of the whole, and fused optimizers that walk through weights
        and gradients side by side would mix up their elements. A slice of rows would keep the whole in memory.
        """
        found = self._find(parameter, span, dtype).contiguous()
        return found if found.untyped_storage().nbytes() == found.nbytes else found.clone()

    def _find(self, parameter: Parameter, span: Span | None, dtype: torch.dtype) -> Tensor:
        adapter, prefixes = ADAPTERS[self.spec.family]
        stored = adapter(parameter.name)
        if self.checkpoint is not None and stored is not None:
            for prefix in prefixes:
                if prefix + stored.name in self._where:
                    return self._slice(prefix + stored.name, stored, parameter, span).to(dtype)
            if parameter.place != "head":
                raise PlanError(f"checkpoint {self.checkpoint} has no tensor {stored.name}; is it a {self.spec.family} model?")
        if self.checkpoint is not None:
            self.drawn.append(parameter.name)
        whole = draw(parameter, self.seed)
        return (whole if span is None else whole.narrow(parameter.split or 0, span[0], span[1] - span[0])).to(dtype)

    def _slice(self, name: str, stored: Stored, parameter: Parameter, span: Span | None) -> Tensor:
        source = self._where[name].get_slice(name)
        shape = tuple(reversed(parameter.shape)) if stored.transposed else parameter.shape
        fused = len(shape) - 1 if stored.transposed else 0
        part, parts = stored.part
        expected = tuple(size * parts if dim == fused else size for dim, size in enumerate(shape))
        if tuple(source.get_shape()) != expected:
            raise PlanError(
                f"checkpoint {self.checkpoint}: {name} has shape {tuple(source.get_shape())}, model "
                f"{self.spec.name} needs {expected}; choose the model that fits the checkpoint"
            )
        index = [slice(0, size) for size in shape]
        if span is not None and parameter.split is not None:
            index[len(shape) - 1 - parameter.split if stored.transposed else parameter.split] = slice(*span)
        start = part * shape[fused]
        index[fused] = slice(start + index[fused].start, start + index[fused].stop)
        found: Tensor = source[tuple(index)]
        return found.t() if stored.transposed else found


def draw(parameter: Parameter, seed: int) -> Tensor:
    """The random initial value of a whole parameter, float64: norms 1, biases 0, the rest N(0, 0.02^2).

    Its generator is seeded by the seed and the name alone.
    """
    stem, kind = parameter.name.rsplit(".", 1)
    if kind == "bias":
        return torch.zeros(parameter.shape, dtype=torch.float64)
    if stem.endswith("norm"):
        return torch.ones(parameter.shape, dtype=torch.float64)
    digest = hashlib.sha256(f"{seed}/{parameter.name}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
    return torch.randn(parameter.shape, generator=generator, dtype=torch.float64) * INIT_STD


def fill(module: torch.nn.Module, slices: Iterable[tuple[Parameter, Span | None]], weights: WeightSource) -> None:
    """Put this rank's ``slices`` into ``module``, whose parameters carry the canonical names.

    Raises:
        RuntimeError: The module has a parameter that is not among them.
    """
    empty = dict(module.named_parameters())
    for parameter, span in slices:
        target = empty.pop(parameter.name)
        target.data = weights.read(parameter, span, target.dtype)
    if empty:
        raise RuntimeError(f"parameters without a description: {', '.join(empty)}")
