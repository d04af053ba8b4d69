"""Communication inside the graph: each operator with its adjoint.

Tensors are replicated (every rank holds the same values) or partial (the value is the sum over ranks). Let x be
replicated and y partial, n ranks.

| operator   | forward                | adjoint (backward)      | bytes (payload per rank) |
|------------|------------------------|-------------------------|--------------------------|
| copy_in    | x -> x on each rank    | sum of the gradients    | backward: the gradient   |
| reduce_out | y -> sum of y          | the gradient, unchanged | forward: y               |

They are Megatron-LM's f and g (Shoeybi et al., arXiv 1909.08053, section 3). A transposed pair: the adjoint of
"copy to all" is "sum over all", and the other way round.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from strategies.comm.group import Group


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
    """Hand the replicated ``x`` to computations that differ between ranks."""
    return _CopyIn.apply(x, group)  # type: ignore[no-any-return, no-untyped-call]


def reduce_out(y: Tensor, group: Group) -> Tensor:
    """Add up the partial ``y`` of all ranks; the result is replicated."""
    return _ReduceOut.apply(y, group)  # type: ignore[no-any-return, no-untyped-call]


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
    """Summed cross entropy of local ``logits`` [tokens, local vocabulary], whose first column is class ``begin``.

    ``targets`` [tokens] are global classes, negative where there is nothing to learn. The result is replicated.
    """
    return _SplitCrossEntropy.apply(logits, targets, begin, group)  # type: ignore[no-any-return, no-untyped-call]
