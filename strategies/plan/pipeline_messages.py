"""Which ranks of neighbouring pipeline stages send each other which samples, and how many bytes that is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from strategies.plan.model_spec import ModelSpec
from strategies.plan.partition import Span
from strategies.plan.rank_placement import RankPlacement
from strategies.plan.shapes import StepShape
from strategies.plan.traffic import Volume

AXIS = "pipeline"


class Route(NamedTuple):
    """Samples ``begin`` to ``end`` of a local micro-batch go to, or come from, world rank ``rank``."""

    rank: int
    begin: int
    end: int


def neighbours(placement: RankPlacement, placements: Sequence[RankPlacement], step: int) -> list[RankPlacement]:
    """The ranks of the next or previous stage that work on the same replica and shard; stages go round.

    Args:
        placement: The rank's.
        placements: Those of all ranks.
        step: 1 for the next stage, -1 for the previous one.

    Returns:
        The ranks that share that stage, in the order of ``placements``.
    """
    stage = (placement.stage[0] + step) % placement.stage[1]
    same = {axis: placement.coordinates[axis] for axis in ("data", "sequence", "tensor")}
    return [other for other in placements if other.stage[0] == stage and same.items() <= other.coordinates.items()]


def routes(local: Span, others: Sequence[tuple[int, Span]]) -> list[Route]:
    """Which samples of a rank others have too.

    Args:
        local: The samples of the rank, numbered in the global batch.
        others: (rank, its samples) of each of the others.

    Returns:
        One for each that shares any, counted from the rank's first sample.
    """
    common = [(rank, max(local[0], begin), min(local[1], end)) for rank, (begin, end) in others]
    return [Route(rank, begin - local[0], end - local[0]) for rank, begin, end in common if begin < end]


def volumes(spec: ModelSpec, shape: StepShape, placements: Sequence[RankPlacement]) -> Iterator[Volume]:
    """A message each way for each micro-batch, boundary and pair of ranks that share samples.

    Args:
        spec: The model.
        shape: The step.
        placements: Of all ranks.

    Returns:
        Sends of one step.
    """
    for placement in placements:
        if placement.stage[1] == 1:
            continue
        sample = placement.stream_tokens * spec.hidden * shape.element_bytes
        virtual = len(placement.layers)
        for step, phase, ends in ((1, "forward", placement.last), (-1, "backward", placement.first)):
            boundaries = virtual - ends
            for micro, local in enumerate(placement.micros):
                others = [(other.rank, other.micros[micro]) for other in neighbours(placement, placements, step)]
                for route in routes(local, others):
                    payload = boundaries * (route.end - route.begin) * sample
                    yield Volume(AXIS, "send", phase, boundaries, payload, float(payload))
