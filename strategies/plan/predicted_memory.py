"""Predicted memory of every rank: parameters, gradients and optimizer states exactly, activations as an estimate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from strategies.plan.model_spec import ModelSpec, parameters
from strategies.plan.placement import Placement
from strategies.plan.shapes import OPTIMIZER_STATES, Memory, StepShape


def memory(
    spec: ModelSpec,
    shape: StepShape,
    placement: Iterable[Placement],
    live: Mapping[int, int] | None = None,
    optimizer_elements: Mapping[int, int] | None = None,
) -> tuple[Memory, ...]:
    """Predicted memory of each rank.

    ``live`` gives the micro-batches in flight per pipeline stage (default 1; of virtual stages each counts), and
    ``optimizer_elements`` the parameters that a rank's optimizer updates where these are not all that it holds.
    """
    found = []
    for at in placement:
        elements = sum(at.local_size(parameter, spec) for parameter in parameters(spec))
        updated = elements if optimizer_elements is None else optimizer_elements[at.rank]
        found.append(
            Memory(
                rank=at.rank,
                parameters_bytes=elements * shape.element_bytes,
                gradients_bytes=elements * shape.element_bytes,
                optimizer_bytes=updated * shape.element_bytes * OPTIMIZER_STATES[shape.optimizer],
                activations_bytes=activation_bytes(spec, shape, at, (live or {}).get(at.stage[0], 1)),
            )
        )
    return tuple(found)


def activation_bytes(spec: ModelSpec, shape: StepShape, at: Placement, live: int = 1) -> int:
    """Estimated bytes that ``live`` micro-batches keep for their backward on this rank.

    Per token and layer the graph keeps vectors of ``hidden`` (the inputs of both norms, and of attention and MLP; an RMS
    norm's result before its weight too), of the local heads (q, k, v as attention gets them, its output, and q and k
    before they were rotated) and of the local MLP columns (before and after the activation; gate and product too when
    gated). With recomputation it keeps the input of each block, and all of one. A language model's head keeps its logits
    twice: as they are and as log-probabilities.
    """
    micro = max(at.micro_samples) * shape.element_bytes
    tokens, stream = micro * at.local_tokens, micro * at.stream_tokens
    heads = (at.units["heads"][1] - at.units["heads"][0]) * spec.head_dim
    kv = (at.units["kv_heads"][1] - at.units["kv_heads"][0]) * spec.head_dim
    columns = at.units["ffn"][1] - at.units["ffn"][0]
    attention = 2 * heads + 2 * (heads if spec.kv_heads < spec.heads else kv)
    if spec.positions == "rotary":
        attention += heads + kv
    norms = (4 if spec.norm == "rms" else 2) * spec.hidden
    own = stream * norms + tokens * (2 * spec.hidden + attention + (4 if spec.mlp == "silu_gated" else 2) * columns)
    # Several virtual stages share the layers of a rank: each forward in flight keeps one of them.
    layers = live * at.layer_count / len(at.layers)
    total = layers * own if shape.recompute == "none" else layers * stream * spec.hidden + own
    if at.first:
        total += stream * 2 * spec.hidden
    if at.last and spec.head == "lm":
        total += tokens * 2 * (at.units["vocab"][1] - at.units["vocab"][0])
    return int(total)
