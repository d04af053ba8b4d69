"""Communication inside the graph: each operator with its adjoint.

Tensors are replicated (every rank holds the same values), partial (the value is the sum over ranks) or split (each
rank holds its part). n ranks.

| operator       | forward                            | adjoint (backward)                 | payload per rank         |
|----------------|------------------------------------|------------------------------------|--------------------------|
| copy_in        | replicated x as it is              | sum of the gradients (all-reduce)  | backward: the gradient   |
| reduce_out     | sum of partial y (all-reduce)      | the gradient, unchanged            | forward: y               |
| gather_tokens  | all parts of split x (all-gather)  | own part of the sum (reduce-sc.)   | x; backward: the whole   |
| scatter_tokens | own part of the sum (reduce-sc.)   | all parts (all-gather)             | y; backward: own part    |
| exchange       | part i to rank i (all-to-all)      | the way back (all-to-all)          | all parts, both ways     |
| share          | replicated w as it is              | 1/n of the gradient                | none                     |

The first two are Megatron-LM's f and g (Shoeybi et al., arXiv 1909.08053, section 3), the next two its sequence
parallelism (Korthikanti et al., arXiv 2205.05198). Adjoints are transposes: that of "copy to all" is "sum over all".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from strategies.comm.group import Group
from strategies.plan.partition import Span


class _CopyIn(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, group: Group) -> Tensor:
        ctx.group = group
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        return ctx.group.all_reduce(gradient.contiguous()), None


class _ReduceOut(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, y: Tensor, group: Group) -> Tensor:
        return group.all_reduce(y.contiguous())

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        return gradient, None


def copy_in(x: Tensor, group: Group) -> Tensor:
    """Hand a replicated tensor to computations that differ between ranks; backward adds up their gradients.

    Args:
        x: Any shape, the same on all ranks.
        group: The ranks.

    Returns:
        ``x``.
    """
    return _CopyIn.apply(x, group)  # type: ignore[no-any-return, no-untyped-call]


def reduce_out(y: Tensor, group: Group) -> Tensor:
    """Add up the partial results of all ranks; backward hands the gradient through.

    Args:
        y: This rank's summand, of the same shape on all ranks.
        group: The ranks.

    Returns:
        The sum, the same on all ranks.
    """
    return _ReduceOut.apply(y, group)  # type: ignore[no-any-return, no-untyped-call]


def _gather(x: Tensor, parts: Sequence[Span], group: Group) -> Tensor:
    """Own tokens of [B, t, H] to all tokens, in order."""
    batch, _, hidden = x.shape
    flat = x.new_empty(batch * parts[-1][1] * hidden)
    blocks = [(batch * hidden * begin, batch * hidden * end) for begin, end in parts]
    flat[slice(*blocks[group.rank])] = x.reshape(-1)
    group.all_gather_(flat, blocks)
    return torch.cat([flat[b:e].view(batch, -1, hidden) for b, e in blocks], dim=1)


def _scatter(y: Tensor, parts: Sequence[Span], group: Group) -> Tensor:
    """The sum of [B, S, H] over the ranks, of which each gets its own tokens."""
    batch, _, hidden = y.shape
    flat = torch.cat([y[:, b:e].reshape(-1) for b, e in parts])
    blocks = [(batch * hidden * begin, batch * hidden * end) for begin, end in parts]
    return group.reduce_scatter(flat, blocks).view(batch, -1, hidden)


class _GatherTokens(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, parts: Sequence[Span], group: Group) -> Tensor:
        ctx.parts, ctx.group = parts, group
        return _gather(x, parts, group)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        return _scatter(gradient, ctx.parts, ctx.group), None, None


class _ScatterTokens(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, y: Tensor, parts: Sequence[Span], group: Group) -> Tensor:
        ctx.parts, ctx.group = parts, group
        return _scatter(y, parts, group)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        return _gather(gradient, ctx.parts, ctx.group), None, None


def gather_tokens(x: Tensor, parts: Sequence[Span], group: Group) -> Tensor:
    """All tokens on every rank (all-gather); backward: this rank's part of the summed gradient (reduce-scatter).

    Args:
        x: This rank's tokens, [B, t, H].
        parts: The span of tokens of each rank, in order.
        group: The ranks.

    Returns:
        [B, S, H].
    """
    return _GatherTokens.apply(x, parts, group)  # type: ignore[no-any-return, no-untyped-call]


def scatter_tokens(y: Tensor, parts: Sequence[Span], group: Group) -> Tensor:
    """Partial tensors added up, and each rank's tokens of the sum (reduce-scatter); backward: all tokens (all-gather).

    Args:
        y: This rank's summand, [B, S, H].
        parts: The span of tokens of each rank, in order.
        group: The ranks.

    Returns:
        [B, t, H].
    """
    return _ScatterTokens.apply(y, parts, group)  # type: ignore[no-any-return, no-untyped-call]


class _Exchange(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, group: Group, shapes: Sequence[Sequence[int]], *parts: Tensor) -> tuple[Tensor, ...]:
        ctx.group, ctx.shapes = group, [part.shape for part in parts]
        return tuple(group.all_to_all(parts, shapes))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        return None, None, *ctx.group.all_to_all(gradients, ctx.shapes)


def exchange(parts: Sequence[Tensor], shapes: Sequence[Sequence[int]], group: Group) -> tuple[Tensor, ...]:
    """Part i goes to rank i (all-to-all); backward: the gradients go back.

    Args:
        parts: One tensor for each rank.
        shapes: Shapes of the parts that come from each rank.
        group: The ranks.

    Returns:
        The parts that came from all ranks.
    """
    return _Exchange.apply(group, shapes, *parts)  # type: ignore[no-any-return, no-untyped-call]


class _Share(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, w: Tensor, ranks: int) -> Tensor:
        ctx.ranks = ranks
        return w.view_as(w)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        return gradient / ctx.ranks, None


def share(w: Tensor, ranks: int) -> Tensor:
    """A weight that several ranks use in the same computation: each has its n-th of the gradient, so that they add up.

    Args:
        w: The weight, any shape.
        ranks: How many use it, n.

    Returns:
        ``w``, with a gradient divided by n.
    """
    return _Share.apply(w, ranks)  # type: ignore[no-any-return, no-untyped-call]


class _SplitCrossEntropy(torch.autograd.Function):
    """Sum over tokens of -log softmax at the target, with the vocabulary cut between the ranks.

    Each rank sends, for each token, the log of its own sum of exponentials and the target's logit (0 where the target
    lies elsewhere): one all-gather of [2, tokens]. Instead of the logits, which would be vocab/2 times as much.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor, begin: int, group: Group) -> Tensor:
        local, valid = targets - begin, targets >= 0
        here = valid & (local >= 0) & (local < logits.shape[-1])
        index = torch.where(here, local, 0).unsqueeze(-1)
        mine = logits.gather(-1, index).squeeze(-1) * here
        parts = group.all_gather(torch.stack([logits.logsumexp(-1), mine]))
        norm = parts[:, 0].logsumexp(0)
        ctx.save_for_backward(logits, norm, index, here, valid)
        return ((norm - parts[:, 1].sum(0)) * valid).sum()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:  # type: ignore[override]
        logits, norm, index, here, valid = ctx.saved_tensors
        slope = (logits - norm.unsqueeze(-1)).exp_()
        slope.scatter_add_(-1, index, -here.unsqueeze(-1).to(slope.dtype))
        return slope.mul_(valid.unsqueeze(-1) * gradient), None, None, None


def split_cross_entropy(logits: Tensor, targets: Tensor, begin: int, group: Group) -> Tensor:
    """Summed cross entropy where each rank has some columns of the logits.

    Args:
        logits: [tokens, local vocabulary].
        targets: Global classes, [tokens]; negative where there is nothing to learn.
        begin: The class of the first local column.
        group: The ranks that share the vocabulary.

    Returns:
        A scalar, replicated.
    """
    return _SplitCrossEntropy.apply(logits, targets, begin, group)  # type: ignore[no-any-return, no-untyped-call]
