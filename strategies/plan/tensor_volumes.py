"""Traffic of tensor parallelism: the reductions of every layer, and those of the two ends of the model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from strategies.plan.model_spec import ModelSpec
from strategies.plan.rank_placement import RankPlacement
from strategies.plan.shapes import StepShape
from strategies.plan.traffic import Volume, volume

AXIS = "tensor"


def volumes(spec: ModelSpec, shape: StepShape, placements: Sequence[RankPlacement]) -> Iterator[Volume]:
    """Two reductions forward and two backward for each layer and micro-batch, and those of the two ends.

    Recomputed blocks repeat what their backward needs: of a block with the norms before it not its last reduction.

    Args:
        spec: The model.
        shape: The step.
        placements: Of all ranks.

    Returns:
        The operations of one step.
    """
    for placement in placements:
        if placement.tensor[1] == 1:
            continue
        traffic = _split_stream if placement.splits_stream else _replicated_stream
        for samples in placement.micro_samples:
            yield from traffic(spec, shape, placement, samples)
            if placement.last and spec.head == "lm":
                pair = 2 * samples * placement.local_tokens * shape.element_bytes
                yield volume(AXIS, "all_gather", "forward", 1, pair, placement.tensor[1])


def _recomputed(spec: ModelSpec, shape: StepShape, placement: RankPlacement) -> tuple[int, int]:
    """(gathers, reductions) that a backward repeats."""
    if shape.recompute == "none":
        return 0, 0
    return 2 * placement.layer_count, (2 if spec.norm_place == "post" else 1) * placement.layer_count


def _replicated_stream(spec: ModelSpec, shape: StepShape, placement: RankPlacement, samples: int) -> Iterator[Volume]:
    hidden, ranks = samples * placement.local_tokens * spec.hidden * shape.element_bytes, placement.tensor[1]
    head, layers = placement.last and spec.head == "lm", placement.layer_count
    yield volume(AXIS, "all_reduce", "forward", 2 * layers + placement.first, hidden, ranks)
    yield volume(AXIS, "all_reduce", "backward", 2 * layers + head + _recomputed(spec, shape, placement)[1], hidden, ranks)


def _split_stream(spec: ModelSpec, shape: StepShape, placement: RankPlacement, samples: int) -> Iterator[Volume]:
    token, ranks = samples * spec.hidden * shape.element_bytes, placement.tensor[1]
    part, whole = token * placement.stream_tokens, token * placement.local_tokens
    head = placement.last and spec.head == "lm"
    gathers, reductions = 2 * placement.layer_count + head, 2 * placement.layer_count + placement.first
    gathers_again, reductions_again = _recomputed(spec, shape, placement)
    yield volume(AXIS, "all_gather", "forward", gathers, part, ranks)
    yield volume(AXIS, "reduce_scatter", "forward", reductions, whole, ranks)
    yield volume(AXIS, "all_gather", "backward", reductions + gathers_again, part, ranks)
    yield volume(AXIS, "reduce_scatter", "backward", gathers + reductions_again, whole, ranks)
    if placement.last and spec.head == "classifier":
        yield volume(AXIS, "all_reduce", "forward", 1, token, ranks)
