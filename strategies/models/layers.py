"""Layers of the Transformer. Sizes are those of the local shard: a layer does not know how it was split.

Shapes: B batch, S local tokens, T tokens of the stream between blocks (S, unless the tensor group splits them), H hidden,
N local heads, K local key/value heads, D head width, F local MLP columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from strategies.plan.model_spec import ModelSpec, Unit
from strategies.plan.partition import Span


class TensorParallelLayers(Protocol):
    """How the layers that tensor parallelism splits exchange activations (``step/tensor_parallel_layers.py``)."""

    def copy_in(self, x: Tensor) -> Tensor:
        """Hand the stream to the parts of a layer.

        Args:
            x: The stream, [B, T, H].

        Returns:
            As every part needs it, [B, S, H].
        """

    def reduce_out(self, y: Tensor) -> Tensor:
        """Add up the partial results of the parts.

        Args:
            y: This rank's, [B, S, H].

        Returns:
            The sum as the stream has it, [B, T, H].
        """

    def embed(self, ids: Tensor, weight: Tensor) -> Tensor:
        """Look tokens up in a table that is cut.

        Args:
            ids: int64 [B, S], of the whole vocabulary.
            weight: This rank's rows of the table, [local vocabulary, H].

        Returns:
            [B, T, H].
        """

    def cross_entropy(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Cross entropy over a vocabulary that is cut.

        Args:
            logits: This rank's, [tokens, local vocabulary].
            targets: int64 [tokens], of the whole vocabulary; -100 where there is nothing to learn.

        Returns:
            The sum over tokens, a scalar.
        """

    def stream_part(self, x: Tensor) -> Tensor:
        """The tokens of the stream out of the local ones.

        Args:
            x: [..., S].

        Returns:
            [..., T].
        """

    def pool(self, x: Tensor) -> Tensor:
        """Complete sums over the tokens of the stream.

        Args:
            x: This rank's sums, [B, H].

        Returns:
            Those over all S tokens, [B, H].
        """


class SequenceAttention(Protocol):
    """Attention over tokens that sequence parallelism splits (``step/ring_attention.py``, ``step/ulysses_attention.py``)."""

    def attend(self, q: Tensor, k: Tensor, v: Tensor, context: Context) -> Tensor:
        """Attention over all tokens.

        Args:
            q: Of the local tokens, [B, N, S, D].
            k: Of the local tokens, [B, K, S, D].
            v: The same shape as ``k``.
            context: Mask, causality, and which key/value head a query head attends with.

        Returns:
            [B, N, S, D], of the local tokens.
        """

    def pool(self, x: Tensor) -> Tensor:
        """Complete sums over the local tokens.

        Args:
            x: This rank's sums, [B, H].

        Returns:
            Those over all tokens, [B, H].
        """

    def count_once(self, weight: Tensor) -> Tensor:
        """A weight used in the same way on every rank, whose gradient must be counted once.

        Args:
            weight: Any shape.

        Returns:
            ``weight``; the gradients of all ranks add up to one.
        """


class TokenRowLookup(Protocol):
    """Looks tokens up, and sums the table's gradient itself (``step/embedding_gradient.py``)."""

    def look_up(self, ids: Tensor) -> Tensor:
        """Look tokens up in the table.

        Args:
            ids: int64 [B, S].

        Returns:
            Rows of the table, [B, S, H].
        """


class Context(NamedTuple):
    """The arguments of attention beside q, k and v.

    ``keys`` bool [B, all tokens], True for keys to attend to, or None for all; ``turns`` are cosines and sines
    [S, D/2] of rotary positions; ``kv`` is the local key/value head of each local query head, or None when they pair up.
    """

    causal: bool
    keys: Tensor | None
    turns: tuple[Tensor, Tensor] | None
    kv: Sequence[int] | None


