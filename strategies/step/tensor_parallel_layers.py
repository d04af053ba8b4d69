"""How the layers that tensor parallelism cuts talk to their other parts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from strategies.comm.collectives import copy_in, gather_tokens, reduce_out, scatter_tokens, split_cross_entropy
from strategies.comm.group import Group
from strategies.comm.mesh import Mesh
from strategies.plan.model_spec import ModelSpec
from strategies.plan.partition import Span
from strategies.plan.placement import Placement
from strategies.plan.shapes import StepShape, Volume, volume

AXIS = "tensor"


class Split:
    """The layers are cut over ``group``, the stream is replicated; this rank holds the vocabulary from ``begin`` on."""

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
        return self.reduce_out(rows)

    def cross_entropy(self, logits: Tensor, targets: Tensor) -> Tensor:
        return split_cross_entropy(logits, targets, self.begin, self.group)

    def own(self, x: Tensor) -> Tensor:
        return x

    def pool(self, x: Tensor) -> Tensor:
        return x


class SplitStream(Split):
    """The tokens between the blocks are split too: norms and residuals work on ``parts[rank]`` only.

    All-gather and reduce-scatter take the place of the all-reduce: the same bytes, less memory, and the norms' work is
    shared (Korthikanti et al., arXiv 2205.05198).
    """

    def __init__(self, group: Group, begin: int, parts: Sequence[Span]) -> None:
        super().__init__(group, begin)
        self.parts = parts

    def copy_in(self, x: Tensor) -> Tensor:
        return gather_tokens(x, self.parts, self.group)

    def reduce_out(self, y: Tensor) -> Tensor:
        return scatter_tokens(y, self.parts, self.group)

    def own(self, x: Tensor) -> Tensor:
        return x[..., slice(*self.parts[self.group.rank])]

    def pool(self, x: Tensor) -> Tensor:
        return reduce_out(x, self.group)


def cut_of(at: Placement, placement: Sequence[Placement], mesh: Mesh) -> Split:
    """The cut of this rank's tensor group."""
    group, begin = mesh.groups[AXIS], at.units["vocab"][0]
    if not at.splits_stream:
        return Split(group, begin)
    return SplitStream(group, begin, [placement[rank].stream for rank in group.members])


def volumes(spec: ModelSpec, shape: StepShape, placement: Sequence[Placement]) -> Iterator[Volume]:
    """Two reductions forward and two backward for each layer and micro-batch, and those of the two ends.

    Recomputed blocks repeat what their backward needs: of a block with the norms before it not its last reduction.
    """
    for at in placement:
        if at.tensor[1] == 1:
            continue
        for samples in at.micro_samples:
            yield from (_split_stream if at.splits_stream else _replicated)(spec, shape, at, samples)
            if at.last and spec.head == "lm":
                pair = 2 * samples * at.local_tokens * shape.element_bytes
                yield volume(AXIS, "all_gather", "forward", 1, pair, at.tensor[1])


def _again(spec: ModelSpec, shape: StepShape, at: Placement) -> tuple[int, int]:
    """Recomputed (gathers, reductions) of a backward."""
    if shape.recompute == "none":
        return 0, 0
    return 2 * at.layer_count, (2 if spec.norm_place == "post" else 1) * at.layer_count


def _replicated(spec: ModelSpec, shape: StepShape, at: Placement, samples: int) -> Iterator[Volume]:
    hidden, ranks = samples * at.local_tokens * spec.hidden * shape.element_bytes, at.tensor[1]
    head = at.last and spec.head == "lm"
    yield volume(AXIS, "all_reduce", "forward", 2 * at.layer_count + at.first, hidden, ranks)
    yield volume(AXIS, "all_reduce", "backward", 2 * at.layer_count + head + _again(spec, shape, at)[1], hidden, ranks)


def _split_stream(spec: ModelSpec, shape: StepShape, at: Placement, samples: int) -> Iterator[Volume]:
    token, ranks = samples * spec.hidden * shape.element_bytes, at.tensor[1]
    own, whole = token * at.stream_tokens, token * at.local_tokens
    head = at.last and spec.head == "lm"
    gathers, reductions = 2 * at.layer_count + head, 2 * at.layer_count + at.first
    gathers_again, reductions_again = _again(spec, shape, at)
    yield volume(AXIS, "all_gather", "forward", gathers, own, ranks)
    yield volume(AXIS, "reduce_scatter", "forward", reductions, whole, ranks)
    yield volume(AXIS, "all_gather", "backward", reductions + gathers_again, own, ranks)
    yield volume(AXIS, "reduce_scatter", "backward", gathers + reductions_again, whole, ranks)
    if at.last and spec.head == "classifier":
        yield volume(AXIS, "all_reduce", "forward", 1, token, ranks)
