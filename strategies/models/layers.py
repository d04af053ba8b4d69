"""Layers of the Transformer. Sizes are those of the local shard: a layer does not know how it was cut.

Shapes: B batch, S sequence, H hidden, N local heads, D head width, F local MLP columns.
"""

from __future__ import annotations

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from strategies.models.spec import ModelSpec


class Cut(Protocol):
    """How the layers that tensor parallelism cuts talk to their other parts (see ``strategies/tensor.py``)."""

    def copy_in(self, x: Tensor) -> Tensor: ...
    def reduce_out(self, y: Tensor) -> Tensor: ...
    def embed(self, ids: Tensor, weight: Tensor) -> Tensor: ...
    def cross_entropy(self, logits: Tensor, targets: Tensor) -> Tensor: ...


class Whole:
    """The layers are not cut: nothing to talk about."""

    def copy_in(self, x: Tensor) -> Tensor:
        return x

    def reduce_out(self, y: Tensor) -> Tensor:
        return y

    def embed(self, ids: Tensor, weight: Tensor) -> Tensor:
        return F.embedding(ids, weight)

    def cross_entropy(self, logits: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(logits, targets, reduction="sum")  # -100 is torch's own "ignore"


class Norm(nn.Module):
    """Layer norm, or root-mean-square norm without a bias, over the last dimension."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.rms, self.eps = spec.norm == "rms", spec.norm_eps
        self.weight = nn.Parameter(torch.empty(spec.hidden))
        if not self.rms:
            self.bias = nn.Parameter(torch.empty(spec.hidden))

    def forward(self, x: Tensor) -> Tensor:
        if self.rms:
            return F.rms_norm(x, self.weight.shape, self.weight, self.eps)
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)


class Linear(nn.Module):
    """y = x W^T + b with W [rows, columns]. ``after`` adds the bias only when the partial products are summed."""

    def __init__(self, rows: int, columns: int, bias: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(rows, columns))
        self.bias = nn.Parameter(torch.empty(rows)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)

    def after(self, x: Tensor, cut: Cut) -> Tensor:
        """Row-parallel form: the bias belongs to the sum, not to each of its parts."""
        if isinstance(cut, Whole):
            return self(x)  # type: ignore[no-any-return]
        y = cut.reduce_out(F.linear(x, self.weight))
        return y if self.bias is None else y + self.bias


def rotate(x: Tensor, theta: float) -> Tensor:
    """Rotary position embedding of [B, N, S, D], halves rotated against each other (Hugging Face's layout).

    Su et al., arXiv 2104.09864: the pair (i, i + D/2) at position p turns by p theta^(-2i/D).
    """
    half = x.shape[-1] // 2
    frequency = theta ** (-torch.arange(half, dtype=torch.float64, device=x.device) / half)
    angle = torch.arange(x.shape[-2], dtype=torch.float64, device=x.device)[:, None] * frequency
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    left, right = x[..., :half], x[..., half:]
    return torch.cat([left * cos - right * sin, right * cos + left * sin], dim=-1)


class Attention(nn.Module):
    """Multi-head attention with separate q, k, v; fewer key/value heads than query heads are shared in groups."""

    def __init__(self, spec: ModelSpec, parts: int, cut: Cut) -> None:
        super().__init__()
        self.spec, self.cut = spec, cut
        width, kv_width = spec.hidden // parts, spec.kv_heads * spec.head_dim // parts
        self.q = Linear(width, spec.hidden, spec.qkv_bias)
        self.k = Linear(kv_width, spec.hidden, spec.qkv_bias)
        self.v = Linear(kv_width, spec.hidden, spec.qkv_bias)
        self.o = Linear(spec.hidden, width, spec.out_bias)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """x [B, S, H]; mask bool [B, 1, 1, S], True for keys to attend to, or None for all."""
        x = self.cut.copy_in(x)
        q, k, v = (self._heads(linear(x)) for linear in (self.q, self.k, self.v))
        if self.spec.positions == "rotary":
            q, k = rotate(q, self.spec.rope_theta), rotate(k, self.spec.rope_theta)
        if q.shape[1] != k.shape[1]:
            k, v = (t.repeat_interleave(q.shape[1] // t.shape[1], dim=1) for t in (k, v))
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=self.spec.causal)
        return self.o.after(y.transpose(1, 2).flatten(2), self.cut)

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (-1, self.spec.head_dim)).transpose(1, 2)


class MLP(nn.Module):
    """Two matrices with a GELU between them, or three with a SiLU gate."""

    def __init__(self, spec: ModelSpec, parts: int, cut: Cut) -> None:
        super().__init__()
        self.kind, self.cut = spec.mlp, cut
        columns = spec.ffn // parts
        if self.kind == "silu_gated":
            self.gate = Linear(columns, spec.hidden, spec.mlp_bias)
        self.up = Linear(columns, spec.hidden, spec.mlp_bias)
        self.down = Linear(spec.hidden, columns, spec.mlp_bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.cut.copy_in(x)
        if self.kind == "silu_gated":
            return self.down.after(F.silu(self.gate(x)) * self.up(x), self.cut)
        y = F.gelu(self.up(x), approximate="tanh" if self.kind == "gelu_tanh" else "none")
        return self.down.after(y, self.cut)


class Block(nn.Module):
    """Attention and MLP with residual connections; the norms before (GPT, Llama) or after them (BERT)."""

    def __init__(self, spec: ModelSpec, parts: int, cut: Cut) -> None:
        super().__init__()
        self.pre = spec.norm_place == "pre"
        self.attn_norm, self.attn = Norm(spec), Attention(spec, parts, cut)
        self.mlp_norm, self.mlp = Norm(spec), MLP(spec, parts, cut)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        if self.pre:
            x = x + self.attn(self.attn_norm(x), mask)
            return x + self.mlp(self.mlp_norm(x))  # type: ignore[no-any-return]
        x = self.attn_norm(x + self.attn(x, mask))
        return self.mlp_norm(x + self.mlp(x))  # type: ignore[no-any-return]
