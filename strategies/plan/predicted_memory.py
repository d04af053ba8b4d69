"""Predicted memory of every rank: parameters, gradients and optimizer states exactly, activations as an estimate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from strategies.plan.model_spec import ModelSpec, parameters
from strategies.plan.rank_placement import RankPlacement
from strategies.plan.shapes import OPTIMIZER_STATES, Memory, StepShape


def memory(
    spec: ModelSpec,
    shape: StepShape,
    placements: Iterable[RankPlacement],
    live: Mapping[int, int] | None = None,
    optimizer_elements: Mapping[int, int] | None = None,
) -> tuple[Memory, ...]:
    """Predicted memory of each rank.

    Args:
        spec: The model.
        shape: The step.
        placements: Of the ranks.
        live: Micro-batches in flight per pipeline stage (default 1; of virtual stages each counts).
        optimizer_elements: Parameters that a rank's optimizer updates, where these are not all that it holds.

    Returns:
        One for each of ``placements``, in bytes.
    """
    predictions = []
    for placement in placements:
        elements = sum(placement.local_size(parameter, spec) for parameter in parameters(spec))
        updated = elements if optimizer_elements is None else optimizer_elements[placement.rank]
        predictions.append(
            Memory(
                rank=placement.rank,
                parameters_bytes=elements * shape.element_bytes,
                gradients_bytes=elements * shape.element_bytes,
                optimizer_bytes=updated * shape.element_bytes * OPTIMIZER_STATES[shape.optimizer],
                activations_bytes=activation_bytes(spec, shape, placement, (live or {}).get(placement.stage[0], 1)),
            )
        )
    return tuple(predictions)


def activation_bytes(spec: ModelSpec, shape: StepShape, placement: RankPlacement, live: int = 1) -> int:
    """Estimated bytes that a rank keeps for the backward of its micro-batches.

    Per token and layer the graph keeps vectors of ``hidden`` (the inputs of both norms, and of attention and MLP; an RMS
    norm's result before its weight too), of the local heads (q, k, v as attention gets them, its output, and q and k
    before they were rotated) and of the local MLP columns (before and after the activation; gate and product too when
    gated). With recomputation it keeps the input of each block, and all of one. A language model's head keeps its logits
    twice: as they are and as log-probabilities.

    Args:
        spec: The model.
        shape: The step.
        placement: The rank's.
        live: Micro-batches in flight; of virtual stages each counts.

    Returns:
        Bytes.
    """
    micro = max(placement.micro_samples) * shape.element_bytes
    tokens, stream = micro * placement.local_tokens, micro * placement.stream_tokens
    heads = placement.count("heads") * spec.head_dim
    kv = placement.count("kv_heads") * spec.head_dim
    columns = placement.count("ffn")
    attention = 2 * heads + 2 * (heads if spec.kv_heads < spec.heads else kv)
    if spec.positions == "rotary":
        attention += heads + kv
    norms = (4 if spec.norm == "rms" else 2) * spec.hidden
    layer = stream * norms + tokens * (2 * spec.hidden + attention + (4 if spec.mlp == "silu_gated" else 2) * columns)
    # Several virtual stages share the layers of a rank: each forward in flight keeps one of them.
    layers = live * placement.layer_count / len(placement.layers)
    total = layers * layer if shape.recompute == "none" else layers * stream * spec.hidden + layer
    if placement.first:
        total += stream * 2 * spec.hidden
    if placement.last and spec.head == "lm":
        total += tokens * 2 * placement.count("vocab")
    return int(total)
