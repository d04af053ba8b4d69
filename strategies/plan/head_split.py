"""How heads, MLP columns and vocabulary rows are split over tensor ranks, and heads over the ranks of Ulysses attention."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from strategies.common.plan_error import PlanError
from strategies.plan.model_spec import ModelSpec, Unit
from strategies.plan.partition import Span, divisors, either, even, weighted, within
from strategies.plan.shapes import MeshShape


def split_units(spec: ModelSpec, parts: int, shares: Sequence[float] | None) -> list[dict[Unit, Span]]:
    """Heads, key/value heads, MLP columns and vocabulary rows of each tensor rank.

    Query heads stay with their key/value head. With fewer of those than ranks, several ranks hold a copy of the same
    one and share its query heads.

    Args:
        spec: The model.
        parts: Tensor ranks.
        shares: Their weights, or None for even parts.

    Returns:
        For each tensor rank the span of every unit.

    Raises:
        PlanError: The ranks do not divide the model, or ``shares`` is not one positive number for each.
    """
    if shares and (len(shares) != parts or min(shares) <= 0):
        raise PlanError(
            f"<option tensor_shares>={list(shares)} must have a positive number for each of the {parts} tensor ranks"
        )
    if not shares:
        _check_divided(spec, parts)

    def split(total: int) -> list[Span]:
        return weighted(total, shares) if shares else even(total, parts)

    group = spec.heads // spec.kv_heads
    if spec.kv_heads >= parts:
        kv_heads = split(spec.kv_heads)
        heads = [(begin * group, end * group) for begin, end in kv_heads]
    else:
        kv_heads, heads = _shared_kv_heads(spec, parts, shares)
    columns, rows = split(spec.ffn), split(spec.vocab)
    return [{"heads": heads[i], "kv_heads": kv_heads[i], "ffn": columns[i], "vocab": rows[i]} for i in range(parts)]


def _shared_kv_heads(spec: ModelSpec, parts: int, shares: Sequence[float] | None) -> tuple[list[Span], list[Span]]:
    """(key/value heads, query heads) of each rank where each key/value head is held by several of them."""
    group = spec.heads // spec.kv_heads
    if parts % spec.kv_heads or group < parts // spec.kv_heads:
        works = [n for n in range(1, spec.heads + 1) if _divides(spec, n)]
        raise PlanError(f"tensor={parts} cannot share the {spec.kv_heads} key/value heads of {spec.name}; use {either(works)}")
    copies = parts // spec.kv_heads
    heads = []
    for head in range(spec.kv_heads):
        holders = shares[head * copies : (head + 1) * copies] if shares else None
        inside = weighted(group, holders) if holders else even(group, copies)
        heads += [within((head * group, (head + 1) * group), span) for span in inside]
    return [(rank // copies, rank // copies + 1) for rank in range(parts)], heads


def _divides(spec: ModelSpec, parts: int) -> bool:
    return not (spec.heads % parts or spec.ffn % parts) and not (spec.kv_heads % parts and parts % spec.kv_heads)


def _check_divided(spec: ModelSpec, parts: int) -> None:
    works = [n for n in divisors(spec.heads) if _divides(spec, n)]
    hint = f"use {either(works)}, or give uneven <option tensor_shares>=[...]"
    if spec.heads % parts:
        raise PlanError(f"tensor={parts} does not divide the {spec.heads} attention heads of {spec.name}; {hint}")
    if spec.kv_heads % parts and parts % spec.kv_heads:
        raise PlanError(f"tensor={parts} does not fit the {spec.kv_heads} key/value heads of {spec.name}; {hint}")
    if spec.ffn % parts:
        raise PlanError(f"tensor={parts} does not divide the {spec.ffn} MLP columns of {spec.name}; {hint}")


def check_ulysses(spec: ModelSpec, mesh: MeshShape, units: Sequence[Mapping[Unit, Span]]) -> None:
    """Refuse tensor ranks that have fewer heads than there are sequence ranks.

    Args:
        spec: The model.
        mesh: Ranks of each axis.
        units: For each tensor rank the span of every unit.

    Raises:
        PlanError: One of them has fewer.
    """
    least = min(unit["heads"][1] - unit["heads"][0] for unit in units)
    if least < mesh.sequence:
        raise PlanError(
            f"<option attention>=ulysses needs a head for each of the {mesh.sequence} sequence ranks, {spec.name} has "
            f"{least} on a tensor rank; use fewer sequence ranks or <option attention>=ring"
        )


def ulysses_heads(heads: int, kv_of_heads: Sequence[int], ranks: int) -> list[tuple[Span, Span]]:
    """For each rank of a Ulysses group the query heads that it takes over, and the key/value heads that these need.

    Args:
        heads: Local query heads.
        kv_of_heads: The local key/value head of each.
        ranks: Ranks of the group.

    Returns:
        (query heads, key/value heads) for each rank, numbered as the local ones.
    """
    return [((begin, end), (kv_of_heads[begin], kv_of_heads[end - 1] + 1)) for begin, end in even(heads, ranks)]
