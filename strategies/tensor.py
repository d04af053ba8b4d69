"""Tensor parallelism: every layer is cut over the ranks, heads and MLP columns; activations are summed.

    x -copy_in-> [q k v of my heads] -> attention -> [my rows of o] -reduce_out-> + bias     (twice per block)

Payload per rank, step and layer: 4 B s h e bytes: an all-reduce of [b, s, h] after attention and after the MLP,
forward and backward (Shoeybi et al., arXiv 1909.08053). The token table is cut by rows (one all-reduce of the
embeddings); a language-model head by columns (one all-reduce of its input gradient, and an all-gather of two numbers
a token instead of the logits).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from strategies.base import register
from strategies.comm.collectives import copy_in, reduce_out, split_cross_entropy
from strategies.comm.group import Group
from strategies.composed import Composed
from strategies.models.layers import Cut
from strategies.models.spec import ModelSpec
from strategies.partition import even
from strategies.plan import MeshShape, Placement, StepShape, Volume, all_reduce_wire, place


class Split:
    """The layers are cut over ``group``; this rank holds the vocabulary from ``begin`` on."""

    def __init__(self, group: Group, begin: int) -> None:
        self.group, self.begin = group, begin

    def copy_in(self, x: Tensor) -> Tensor:
        return copy_in(x, self.group)

    def reduce_out(self, y: Tensor) -> Tensor:
        return reduce_out(y, self.group)

    def embed(self, ids: Tensor, weight: Tensor) -> Tensor:
        local = ids - self.begin
        here = (local >= 0) & (local < weight.shape[0])
        rows = F.embedding(torch.where(here, local, 0), weight) * here.unsqueeze(-1).to(weight.dtype)
        return reduce_out(rows, self.group)

    def cross_entropy(self, logits: Tensor, targets: Tensor) -> Tensor:
        return split_cross_entropy(logits, targets, self.begin, self.group)


def cut_for(at: Placement, spec: ModelSpec, group: Group) -> Cut:
    begin, _ = even(spec.vocab, at.tensor[1])[at.tensor[0]]
    return Split(group, begin)


def volumes(spec: ModelSpec, shape: StepShape, mesh: MeshShape, placement: Sequence[Placement]) -> list[Volume]:
    """Two all-reduces forward and two backward for each layer and micro-batch, and those of the two ends."""
    if mesh.tensor == 1:
        return []
    found = []
    for at in placement:
        layers, lm = at.layers[1] - at.layers[0], at.last and spec.head == "lm"
        forward, backward = 2 * layers + at.first, 2 * layers + lm
        for samples in at.micro_samples:
            tokens = samples * shape.seq
            hidden = tokens * spec.hidden * shape.element_bytes
            found.append(_all_reduces("forward", forward, hidden, mesh.tensor))
            found.append(_all_reduces("backward", backward, hidden, mesh.tensor))
            if lm:
                pair = 2 * tokens * shape.element_bytes
                found.append(Volume("tensor", "all_gather", "forward", 1, pair, float((mesh.tensor - 1) * pair)))
    return found


def _all_reduces(phase: str, calls: int, payload: int, ranks: int) -> Volume:
    return Volume("tensor", "all_reduce", phase, calls, calls * payload, calls * all_reduce_wire(payload, ranks))


@register
class Tensors(Composed):
    name: ClassVar[str] = "tensor"
    axes: ClassVar[tuple[str, ...]] = ("tensor",)

    @classmethod
    def volumes(cls, model: ModelSpec, shape: StepShape, mesh: MeshShape, options: Mapping[str, Any]) -> list[Volume]:
        return volumes(model, shape, mesh, place(model, shape, mesh))

    def make_cut(self) -> Cut:
        return cut_for(self.at, self.spec, self.mesh.groups["tensor"])
