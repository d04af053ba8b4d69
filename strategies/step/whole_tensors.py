"""Whole tensors of the model on rank 0, put together from the pieces that the ranks hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from strategies.comm.group import Group
from strategies.plan.model_spec import ModelSpec, Parameter, parameters
from strategies.plan.rank_placement import RankPlacement


def gathered_on_first_rank(
    local: Mapping[str, Tensor], like: Tensor, spec: ModelSpec, placements: Sequence[RankPlacement], world: Group
) -> Iterator[tuple[str, Tensor]]:
    """Every parameter's tensor, whole, by canonical name, on rank 0; other ranks send their pieces and get nothing. Collective.

    One tensor is under way at a time. A piece comes from the first rank that holds it.

    Args:
        local: This rank's pieces by name.
        like: A tensor of the dtype and on the device of the pieces.
        spec: The model.
        placements: Of all ranks.
        world: The group of all ranks.

    Returns:
        (name, whole tensor) in the order of the model; nothing on other ranks.
    """
    for number, parameter in enumerate(parameters(spec)):
        piece = local.get(parameter.name)
        owners = _owners(parameter, spec, placements)
        if world.rank in owners and world.rank != 0:
            assert piece is not None
            world.send(piece.contiguous(), 0, number).finish()
        if world.rank != 0:
            continue
        pieces = []
        for owner in owners:
            if owner == 0:
                assert piece is not None
                pieces.append(piece.clone())
                continue
            shape = parameter.part(placements[owner].shard(parameter, spec))
            pieces.append(world.receive(like.new_empty(shape), owner, number).finish())
        yield parameter.name, pieces[0] if len(pieces) == 1 else torch.cat(pieces, dim=parameter.split or 0)


def _owners(parameter: Parameter, spec: ModelSpec, placements: Sequence[RankPlacement]) -> list[int]:
    """The first rank that holds each piece of a parameter, in the order of the pieces."""
    first: dict[int, int] = {}
    for placement in placements:
        if placement.holds(parameter, spec):
            span = placement.shard(parameter, spec)
            first.setdefault(span[0] if span else 0, placement.rank)
    return [first[begin] for begin in sorted(first)]
