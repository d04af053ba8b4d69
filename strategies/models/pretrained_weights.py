"""Weights: Hugging Face checkpoints read by slices, or random ones that do not depend on the distribution.

A model family (``model_family.py``) maps each canonical parameter to a tensor of the file, and says how it is stored there.
Each rank reads only the rows or columns it holds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from strategies.base import WeightSource
from strategies.common.plan_error import PlanError
from strategies.models import model_family
from strategies.models.model_family import Stored
from strategies.plan.model_spec import ModelSpec, Parameter
from strategies.plan.partition import Span

INIT_STD = 0.02


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
        self._where: dict[str, safe_open] = {}

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
        """The values of one parameter on one rank, contiguous, in memory of their own.

        A slice of columns comes as a view with the strides of the whole, and fused optimizers that walk through weights
        and gradients side by side would mix up their elements. A slice of rows would keep the whole in memory.

        Args:
            parameter: Which.
            span: The slice along its split dimension, or None for all of it.
            dtype: That of the result.

        Returns:
            Those values, of the shape of the slice.

        Raises:
            PlanError: The checkpoint does not have it, or in another shape.
        """
        values = self._find(parameter, span, dtype).contiguous()
        return values if values.untyped_storage().nbytes() == values.nbytes else values.clone()

    def _find(self, parameter: Parameter, span: Span | None, dtype: torch.dtype) -> Tensor:
        family = model_family.get(self.spec.family)
        stored = family.stored(parameter.name)
        if self.checkpoint is not None and stored is not None:
            for prefix in family.prefixes:
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
        values: Tensor = source[tuple(index)]
        return values.t() if stored.transposed else values


def draw(parameter: Parameter, seed: int) -> Tensor:
    """The random initial value of a parameter: norms 1, biases 0, the rest N(0, 0.02^2).

    Its generator is seeded by the seed and the name alone.

    Args:
        parameter: Which; all of it is drawn.
        seed: Of the run.

    Returns:
        float64, of the parameter's shape.
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
    """Read this rank's slices into a module whose parameters carry the canonical names.

    Args:
        module: This rank's part of the model.
        slices: Its parameters, each with its span along the split dimension (None: all of it).
        weights: Where they are read.

    Raises:
        RuntimeError: The module has a parameter that is not among them.
    """
    empty = dict(module.named_parameters())
    for parameter, span in slices:
        target = empty.pop(parameter.name)
        target.data = weights.read(parameter, span, target.dtype)
    if empty:
        raise RuntimeError(f"parameters without a description: {', '.join(empty)}")