class UnsplitModel(TensorParallelLayers, SequenceAttention):
    """Neither layers nor tokens are split: both protocols without any communication."""

    def copy_in(self, x: Tensor) -> Tensor:
        """The stream as it is."""
        return x

    def reduce_out(self, y: Tensor) -> Tensor:
        """The result as it is."""
        return y

    def embed(self, ids: Tensor, weight: Tensor) -> Tensor:
        """Rows of the whole table."""
        return F.embedding(ids, weight)

    def cross_entropy(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Over the whole vocabulary."""
        return F.cross_entropy(logits, targets, reduction="sum")  # -100 is torch's own "ignore"

    def stream_part(self, x: Tensor) -> Tensor:
        """All tokens."""
        return x

    def pool(self, x: Tensor) -> Tensor:
        """The sums as they are."""
        return x

    def count_once(self, weight: Tensor) -> Tensor:
        """The weight as it is."""
        return weight

    def attend(self, q: Tensor, k: Tensor, v: Tensor, context: Context) -> Tensor:
        """Attention over the local tokens, which are all."""
        if context.kv is not None:
            k, v = k[:, context.kv], v[:, context.kv]
        mask = None if context.keys is None else context.keys[:, None, None, :]
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=context.causal)


class Norm(nn.Module):
    """Layer norm, or root-mean-square norm without a bias, over the last dimension."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.rms, self.eps = spec.norm == "rms", spec.norm_eps
        self.weight = nn.Parameter(torch.empty(spec.hidden))
        if not self.rms:
            self.bias = nn.Parameter(torch.empty(spec.hidden))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise over the last dimension.

        Args:
            x: [..., H].

        Returns:
            The same shape.
        """
        if self.rms:
            return F.rms_norm(x, self.weight.shape, self.weight, self.eps)
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)


class PostponedGradients:
    """Weight gradients of linear layers put off: backward computes input gradients only, ``take`` gives the rest.

    A zero-bubble pipeline sends the input gradient on at once and fills its bubbles with the weights' share.
    """

    def __init__(self) -> None:
        self._work: list[tuple[Tensor, Tensor, Tensor]] = []

    def add(self, weight: Tensor, x: Tensor, gradient: Tensor) -> None:
        """Put off the gradient of a weight.

        Args:
            weight: [rows, columns].
            x: The layer's input, [..., columns].
            gradient: Of the layer's output, [..., rows].
        """
        self._work.append((weight, x, gradient))

    def take(self) -> list[tuple[Tensor, Tensor, Tensor]]:
        """The work that was put off since the last call."""
        work, self._work = self._work, []
        return work

    @staticmethod
    def compute(work: Sequence[tuple[Tensor, Tensor, Tensor]]) -> None:
        """Add the gradients to ``.grad``, through autograd, so that hooks on the parameters see them.

        Args:
            work: (weight, input, gradient of the output), as ``add`` takes them.
        """
        for weight, x, gradient in work:
            weight_gradient = gradient.flatten(0, -2).t() @ x.flatten(0, -2)
            torch.autograd.backward(weight, weight_gradient)


class _PostponedLinear(torch.autograd.Function):
    """The weight comes with its layer, not as an input: the graph must not know it, or its hooks would run twice."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, bias: Tensor | None, layer: Linear, postponed: PostponedGradients) -> Tensor:
        ctx.save_for_backward(x)
        ctx.weight, ctx.biased, ctx.postponed = layer.weight, bias is not None, postponed
        return F.linear(x, layer.weight, bias)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor | None, None, None]:  # type: ignore[override]
        (x,) = ctx.saved_tensors
        ctx.postponed.add(ctx.weight, x, gradient)
        return gradient @ ctx.weight, gradient.flatten(0, -2).sum(0) if ctx.biased else None, None, None


