"""Ring attention: keys and values travel round the ranks while each attends with its own queries.

    step 0   rank 0: q0 x kv0    rank 1: q1 x kv1    rank 2: q2 x kv2
    step 1   rank 0: q0 x kv2    rank 1: q1 x kv0    rank 2: q2 x kv1     each kv went one rank to the right
    step 2   rank 0: q0 x kv1    rank 1: q1 x kv2    rank 2: q2 x kv0

(Liu et al., arXiv 2310.01889.) Partial results are merged by their log-sum-exp, so the result is exact. In backward the
keys and values travel once more, and their gradients with them, back to their owner in the end. A causal ring gives rank i
the i-th and the i-th last of 2n blocks: then every step has the same work for all (two of four block pairs), and none is
masked.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from strategies.comm.collectives import reduce_out, share
from strategies.comm.group import Group, Message
from strategies.models.layers import Context, SequenceAttention
from strategies.plan.partition import Span

# A key that is not there. Finite: a block without any real key then has weight exp(-1e30) = 0 instead of 0/0.
NOWHERE = -1e30
TAGS = 2**14


class Piece(NamedTuple):
    """The part of the local queries that meets a part of a visiting block of keys, and whether causally."""

    queries: slice
    keys: slice
    causal: bool


class RingAttention(SequenceAttention):
    """``tokens`` are the positions of each rank of ``group``: one span, or an early and a late one when causal."""

    def __init__(self, group: Group, tokens: Sequence[tuple[Span, ...]]) -> None:
        self.group, self.tokens = group, list(tokens)
        self.sizes = [sum(end - begin for begin, end in blocks) for blocks in tokens]
        self._tag = 0

    def attend(self, q: Tensor, k: Tensor, v: Tensor, context: Context) -> Tensor:
        """Exact attention of the local queries to the keys of all ranks."""
        return _RingFunction.apply(q, k, v, self, context)  # type: ignore[no-any-return, no-untyped-call]

    def pool(self, x: Tensor) -> Tensor:
        """All-reduce over the group."""
        return reduce_out(x, self.group)

    def count_once(self, weight: Tensor) -> Tensor:
        """Each rank has its part of the gradient."""
        return share(weight, self.group.size)

    def owner(self, step: int) -> int:
        """Whose keys and values are here.

        Args:
            step: Of the ring, from 0, in which each rank has its own.

        Returns:
            The rank in the group.
        """
        return (self.group.rank - step) % self.group.size

    def piece(self, owner: int, causal: bool) -> Piece:
        """The parts of this rank's queries and of another's keys that meet.

        Args:
            owner: The rank whose keys they are.
            causal: Queries attend to no later token.

        Returns:
            Slices of both, and whether the block itself is causal.
        """
        rank, everything = self.group.rank, slice(None)
        if not causal or owner == rank:
            return Piece(everything, everything, causal)
        if owner < rank:  # its early block lies before all of my queries, its late one after them
            return Piece(everything, slice(self._early(owner)), False)
        return Piece(slice(self._early(rank), None), everything, False)  # only my late queries come after it

    def _early(self, rank: int) -> int:
        begin, end = self.tokens[rank][0]
        return end - begin

    def mask(self, keys: Tensor | None, owner: int, dtype: torch.dtype) -> Tensor | None:
        """The mask of one rank's keys, to be added to scores.

        Args:
            keys: bool [B, all tokens], True for real ones; None where all are.
            owner: The rank whose keys they are.
            dtype: That of the result.

        Returns:
            [B, 1, 1, tokens of the owner], or None where all keys are real.
        """
        if keys is None:
            return None
        here = torch.cat([keys[:, begin:end] for begin, end in self.tokens[owner]], dim=1)
        return torch.where(here, 0.0, NOWHERE).to(dtype)[:, None, None, :]

    def shift(self, tensor: Tensor, into: Tensor) -> tuple[Message, Message]:
        """Begin to hand a tensor to the right and to receive one from the left.

        Args:
            tensor: Contiguous; not to be changed before its message is finished.
            into: What is received into; not to be read before its message is finished.

        Returns:
            (sent, received) messages.
        """
        self._tag = (self._tag + 1) % TAGS
        right, left = (self.group.rank + 1) % self.group.size, (self.group.rank - 1) % self.group.size
        arriving = self.group.receive(into, left, self._tag)
        return self.group.send(tensor, right, self._tag), arriving

    def room(self, like: Tensor, owner: int) -> Tensor:
        """Empty memory for the keys and values of a rank.

        Args:
            like: Keys and values of any rank, [2, B, K, tokens, D].
            owner: The rank whose they will be.

        Returns:
            [2, B, K, tokens of the owner, D].
        """
        shape = list(like.shape)
        shape[3] = self.sizes[owner]
        return like.new_empty(shape)


def block_forward(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, causal: bool) -> tuple[Tensor, Tensor]:
    """Attention of one block of keys.

    Args:
        q: [B, N, S, D].
        k: [B, N, keys, D].
        v: The same shape.
        mask: Added to scores, [B, 1, 1, keys]; None where all keys are real.
        causal: Whether query i sees keys up to i only.

    Returns:
        Output [B, N, S, D], and log-sum-exp of the scores [B, N, S].
    """
    if q.device.type == "cpu":
        return torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(q, k, v, 0.0, causal, attn_mask=mask)  # type: ignore[no-any-return]
    scores = _scores(q, k, mask, causal)
    lse = scores.logsumexp(-1)
    return (scores - lse.unsqueeze(-1)).exp() @ v, lse


def block_backward(
    gradient: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor, mask: Tensor | None, causal: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of q, k and v from one block of keys (Dao, arXiv 2307.08691).

    Args:
        gradient: Of the output, [B, N, S, D].
        q: [B, N, S, D].
        k: [B, N, keys, D].
        v: The same shape.
        out: The output over all blocks, [B, N, S, D].
        lse: Log-sum-exp of the scores over all blocks, [B, N, S].
        mask: As in ``block_forward``.
        causal: As in ``block_forward``.

    Returns:
        Gradients of q, k and v, of their shapes.
    """
    if q.device.type == "cpu":
        return torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward(  # type: ignore[no-any-return]
            gradient, q, k, v, out, lse, 0.0, causal, attn_mask=mask
        )
    weight = (_scores(q, k, mask, causal) - lse.unsqueeze(-1)).exp()
    slope = weight * (gradient @ v.transpose(-1, -2) - (gradient * out).sum(-1, keepdim=True))
    slope = slope / math.sqrt(q.shape[-1])
    return slope @ k, slope.transpose(-1, -2) @ q, weight.transpose(-1, -2) @ gradient


