"""Tensor parallelism: every layer is cut over the ranks, heads and MLP columns; activations are summed.

    x -copy_in-> [q k v of my heads] -> attention -> [my rows of o] -reduce_out-> + bias     (twice per block)

Payload per rank, step and layer: 4 B s h e bytes: an all-reduce of [b, s, h] after attention and after the MLP,
forward and backward (Shoeybi et al., arXiv 1909.08053). The token table is cut by rows (one all-reduce of the
embeddings); a language-model head by columns (one all-reduce of its input gradient, and an all-gather of two numbers
a token instead of the logits). A vocabulary that the ranks do not divide is cut unevenly; nothing is padded.

Options: ``tensor_shares=[3,1]`` cuts heads, columns and vocabulary by weight; ``norms=split`` also splits the tokens
between the blocks (Megatron's sequence parallelism: the same bytes on the wire, less memory, norms shared). Key/value
heads fewer than ranks are held by several, and their gradients summed.
"""

from __future__ import annotations

from typing import ClassVar

from strategies.base import register
from strategies.common.appearance import Appearance
from strategies.plan.step_options import TensorOptions
from strategies.step.composition import ComposedStrategy


@register
class TensorParallel(ComposedStrategy):
    """Ranks share the heads and columns of every layer."""

    name: ClassVar[str] = "tensor"
    axes: ClassVar[tuple[str, ...]] = ("tensor",)
    appearance: ClassVar[Appearance | None] = Appearance(40, "#D55E00", "^", "\\\\\\\\", "tensor")
    option_class: ClassVar[type] = TensorOptions