class Linear(nn.Module):
    """y = x W^T + b with W [rows, columns]. ``row_parallel`` adds the bias only when the partial products are summed."""

    postponed: PostponedGradients | None = None

    def __init__(self, rows: int, columns: int, bias: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(rows, columns))
        self.bias = nn.Parameter(torch.empty(rows)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """The product with the weight, and the bias added.

        Args:
            x: [..., columns].

        Returns:
            [..., rows].
        """
        return self._product(x, self.bias)

    def row_parallel(self, x: Tensor, tensor_layers: TensorParallelLayers) -> Tensor:
        """Row-parallel form: the bias belongs to the sum, not to each of its parts.

        Args:
            x: This rank's columns of the input, [B, S, columns].
            tensor_layers: Adds up the products of all parts.

        Returns:
            [B, T, rows].
        """
        if isinstance(tensor_layers, UnsplitModel):
            return self(x)  # type: ignore[no-any-return]
        y = tensor_layers.reduce_out(self._product(x, None))
        return y if self.bias is None else y + self.bias

    def _product(self, x: Tensor, bias: Tensor | None) -> Tensor:
        if self.postponed is None or not torch.is_grad_enabled():
            return F.linear(x, self.weight, bias)
        return _PostponedLinear.apply(x, bias, self, self.postponed)  # type: ignore[no-any-return, no-untyped-call]


def turns(positions: Tensor, width: int, theta: float, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Cosines and sines of rotary embedding: pair i at position p turns by p theta^(-2i/width).

    Su et al., arXiv 2104.09864. Angles are computed in float64: float32 loses them at long positions.

    Args:
        positions: int64 [S].
        width: Elements of a head.
        theta: The base of the frequencies.
        dtype: That of the result.

    Returns:
        Two tensors [S, width/2].
    """
    half = width // 2
    frequency = theta ** (-torch.arange(half, dtype=torch.float64, device=positions.device) / half)
    angle = positions.to(torch.float64)[:, None] * frequency
    return angle.cos().to(dtype), angle.sin().to(dtype)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary position embedding: element i is paired with i + D/2 (Hugging Face's layout).

    Args:
        x: Queries or keys, [B, N, S, D].
        cos: Of the angles, [S, D/2] (``turns``).
        sin: Of the angles, the same shape.

    Returns:
        [B, N, S, D].
    """
    left, right = x.chunk(2, dim=-1)
    return torch.cat([left * cos - right * sin, right * cos + left * sin], dim=-1)


class Attention(nn.Module):
    """Multi-head attention with separate q, k, v; fewer key/value heads than query heads are shared in groups."""

    def __init__(
        self,
        spec: ModelSpec,
        units: dict[Unit, Span],
        tensor_layers: TensorParallelLayers,
        sequence_attention: SequenceAttention,
    ) -> None:
        super().__init__()
        self.width, self.tensor_layers, self.sequence_attention = spec.head_dim, tensor_layers, sequence_attention
        rows, kv_rows = (spec.head_dim * (units[unit][1] - units[unit][0]) for unit in ("heads", "kv_heads"))  # type: ignore[index]
        self.q = Linear(rows, spec.hidden, spec.qkv_bias)
        self.k = Linear(kv_rows, spec.hidden, spec.qkv_bias)
        self.v = Linear(kv_rows, spec.hidden, spec.qkv_bias)
        self.o = Linear(spec.hidden, rows, spec.out_bias)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """Self-attention.

        Args:
            x: The stream, [B, T, H].
            context: The arguments of attention beside q, k and v.

        Returns:
            [B, T, H].
        """
        x = self.tensor_layers.copy_in(x)
        q, k, v = (self._heads(linear(x)) for linear in (self.q, self.k, self.v))
        if context.turns is not None:
            q, k = rotate(q, *context.turns), rotate(k, *context.turns)
        y = self.sequence_attention.attend(q, k, v, context)
        return self.o.row_parallel(y.transpose(1, 2).flatten(2), self.tensor_layers)

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (-1, self.width)).transpose(1, 2)


class MLP(nn.Module):
    """Two matrices with a GELU between them, or three with a SiLU gate."""

    def __init__(self, spec: ModelSpec, columns: int, tensor_layers: TensorParallelLayers) -> None:
        super().__init__()
        self.kind, self.tensor_layers = spec.mlp, tensor_layers
        if self.kind == "silu_gated":
            self.gate = Linear(columns, spec.hidden, spec.mlp_bias)
        self.up = Linear(columns, spec.hidden, spec.mlp_bias)
        self.down = Linear(spec.hidden, columns, spec.mlp_bias)

    def forward(self, x: Tensor) -> Tensor:
        """Up, activation, down.

        Args:
            x: The stream, [B, T, H].

        Returns:
            [B, T, H].
        """
        x = self.tensor_layers.copy_in(x)
        if self.kind == "silu_gated":
            return self.down.row_parallel(F.silu(self.gate(x)) * self.up(x), self.tensor_layers)
        y = F.gelu(self.up(x), approximate="tanh" if self.kind == "gelu_tanh" else "none")
        return self.down.row_parallel(y, self.tensor_layers)


class Block(nn.Module):
    """Attention and MLP with residual connections; the norms before (GPT, Llama) or after them (BERT)."""

    def __init__(
        self,
        spec: ModelSpec,
        units: dict[Unit, Span],
        tensor_layers: TensorParallelLayers,
        sequence_attention: SequenceAttention,
    ) -> None:
        super().__init__()
        self.pre = spec.norm_place == "pre"
        columns = units["ffn"][1] - units["ffn"][0]
        self.attn_norm, self.attn = Norm(spec), Attention(spec, units, tensor_layers, sequence_attention)
        self.mlp_norm, self.mlp = Norm(spec), MLP(spec, columns, tensor_layers)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """Attention and MLP with their norms and residuals.

        Args:
            x: The stream, [B, T, H].
            context: The arguments of attention beside q, k and v.

        Returns:
            [B, T, H].
        """
        if self.pre:
            x = x + self.attn(self.attn_norm(x), context)
            return x + self.mlp(self.mlp_norm(x))  # type: ignore[no-any-return]
        x = self.attn_norm(x + self.attn(x, context))
        return self.mlp_norm(x + self.mlp(x))  # type: ignore[no-any-return]
