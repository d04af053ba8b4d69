"""How the tokens of a sample that sequence parallelism spreads meet in attention: the choice, and what it sends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from strategies.comm.mesh import Mesh
from strategies.common.plan_error import PlanError
from strategies.models.layers import Spread
from strategies.plan.model_spec import ModelSpec
from strategies.plan.placement import Placement
from strategies.plan.shapes import StepShape, Volume, volume
from strategies.step.ring_attention import Ring
from strategies.step.ulysses_attention import Ulysses, head_parts

AXIS = "sequence"
KINDS = ("ring", "ulysses")
OPTIONS: Mapping[str, Any] = {"attention": "ring", "sequence_shares": None}


def check(options: Mapping[str, Any]) -> None:
    if options["attention"] not in KINDS:
        raise PlanError(f"strategy.attention={options['attention']} is unknown; use {' or '.join(KINDS)}")


def spread_of(placement: Sequence[Placement], mesh: Mesh, options: Mapping[str, Any]) -> Spread:
    """The spread of this rank's sequence group."""
    group = mesh.groups[AXIS]
    if options["attention"] == "ulysses":
        return Ulysses(group, [placement[rank].local_tokens for rank in group.members])
    return Ring(group, [placement[rank].tokens for rank in group.members])


def volumes(spec: ModelSpec, shape: StepShape, placement: Sequence[Placement], options: Mapping[str, Any]) -> Iterator[Volume]:
    """Attention's traffic for each layer and micro-batch, and the sum of a classifier's token vectors."""
    for at in placement:
        yield from rank_volumes(spec, shape, at, placement, options)


def rank_volumes(
    spec: ModelSpec, shape: StepShape, at: Placement, placement: Sequence[Placement], options: Mapping[str, Any]
) -> Iterator[Volume]:
    """The part of ``volumes`` that the rank of ``at`` sends."""
    members = [other for other in placement if _same_group(at, other)]
    if len(members) == 1:
        return
    attention = _ulysses if options["attention"] == "ulysses" else _ring
    for samples in at.micro_samples:
        yield from attention(spec, shape, at, members, samples)
        if at.last and spec.head == "classifier":
            pooled = samples * spec.hidden * shape.element_bytes
            yield volume(AXIS, "all_reduce", "forward", 1, pooled, len(members))


def _same_group(at: Placement, other: Placement) -> bool:
    return all(other.coordinates[axis] == value for axis, value in at.coordinates.items() if axis != AXIS)


def _ring(spec: ModelSpec, shape: StepShape, at: Placement, members: Sequence[Placement], samples: int) -> Iterator[Volume]:
    """Forward: what this rank hands on are the blocks of all but its right neighbour. Backward: these again, and the
    gradients of all but its own."""
    ranks, own = len(members), members.index(at)
    kv = at.units["kv_heads"][1] - at.units["kv_heads"][0]
    token = 2 * samples * kv * spec.head_dim * shape.element_bytes
    total = sum(member.local_tokens for member in members)
    blocks = token * (total - members[(own + 1) % ranks].local_tokens)
    gradients = token * (total - at.local_tokens)
    again = shape.recompute == "blocks"
    layers, hops = at.layer_count, ranks - 1
    yield Volume(AXIS, "send", "forward", layers * hops, layers * blocks, float(layers * blocks))
    sent = layers * ((1 + again) * blocks + gradients)
    yield Volume(AXIS, "send", "backward", layers * hops * (2 + again), sent, float(sent))


def _ulysses(spec: ModelSpec, shape: StepShape, at: Placement, members: Sequence[Placement], samples: int) -> Iterator[Volume]:
    """Forward: q, k and v of the own tokens, then the output of the own heads for all tokens. Backward: the way back."""
    ranks, own = len(members), members.index(at)
    parts = head_parts(at.units["heads"][1] - at.units["heads"][0], at.kv_of_heads(spec), ranks)
    sizes = [end - begin + 2 * (last - first) for (begin, end), (first, last) in parts]
    total = sum(member.local_tokens for member in members)
    element = samples * spec.head_dim * shape.element_bytes
    packed_out, packed_in = element * at.local_tokens * sum(sizes), element * total * sizes[own]
    heads = parts[own][0][1] - parts[own][0][0]
    output_out = element * total * heads
    output_in = element * at.local_tokens * (at.units["heads"][1] - at.units["heads"][0])
    forward = (packed_out, output_out) * (1 + (shape.recompute == "blocks"))
    for payload in forward[:2]:
        yield volume(AXIS, "all_to_all", "forward", at.layer_count, payload, ranks)
    for payload in (*forward[2:], packed_in, output_in):
        yield volume(AXIS, "all_to_all", "backward", at.layer_count, payload, ranks)
