"""How the samples of a batch are split: over replicas, into micro-batches, and over the ranks that share a stage."""

from __future__ import annotations

from collections.abc import Sequence

from strategies.common.plan_error import PlanError
from strategies.plan.partition import Span, even, weighted, within
from strategies.plan.shapes import StepShape


def split_samples(shape: StepShape, replicas: int, shares: Sequence[float] | None) -> list[Span]:
    """Samples of each replica.

    Args:
        shape: Batch and micro-batches of a step.
        replicas: How many there are.
        shares: Weights of the replicas, or None for even shares.

    Returns:
        For each replica its span of the global batch.

    Raises:
        PlanError: A replica would have fewer samples than micro-batches, or ``shares`` is not one number for each.
    """
    if shape.batch < replicas * shape.micro_batches:
        raise PlanError(
            f"<step batch>={shape.batch} is smaller than {replicas} replicas x {shape.micro_batches} micro-batches; "
            f"use <step batch> >= {replicas * shape.micro_batches} or fewer <step micro_batches>"
        )
    if shares and len(shares) != replicas:
        raise PlanError(f"<option shares>={list(shares)} must have one number for each of the {replicas} replicas")
    samples = weighted(shape.batch, shares) if shares else even(shape.batch, replicas)
    least = min(end - begin for begin, end in samples)
    if least < shape.micro_batches:
        raise PlanError(
            f"<option shares>={list(shares or [])} leaves a replica with {least} samples for "
            f"{shape.micro_batches} micro-batches; use fewer <step micro_batches> or a larger <step batch>"
        )
    return samples


def member_shares(stage_sizes: Sequence[int], shares: Sequence[Sequence[float]] | None, stage: int) -> Sequence[float] | None:
    """Weights of the ranks that share ``stage``; None where they share its samples evenly.

    Args:
        stage_sizes: Ranks of each stage.
        shares: The option ``group_shares``.
        stage: The stage.

    Returns:
        One number for each rank of the stage, or None.

    Raises:
        PlanError: ``shares`` is not one list for each stage with one number for each of its ranks.
    """
    if not shares:
        return None
    if [len(part or [1] * size) for part, size in zip(shares, stage_sizes, strict=False)] != list(stage_sizes):
        raise PlanError(
            f"<option group_shares>={shares} must have a list for each of the {len(stage_sizes)} stages, with one number for "
            f"each of its ranks (<option groups>={list(stage_sizes)})"
        )
    return shares[stage]


def split_micro_batches(
    replica: Span, shape: StepShape, member: tuple[int, int], shares: Sequence[float] | None
) -> tuple[Span, ...]:
    """One rank's samples of each micro-batch, numbered in the global batch.

    Args:
        replica: Samples of the rank's replica.
        shape: How many micro-batches they make.
        member: (index, number) of the rank among those that share its stage.
        shares: Weights of these, or None for even shares.

    Returns:
        One span for each micro-batch.

    Raises:
        PlanError: A micro-batch has fewer samples than the stage has ranks.
    """
    parts = [within(replica, part) for part in even(replica[1] - replica[0], shape.micro_batches)]
    least = min(end - begin for begin, end in parts)
    if least < member[1]:
        raise PlanError(
            f"micro-batches of {least} samples cannot be shared by the {member[1]} ranks of a stage; "
            f"use fewer <step micro_batches> or a larger <step batch>"
        )
    splits = [weighted(end - begin, shares) if shares else even(end - begin, member[1]) for begin, end in parts]
    return tuple(within(part, split[member[0]]) for part, split in zip(parts, splits, strict=True))
