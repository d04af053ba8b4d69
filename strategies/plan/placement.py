"""Where everything goes: the placement of every rank of a mesh. Pure; refuses what does not fit.

Even splits are the default. Each axis can be split unevenly by weights, for boards of different speed: ``stages`` (layers,
``layer_split.py``), ``shares`` (samples of replicas), ``groups`` and ``group_shares`` (several ranks at one stage, and their
samples of each micro-batch; both ``sample_split.py``), ``sequence_shares`` (tokens, ``token_split.py``) and ``tensor_shares``
(heads and columns, ``head_split.py``).
"""

from __future__ import annotations

from strategies.common.plan_error import PlanError
from strategies.plan.head_split import check_ulysses, split_units
from strategies.plan.layer_split import split_layers, stage_sizes
from strategies.plan.model_spec import ModelSpec
from strategies.plan.rank_placement import RankPlacement
from strategies.plan.sample_split import member_shares, split_micro_batches, split_samples
from strategies.plan.shapes import MeshShape, StepShape
from strategies.plan.step_options import StepOptions
from strategies.plan.token_split import split_stream, split_tokens


def place(spec: ModelSpec, shape: StepShape, mesh: MeshShape, options: StepOptions | None = None) -> tuple[RankPlacement, ...]:
    """The placement of every rank.

    Args:
        spec: The model.
        shape: Batch, tokens and micro-batches of a step.
        mesh: The axes.
        options: Those named at the head of this file, ``schedule``, ``virtual_stages``, ``attention`` and ``norms``; None for
            the defaults.

    Returns:
        Placements by world rank.

    Raises:
        PlanError: The mesh does not fit the model or the batch; the message has the values that would fit.
    """
    options = options or StepOptions()
    sizes = stage_sizes(mesh.pipeline, options.groups)
    members = [(stage, (member, size)) for stage, size in enumerate(sizes) for member in range(size)]
    layers = split_layers(spec, len(sizes), options)
    samples = split_samples(shape, mesh.data, options.shares)
    tokens = split_tokens(spec, shape, mesh, options)
    units = split_units(spec, mesh.tensor, options.tensor_shares)
    if shape.seq > spec.max_positions:
        raise PlanError(f"<step seq>={shape.seq} is longer than the {spec.max_positions} positions of {spec.name}")
    if options.attention == "ulysses":
        check_ulysses(spec, mesh, units)
    placements = []
    for rank in range(mesh.size):
        where = mesh.coordinates(rank)
        stage, member = members[where["pipeline"]]
        weights = member_shares(sizes, options.group_shares, stage)
        local_tokens = sum(end - begin for begin, end in tokens[where["sequence"]])
        placements.append(
            RankPlacement(
                rank=rank,
                coordinates=where,
                stage=(stage, len(sizes)),
                layers=tuple(layers[stage :: len(sizes)]),
                replica=(where["data"], mesh.data),
                member=member,
                micros=split_micro_batches(samples[where["data"]], shape, member, weights),
                tokens=tokens[where["sequence"]],
                tensor=(where["tensor"], mesh.tensor),
                units=units[where["tensor"]],
                stream=split_stream(local_tokens, where["tensor"], mesh.tensor, options.norms),
                first=stage == 0,
                last=stage == len(sizes) - 1,
            )
        )
    return tuple(placements)
