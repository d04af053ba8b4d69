"""How the layers of a model are split over the stages of a pipeline, and how many ranks each stage has."""

from __future__ import annotations

from collections.abc import Sequence

from strategies.common.plan_error import PlanError
from strategies.plan.model_spec import ModelSpec
from strategies.plan.partition import Span, divisors, either, lighter_ends, spans
from strategies.plan.step_options import StepOptions


def stage_sizes(ranks: int, groups: Sequence[int] | None) -> list[int]:
    """Ranks of each stage.

    Args:
        ranks: Of the pipeline axis.
        groups: The option: ranks of each stage; None or empty for one each.

    Returns:
        One number for each stage.

    Raises:
        PlanError: The groups do not sum to the ``ranks`` of the pipeline axis.
    """
    if not groups:
        return [1] * ranks
    if sum(groups) != ranks or min(groups) < 1:
        raise PlanError(
            f"<option groups>={list(groups)} must be positive numbers of ranks, one for each stage, that sum to the "
            f"{ranks} ranks of the pipeline axis"
        )
    return list(groups)


def split_layers(spec: ModelSpec, count: int, options: StepOptions) -> list[Span]:
    """Layers of every virtual stage, in the order of the model; stage s holds numbers s, s + count, ...

    Args:
        spec: The model.
        count: Stages of the pipeline.
        options: ``stages`` (layers of each virtual stage), ``schedule`` and ``virtual_stages``.

    Returns:
        A span for each virtual stage; there are ``count`` times those of one rank.

    Raises:
        PlanError: The layers are too few, are not divided, or ``stages`` does not sum to them.
    """
    virtual = options.virtual_stages if options.schedule == "interleaved" else 1
    parts, stages = count * virtual, options.stages
    if stages:
        if len(stages) != parts or sum(stages) != spec.layers or min(stages) < 1:
            raise PlanError(
                f"<option stages>={list(stages)} must be {parts} positive numbers of layers that sum to the "
                f"{spec.layers} layers of {spec.name}"
            )
        return spans(stages)
    if virtual == 1 and parts > spec.layers:
        raise PlanError(
            f"pipeline={count} has more stages than the {spec.layers} layers of {spec.name}; use at most {spec.layers}"
        )
    if virtual > 1 and spec.layers % parts:
        raise PlanError(
            f"pipeline={count} x virtual_stages={virtual} does not divide the {spec.layers} layers of {spec.name}; "
            f"use {either(divisors(spec.layers))}, or give the layers of each virtual stage as <option stages>=[...]"
        )
    return lighter_ends(spec.layers, parts)
