"""Who holds which piece of the training's state, who keeps a copy of what, who sends what to whom. Pure: no MPI, no torch.

A piece is a slice of a parameter along its split dimension. Its state is the weight and what the optimizer keeps of it.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from bench.common.user_error import UserError
from strategies.plan.model_spec import ModelSpec, Parameter, parameters
from strategies.plan.partition import Span
from strategies.plan.rank_placement import RankPlacement
from strategies.plan.shapes import OPTIMIZER_STATES, Plan


@dataclass(frozen=True, order=True)
class Piece:
    """``span`` along ``parameter.split``; (0, 1) of a parameter that is never cut."""

    name: str
    span: Span


@dataclass(frozen=True)
class Transfer:
    """``piece`` goes from rank ``source`` to rank ``target``."""

    source: int
    target: int
    piece: Piece


def whole(parameter: Parameter) -> Span:
    """The span of a whole parameter along the axis that it is split by."""
    return (0, 1) if parameter.split is None else (0, parameter.shape[parameter.split])


def pieces(at: RankPlacement, spec: ModelSpec) -> list[Piece]:
    """The pieces of the state that a rank holds, in the order of the model's parameters."""
    return [
        Piece(parameter.name, at.shard(parameter, spec) or whole(parameter))
        for parameter in parameters(spec)
        if at.holds(parameter, spec)
    ]


def keepers(hosts: Sequence[str]) -> list[int]:
    """For each rank the one that keeps a copy of what only its host has: the next one on another host, else the next one."""
    ranks = len(hosts)
    found = []
    for rank in range(ranks):
        following = [(rank + step) % ranks for step in range(1, ranks)]
        found.append(next((other for other in following if hosts[other] != hosts[rank]), following[0]))
    return found


def alone(placement: Sequence[RankPlacement], spec: ModelSpec, hosts: Sequence[str]) -> list[list[Piece]]:
    """For each rank the pieces that would be lost with its host; where all ranks share one host, with the rank.

    Of several ranks of one host that hold the same piece the first one has it copied.
    """
    homes: Sequence[object] = hosts if len(set(hosts)) > 1 else range(len(hosts))
    where: dict[Piece, dict[object, int]] = {}
    for at in placement:
        for piece in pieces(at, spec):
            where.setdefault(piece, {}).setdefault(homes[at.rank], at.rank)
    return [
        [piece for piece in pieces(at, spec) if where[piece] == {homes[at.rank]: at.rank}]  # on this host only, and first here
        for at in placement
    ]


def copy_bytes(plan: Plan, hosts: Sequence[str]) -> list[tuple[int, int]]:
    """For each rank the bytes that one copy of the state takes in its memory, and those that it sends for it."""
    spec, each = plan.model, plan.shape.element_bytes * (1 + OPTIMIZER_STATES[plan.shape.optimizer])
    known = {parameter.name: parameter for parameter in parameters(spec)}
    keeper, sole = keepers(hosts), alone(plan.placements, spec, hosts)

    def size(found: Sequence[Piece]) -> int:
        return each * sum(math.prod(known[piece.name].part(piece.span)) for piece in found)

    kept = [size(pieces(at, spec)) for at in plan.placements]
    for rank, to in enumerate(keeper):
        kept[to] += size(sole[rank])
    return list(zip(kept, map(size, sole), strict=True))


def transfers(needed: Sequence[Sequence[Piece]], held: Sequence[Collection[Piece]]) -> list[Transfer]:
    """How every rank gets what it needs from what the ranks hold: its own first, else from the one that has sent least.

    A needed piece may be put together from several; a transfer from a rank to itself is a copy. Raises UserError where
    nobody holds a part of a needed piece.
    """
    by_name: dict[str, list[tuple[int, Span]]] = {}
    for rank, own in enumerate(held):
        for piece in own:
            by_name.setdefault(piece.name, []).append((rank, piece.span))
    sent: dict[int, int] = dict.fromkeys(range(len(held)), 0)
    found = []
    for target, wanted in enumerate(needed):
        for piece in wanted:
            at, end = piece.span
            while at < end:
                choices = [(rank, span[1]) for rank, span in by_name.get(piece.name, []) if span[0] <= at < span[1]]
                if not choices:
                    raise UserError(
                        f"{piece.name} is lost: no rank that is left holds a copy of its part from {at} on; more failed than "
                        "one copy can replace"
                    )
                source, until = min(choices, key=lambda choice: (choice[0] != target, sent[choice[0]], choice[0]))
                until = min(until, end)
                found.append(Transfer(source, target, Piece(piece.name, (at, until))))
                if source != target:
                    sent[source] += until - at
                at = until
    return found


def covering(piece: Piece, own: Mapping[Piece, object]) -> Piece:
    """The piece of ``own`` that contains ``piece``."""
    return next(
        found for found in own if found.name == piece.name and found.span[0] <= piece.span[0] and piece.span[1] <= found.span[1]
    )
