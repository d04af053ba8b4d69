"""How the tokens of every sample are split: over sequence ranks, and between the blocks over tensor ranks."""

from __future__ import annotations

from strategies.common.plan_error import PlanError
from strategies.plan.model_spec import ModelSpec
from strategies.plan.partition import Span, even, weighted
from strategies.plan.shapes import MeshShape, StepShape
from strategies.plan.step_options import StepOptions


def split_tokens(spec: ModelSpec, shape: StepShape, mesh: MeshShape, options: StepOptions) -> list[tuple[Span, ...]]:
    """Tokens of each sequence rank: one span, or for a causal ring the i-th and the i-th last of 2n blocks.

    A causal query attends to what is before it: a rank with an early and a late block has as much to do as any other.

    Args:
        spec: The model.
        shape: Tokens of a sample.
        mesh: How many sequence ranks there are.
        options: ``attention`` and ``sequence_shares``.

    Returns:
        For each sequence rank its spans of a sample.

    Raises:
        PlanError: There are too few tokens, or ``sequence_shares`` is not one number for each rank.
    """
    parts, shares = mesh.sequence, options.sequence_shares
    if shares and len(shares) != parts:
        raise PlanError(f"<option sequence_shares>={list(shares)} must have one number for each of the {parts} sequence ranks")
    balanced = parts > 1 and spec.causal and options.attention == "ring"
    blocks = 2 * parts if balanced else parts
    if shape.seq < blocks:
        why = " (a causal ring gives each an early and a late block)" if balanced else ""
        raise PlanError(f"<step seq>={shape.seq} is too short for {parts} sequence ranks{why}; use <step seq> >= {blocks}")
    if not balanced:
        return [(span,) for span in (weighted(shape.seq, shares) if shares else even(shape.seq, parts))]
    block = weighted(shape.seq, [*shares, *reversed(shares)]) if shares else even(shape.seq, blocks)
    return [(block[i], block[blocks - 1 - i]) for i in range(parts)]


def split_stream(tokens: int, index: int, parts: int, norms: str) -> Span:
    """Tokens of a rank that flow between its blocks.

    Args:
        tokens: How many it holds of a sample.
        index: Its tensor rank.
        parts: How many tensor ranks there are.
        norms: ``replicated``: all of them; ``split``: its part of them.

    Returns:
        A span of the tokens that it holds.

    Raises:
        PlanError: ``norms`` is unknown, or there are fewer tokens than tensor ranks.
    """
    if norms not in ("replicated", "split"):
        raise PlanError(f"<option norms>={norms} is unknown; use replicated or split")
    if norms != "split" or parts == 1:
        return 0, tokens
    if tokens < parts:
        raise PlanError(f"<option norms>=split cannot share {tokens} tokens of a sample between tensor={parts} ranks")
    return even(tokens, parts)[index]