def _scores(q: Tensor, k: Tensor, mask: Tensor | None, causal: bool) -> Tensor:
    scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
    if causal:
        scores = scores.masked_fill(torch.ones_like(scores[0, 0], dtype=torch.bool).triu(1), NOWHERE)
    return scores if mask is None else scores + mask


class _RingFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, ring: RingAttention, context: Context) -> Tensor:
        if q.stride(-1) != 1:  # what the kernel takes for granted
            q = q.contiguous()
        visiting = torch.stack([k, v])
        home = visiting
        out = lse = None
        for step in range(ring.group.size):
            owner = ring.owner(step)
            if step < ring.group.size - 1:
                after = ring.room(visiting, ring.owner(step + 1))
                messages = ring.shift(visiting, after)
            piece, mask = ring.piece(owner, context.causal), ring.mask(context.keys, owner, q.dtype)
            keys, values = _paired(visiting[:, :, :, piece.keys], context)
            part, part_lse = block_forward(q[:, :, piece.queries], keys, values, mask, piece.causal)
            if out is None or lse is None:
                out, lse = part, part_lse
            else:
                _merge(out[:, :, piece.queries], lse[:, :, piece.queries], part, part_lse)
            if step < ring.group.size - 1:
                for message in messages:
                    message.finish()
                visiting = after
        assert out is not None
        ctx.save_for_backward(q, home, out, lse)
        ctx.ring, ctx.context = ring, context
        return out

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:  # type: ignore[override]
        q, home, out, lse = ctx.saved_tensors
        ring, context = ctx.ring, ctx.context
        gradient = gradient if gradient.stride(-1) == 1 else gradient.contiguous()
        size, visiting, dq, home_gradient = ring.group.size, home, torch.zeros_like(q), torch.zeros_like(home)
        leaving: list[Message] = []
        arriving: Message | None = None
        for step in range(size):
            owner = ring.owner(step)
            if step < size - 1:
                after = ring.room(visiting, ring.owner(step + 1))
                messages = ring.shift(visiting, after)
            piece, mask = ring.piece(owner, context.causal), ring.mask(context.keys, owner, q.dtype)
            rows = piece.queries
            keys, values = _paired(visiting[:, :, :, piece.keys], context)
            queries = (gradient[:, :, rows], q[:, :, rows], keys, values, out[:, :, rows], lse[:, :, rows])
            dq_part, dk, dv = block_backward(*queries, mask, piece.causal)
            dq[:, :, rows] += dq_part
            # The gradients that other ranks computed for this owner came from the left, except to the first of them.
            total = home_gradient if step == 0 else torch.zeros_like(visiting) if step == 1 else arriving.finish()  # type: ignore[union-attr]
            _add_paired(total[:, :, :, piece.keys], dk, dv, context)
            if step > 0:
                onward, arriving = ring.shift(total, ring.room(visiting, ring.owner(step + 1)))
                leaving.append(onward)
            if step < size - 1:
                for message in messages:
                    message.finish()
                visiting = after
        if arriving is not None:
            home_gradient += arriving.finish()
        for message in leaving:
            message.finish()
        return dq, home_gradient[0], home_gradient[1], None, None


def _merge(out: Tensor, lse: Tensor, part: Tensor, part_lse: Tensor) -> None:
    """Put a further block's result into ``out`` and ``lse``: softmax over the union of both sets of keys."""
    total = torch.logaddexp(lse, part_lse)
    out.mul_((lse - total).exp().unsqueeze(-1)).add_(part * (part_lse - total).exp().unsqueeze(-1))
    lse.copy_(total)


def _paired(kv: Tensor, context: Context) -> Tensor:
    return kv if context.kv is None else kv[:, :, list(context.kv)]


def _add_paired(total: Tensor, dk: Tensor, dv: Tensor, context: Context) -> None:
    if context.kv is None:
        total[0] += dk
        total[1] += dv
        return
    index = torch.tensor(list(context.kv), device=dk.device)
    total[0].index_add_(1, index, dk)
    total[1].index_add_(1, index, dv)
