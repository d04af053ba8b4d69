"""Traffic of sequence parallelism: attention of each layer, by ring or Ulysses, and a classifier's sum of tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from strategies.common.plan_error import PlanError
from strategies.plan.head_split import ulysses_heads
from strategies.plan.model_spec import ModelSpec
from strategies.plan.rank_placement import RankPlacement
from strategies.plan.shapes import StepShape
from strategies.plan.step_options import ATTENTIONS, StepOptions
from strategies.plan.traffic import Volume, volume

AXIS = "sequence"


def check(options: StepOptions) -> None:
    """Refuse an unknown kind of attention over split tokens.

    Args:
        options: ``attention``.

    Raises:
        PlanError: It is none of ``ATTENTIONS``.
    """
    if options.attention not in ATTENTIONS:
        raise PlanError(f"<option attention>={options.attention} is unknown; use {' or '.join(ATTENTIONS)}")


def volumes(spec: ModelSpec, shape: StepShape, placements: Sequence[RankPlacement], options: StepOptions) -> Iterator[Volume]:
    """Attention's traffic for each layer and micro-batch, and the sum of a classifier's token vectors, of every rank.

    Args:
        spec: The model.
        shape: The step.
        placements: Of all ranks.
        options: ``attention``.

    Returns:
        The operations of one step.
    """
    for placement in placements:
        yield from rank_volumes(spec, shape, placement, placements, options)


def rank_volumes(
    spec: ModelSpec,
    shape: StepShape,
    placement: RankPlacement,
    placements: Sequence[RankPlacement],
    options: StepOptions,
) -> Iterator[Volume]:
    """The part of ``volumes`` that one rank sends.

    Args:
        spec: The model.
        shape: The step.
        placement: The rank's.
        placements: Those of all ranks.
        options: ``attention``.

    Returns:
        The operations of one step; none where the rank holds all tokens.
    """
    members = [other for other in placements if _same_group(placement, other)]
    if len(members) == 1:
        return
    attention = _ulysses if options.attention == "ulysses" else _ring
    for samples in placement.micro_samples:
        yield from attention(spec, shape, placement, members, samples)
        if placement.last and spec.head == "classifier":
            pooled = samples * spec.hidden * shape.element_bytes
            yield volume(AXIS, "all_reduce", "forward", 1, pooled, len(members))


def _same_group(placement: RankPlacement, other: RankPlacement) -> bool:
    return all(other.coordinates[axis] == value for axis, value in placement.coordinates.items() if axis != AXIS)


def _ring(
    spec: ModelSpec, shape: StepShape, placement: RankPlacement, members: Sequence[RankPlacement], samples: int
) -> Iterator[Volume]:
    """Forward: what this rank hands on are the blocks of all but its right neighbour.

    Backward: these again, and the gradients of all but its own.
    """
    ranks, index = len(members), members.index(placement)
    token = 2 * samples * placement.count("kv_heads") * spec.head_dim * shape.element_bytes
    total = sum(member.local_tokens for member in members)
    blocks = token * (total - members[(index + 1) % ranks].local_tokens)
    gradients = token * (total - placement.local_tokens)
    again = shape.recompute == "blocks"
    layers, hops = placement.layer_count, ranks - 1
    yield Volume(AXIS, "send", "forward", layers * hops, layers * blocks, float(layers * blocks))
    sent = layers * ((1 + again) * blocks + gradients)
    yield Volume(AXIS, "send", "backward", layers * hops * (2 + again), sent, float(sent))


def _ulysses(
    spec: ModelSpec, shape: StepShape, placement: RankPlacement, members: Sequence[RankPlacement], samples: int
) -> Iterator[Volume]:
    """Forward: q, k and v of the own tokens, then the output of the own heads for all tokens. Backward: the way back."""
    ranks, index = len(members), members.index(placement)
    parts = ulysses_heads(placement.count("heads"), placement.kv_of_heads(spec), ranks)
    sizes = [end - begin + 2 * (last - first) for (begin, end), (first, last) in parts]
    total = sum(member.local_tokens for member in members)
    element = samples * spec.head_dim * shape.element_bytes
    packed_out, packed_in = element * placement.local_tokens * sum(sizes), element * total * sizes[index]
    heads = parts[index][0][1] - parts[index][0][0]
    output_out = element * total * heads
    output_in = element * placement.local_tokens * placement.count("heads")
    forward = (packed_out, output_out) * (1 + (shape.recompute == "blocks"))
    for payload in forward[:2]:
        yield volume(AXIS, "all_to_all", "forward", placement.layer_count, payload, ranks)
    for payload in (*forward[2:], packed_in, output_in):
        yield volume(AXIS, "all_to_all", "backward", placement.layer_count, payload, ranks)
