"""How the layers that tensor parallelism splits exchange activations over the tensor group.

    replicated stream   x -copy_in-> [my heads or columns] -reduce_out-> sum      backward: the other way round
    split stream        my tokens -all-gather-> [my heads or columns] -reduce-scatter-> my tokens of the sum

``plan/tensor_volumes.py`` has what they send.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from strategies.comm.collectives import copy_in, gather_tokens, reduce_out, scatter_tokens, split_cross_entropy
from strategies.comm.comm_options import AUTO
from strategies.comm.group import Group
from strategies.comm.mesh import Mesh
from strategies.models.layers import TensorParallelLayers
from strategies.plan.partition import Span
from strategies.plan.rank_placement import RankPlacement
from strategies.plan.tensor_volumes import AXIS
from strategies.step.alternating_halves import HiddenGroup, Turns


class SplitLayers(TensorParallelLayers):
    """Layers split over ``group``, the stream replicated; this rank holds the vocabulary from ``begin`` on."""

    def __init__(self, group: Group, begin: int) -> None:
        self.group, self.begin = group, begin

    def copy_in(self, x: Tensor) -> Tensor:
        """The replicated stream; backward sums its gradients over the group."""
        return copy_in(x, self.group)

    def reduce_out(self, y: Tensor) -> Tensor:
        """All-reduce over the group."""
        return reduce_out(y, self.group)

    def embed(self, ids: Tensor, weight: Tensor) -> Tensor:
        """Local rows, zeros for tokens of other ranks, all-reduced."""
        local = ids - self.begin
        here = (local >= 0) & (local < weight.shape[0])
        rows = F.embedding(torch.where(here, local, 0), weight) * here.unsqueeze(-1).to(weight.dtype)
        return self.reduce_out(rows)

    def cross_entropy(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Over the vocabulary of all ranks, by two numbers for each token."""
        return split_cross_entropy(logits, targets, self.begin, self.group)

    def stream_part(self, x: Tensor) -> Tensor:
        """All tokens."""
        return x

    def pool(self, x: Tensor) -> Tensor:
        """The sums as they are."""
        return x


class SplitLayersAndStream(SplitLayers):
    """The tokens between the blocks are split too: norms and residuals work on ``parts[rank]`` only.

    All-gather and reduce-scatter take the place of the all-reduce: the same bytes, less memory, and the norms' work is
    shared (Korthikanti et al., arXiv 2205.05198).
    """

    def __init__(self, group: Group, begin: int, parts: Sequence[Span]) -> None:
        super().__init__(group, begin)
        self.parts = parts

    def copy_in(self, x: Tensor) -> Tensor:
        """All-gather of the tokens."""
        return gather_tokens(x, self.parts, self.group)

    def reduce_out(self, y: Tensor) -> Tensor:
        """Reduce-scatter to this rank's tokens."""
        return scatter_tokens(y, self.parts, self.group)

    def stream_part(self, x: Tensor) -> Tensor:
        """This rank's tokens."""
        return x[..., slice(*self.parts[self.group.rank])]

    def pool(self, x: Tensor) -> Tensor:
        """All-reduce over the group."""
        return reduce_out(x, self.group)


def split_layers_of(
    placement: RankPlacement, placements: Sequence[RankPlacement], mesh: Mesh, turns: Turns | None
) -> SplitLayers:
    """The layers' exchange over this rank's tensor group.

    Args:
        placement: This rank's.
        placements: Those of all ranks.
        mesh: Has the tensor group.
        turns: Of two halves of a batch, whose operations go on beside the other's computation; None: there are no halves.

    Returns:
        With the stream split where the placement says so.
    """
    group, begin = mesh.groups[AXIS], placement.units["vocab"][0]
    if turns is not None:
        group = HiddenGroup(group, turns, mesh.asked.all_reduce == AUTO)
    if not placement.splits_stream:
        return SplitLayers(group, begin)
    return SplitLayersAndStream(group, begin, [placements[rank].stream for rank in group.members])
