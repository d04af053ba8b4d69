"""The model of ``strategies.models.transformer`` written in plain torch modules: what the peers train."""

from __future__ import annotations

from collections import OrderedDict

import torch.nn.functional as F
from torch import Tensor, nn

from strategies.models.pretrained_weights import draw
from strategies.plan.model_spec import ModelSpec, parameters
from strategies.plan.partition import Span

SEED = 1
IGNORED = -100  # as in the project, and what torch itself ignores


class Embedding(nn.Module):
    """Token, position and type vectors added up; BERT has a norm after them."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.tokens = nn.Embedding(spec.vocab, spec.hidden)
        self.positions = nn.Embedding(spec.max_positions, spec.hidden)
        self.types = nn.Embedding(spec.token_types, spec.hidden) if spec.token_types else None
        self.norm = nn.LayerNorm(spec.hidden, spec.norm_eps) if spec.norm_place == "post" else nn.Identity()

    def forward(self, ids: Tensor) -> Tensor:
        x = self.tokens(ids) + self.positions.weight[: ids.shape[1]]
        return self.norm(x if self.types is None else x + self.types.weight[0])


class Attention(nn.Module):
    """Multi-head attention; the number of heads follows from the widths, so that a cut one needs no other code."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.causal, self.head_dim = spec.causal, spec.head_dim
        self.q, self.k, self.v = (nn.Linear(spec.hidden, spec.hidden, spec.qkv_bias) for _ in range(3))
        self.o = nn.Linear(spec.hidden, spec.hidden, spec.out_bias)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        q, k, v = (linear(x).unflatten(-1, (-1, self.head_dim)).transpose(1, 2) for linear in (self.q, self.k, self.v))
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=self.causal)
        return self.o(y.transpose(1, 2).flatten(2))


class Block(nn.Module):
    """Attention and MLP with residual connections; the norms before (GPT-2) or after them (BERT)."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.pre = spec.norm_place == "pre"
        self.attn_norm, self.mlp_norm = (nn.LayerNorm(spec.hidden, spec.norm_eps) for _ in range(2))
        self.attn = Attention(spec)
        up, down = nn.Linear(spec.hidden, spec.ffn, spec.mlp_bias), nn.Linear(spec.ffn, spec.hidden, spec.mlp_bias)
        gelu = nn.GELU("tanh" if spec.mlp == "gelu_tanh" else "none")
        self.mlp = nn.Sequential(OrderedDict(up=up, gelu=gelu, down=down))

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        if self.pre:
            x = x + self.attn(self.attn_norm(x), mask)
            return x + self.mlp(self.mlp_norm(x))
        x = self.attn_norm(x + self.attn(x, mask))
        return self.mlp_norm(x + self.mlp(x))


class Twin(nn.Module):
    """The whole model, or some of its layers, with the initial weights drawn from ``SEED``.

    Parameters have the canonical names. Where the head is tied to the token table and only one of them is here, the head has
    a copy of it.
    """

    def __init__(self, spec: ModelSpec, layers: Span | None = None) -> None:
        super().__init__()
        begin, end = (0, spec.layers) if layers is None else layers
        self.causal, self.pool = spec.causal, spec.head == "classifier"
        first, last = begin == 0, end == spec.layers
        self.embed = Embedding(spec) if first else None
        self.blocks = nn.ModuleDict({str(layer): Block(spec) for layer in range(begin, end)})
        self.norm = nn.LayerNorm(spec.hidden, spec.norm_eps) if last and spec.norm_place == "pre" else None
        self.head = nn.Linear(spec.hidden, spec.labels if self.pool else spec.vocab, bias=self.pool) if last else None
        if self.embed is not None and self.head is not None and spec.tied:
            self.head.weight = self.embed.tokens.weight
        described = {parameter.name: parameter for parameter in parameters(spec)}
        described.setdefault("head.weight", described["embed.tokens.weight"])
        for name, parameter in self.named_parameters():
            parameter.data.copy_(draw(described[name], SEED))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Token ids [B, S] or hidden states to hidden states or logits; mask bool [B, S], True for a real token."""
        attend = None if self.causal else mask[:, None, None, :]
        if self.embed is not None:
            x = self.embed(x)
        for block in self.blocks.values():
            x = block(x, attend)
        if self.norm is not None:
            x = self.norm(x)
        if self.head is None:
            return x
        if self.pool:
            real = mask.unsqueeze(-1).to(x.dtype)
            x = (x * real).sum(1) / real.sum(1).clamp(min=1)
        return self.head(x)


def loss_part(logits: Tensor, targets: Tensor, count: int) -> Tensor:
    """What these samples add to a loss over ``count`` valid targets."""
    return F.cross_entropy(logits.flatten(0, -2), targets.flatten(), reduction="sum", ignore_index=IGNORED) / count
