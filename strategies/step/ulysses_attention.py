"""Ulysses attention: an all-to-all turns "my tokens, all heads" into "all tokens, my heads", and back.

    rank 0: tokens 0-31,  heads 0-11        rank 0: tokens 0-63, heads 0-5
    rank 1: tokens 32-63, heads 0-11  <->   rank 1: tokens 0-63, heads 6-11

(Jacobs et al., arXiv 2309.14509.) Queries, keys and values travel packed, in one all-to-all. A key/value head that query
heads of several ranks attend with is sent to all of them; its gradients are added up on the rank that it came from.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from strategies.comm.collectives import exchange, reduce_out, share
from strategies.comm.group import Group
from strategies.models.layers import Context, SequenceAttention, UnsplitModel
from strategies.plan.head_split import ulysses_heads


class UlyssesAttention(SequenceAttention):
    """``tokens`` are the numbers of tokens of the ranks of ``group``, consecutive in this order."""

    def __init__(self, group: Group, tokens: Sequence[int]) -> None:
        self.group, self.tokens = group, list(tokens)

    def attend(self, q: Tensor, k: Tensor, v: Tensor, context: Context) -> Tensor:
        """Exact attention: all tokens of this rank's share of the heads, between two all-to-alls."""
        batch, heads, local_tokens, width = q.shape
        kv = list(range(heads)) if context.kv is None else list(context.kv)
        parts = ulysses_heads(heads, kv, self.group.size)
        packed = [torch.cat([q[:, slice(*mine)], k[:, slice(*theirs)], v[:, slice(*theirs)]], 1) for mine, theirs in parts]
        (begin, end), (first, last) = parts[self.group.rank]
        count, kv_count = end - begin, last - first
        shapes = [(batch, count + 2 * kv_count, tokens, width) for tokens in self.tokens]
        whole = torch.cat(exchange(packed, shapes, self.group), dim=2)
        q, k, v = whole.split([count, kv_count, kv_count], dim=1)
        local = [head - first for head in kv[begin:end]]
        pairs = None if local == list(range(count)) else local
        y = UnsplitModel().attend(q, k, v, context._replace(kv=pairs))
        shapes = [(batch, stop - start, local_tokens, width) for (start, stop), _ in parts]
        return torch.cat(exchange(y.split(self.tokens, dim=2), shapes, self.group), dim=1)

    def pool(self, x: Tensor) -> Tensor:
        """All-reduce over the group."""
        return reduce_out(x, self.group)

    def count_once(self, weight: Tensor) -> Tensor:
        """Each rank has its part of the gradient."""
        return share(weight, self.group.size)
