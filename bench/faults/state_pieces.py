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
    """The span of a whole parameter along the axis that it is split by.

    Args:
        parameter: A parameter of the model.

    Returns:
        (0, its length along that axis); (0, 1) where it is never split.
    """
    return (0, 1) if parameter.split is None else (0, parameter.shape[parameter.split])


def pieces(placement: RankPlacement, spec: ModelSpec) -> list[Piece]:
    """The pieces of the state that a rank holds.

    Args:
        placement: The rank's place in the plan.
        spec: The model.

    Returns:
        The pieces, in the order of the model's parameters.
    """
    return [
        Piece(parameter.name, placement.shard(parameter, spec) or whole(parameter))
        for parameter in parameters(spec)
        if placement.holds(parameter, spec)
    ]


def keepers(hosts: Sequence[str]) -> list[int]:
    """For each rank the one that keeps a copy of what only its host has: the next one on another host, else the next one.

    Args:
        hosts: The host of every rank; two ranks at least.

    Returns:
        The keeper of every rank.
    """
    ranks = len(hosts)
    keeper_of_rank = []
    for rank in range(ranks):
        following = [(rank + step) % ranks for step in range(1, ranks)]
        keeper_of_rank.append(next((other for other in following if hosts[other] != hosts[rank]), following[0]))
    return keeper_of_rank


def alone(placements: Sequence[RankPlacement], spec: ModelSpec, hosts: Sequence[str]) -> list[list[Piece]]:
    """For each rank the pieces that would be lost with its host; where all ranks share one host, with the rank.

    Of several ranks of one host that hold the same piece the first one has it copied.

    Args:
        placements: The place of every rank in the plan.
        spec: The model.
        hosts: The host of every rank.

    Returns:
        The pieces by rank, each in the order of the model's parameters.
    """
    homes: Sequence[object] = hosts if len(set(hosts)) > 1 else range(len(hosts))
    where: dict[Piece, dict[object, int]] = {}
    for place in placements:
        for piece in pieces(place, spec):
            where.setdefault(piece, {}).setdefault(homes[place.rank], place.rank)
    return [
        # on this host only, and first here
        [piece for piece in pieces(place, spec) if where[piece] == {homes[place.rank]: place.rank}]
        for place in placements
    ]


def copy_bytes(plan: Plan, hosts: Sequence[str]) -> list[tuple[int, int]]:
    """Bytes that one copy of the state costs every rank.

    Args:
        plan: The plan of the training.
        hosts: The host of every rank.

    Returns:
        For each rank the bytes in its memory, and those that it sends.
    """
    spec, each = plan.model, plan.shape.element_bytes * (1 + OPTIMIZER_STATES[plan.shape.optimizer])
    known = {parameter.name: parameter for parameter in parameters(spec)}
    keeper, sole = keepers(hosts), alone(plan.placements, spec, hosts)

    def size(of_rank: Sequence[Piece]) -> int:
        return each * sum(math.prod(known[piece.name].part(piece.span)) for piece in of_rank)

    kept = [size(pieces(place, spec)) for place in plan.placements]
    for rank, to in enumerate(keeper):
        kept[to] += size(sole[rank])
    return list(zip(kept, map(size, sole), strict=True))


def transfers(needed: Sequence[Sequence[Piece]], held: Sequence[Collection[Piece]]) -> list[Transfer]:
    """How every rank gets what it needs: from itself first, else from the rank that has sent least.

    A needed piece may be put together from several; a transfer from a rank to itself is a copy.

    Args:
        needed: The pieces that every rank needs.
        held: The pieces that every rank holds.

    Returns:
        The transfers, by target and in the order of its pieces.

    Raises:
        UserError: No rank holds a part of a needed piece.
    """
    by_name: dict[str, list[tuple[int, Span]]] = {}
    for rank, rank_pieces in enumerate(held):
        for piece in rank_pieces:
            by_name.setdefault(piece.name, []).append((rank, piece.span))
    sent: dict[int, int] = dict.fromkeys(range(len(held)), 0)
    planned = []
    for target, target_pieces in enumerate(needed):
        for piece in target_pieces:
            begin, end = piece.span
            while begin < end:
                choices = [(rank, span[1]) for rank, span in by_name.get(piece.name, []) if span[0] <= begin < span[1]]
                if not choices:
                    raise UserError(
                        f"{piece.name} is lost: no rank that is left holds a copy of its part from {begin} on; more failed "
                        "than one copy can replace"
                    )
                source, until = min(choices, key=lambda choice: (choice[0] != target, sent[choice[0]], choice[0]))
                until = min(until, end)
                planned.append(Transfer(source, target, Piece(piece.name, (begin, until))))
                if source != target:
                    sent[source] += until - begin
                begin = until
    return planned


def covering(piece: Piece, held: Mapping[Piece, object]) -> Piece:
    """The held piece that contains another.

    Args:
        piece: A piece that one of ``held`` covers.
        held: Pieces of this rank.

    Returns:
        The first piece of the same parameter whose span contains that of ``piece``.
    """
    return next(one for one in held if one.name == piece.name and one.span[0] <= piece.span[0] and piece.span[1] <= one.span[1])
