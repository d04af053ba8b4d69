"""Which gradients travel together, over which ranks, and what that sends. Pure; ``step/gradient_sync.py`` does it.

Each parameter has a set of ranks over which its gradient is summed (``rank_placement.summed_over``). Most share one set: the
replicas of this shard. Others have their own: a token table on both ends of a pipeline, norms where the stream is split,
key/value heads that several tensor ranks hold.

    all-reduce   P e bytes a rank                                   every rank updates everything
    ZeRO-1       reduce-scatter P e, all-gather P e / n             each updates 1/n, and holds 1/n of the optimizer states
                 (Rajbhandari et al., arXiv 1910.02054)
    token table  as rows where that is less (``token_table.py``)
    16-bit wire  all-to-all P 2, all-gather P 2 / n (not in ZeRO)   parts are added up in the weights' own dtype
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from strategies.plan.model_spec import ModelSpec, Parameter, parameters
from strategies.plan.partition import even
from strategies.plan.rank_placement import RankPlacement, summed_over
from strategies.plan.shapes import StepShape
from strategies.plan.step_options import StepOptions
from strategies.plan.token_table import TABLE, row_volumes, sends_rows
from strategies.plan.traffic import Volume, volume

AXIS = "gradients"
Ranks = tuple[int, ...]


def cut_into_buckets(sizes_bytes: Sequence[int], bucket_bytes: int) -> list[list[int]]:
    """Cut consecutive tensors into buckets, each of which closes once it is full.

    Args:
        sizes_bytes: Of each tensor.
        bucket_bytes: A bucket with this many or more is full.

    Returns:
        Indices of the tensors of each bucket; one empty bucket for no tensors.
    """
    buckets: list[list[int]] = [[]]
    held = 0
    for index, size in enumerate(sizes_bytes):
        if held >= bucket_bytes:
            buckets.append([])
            held = 0
        buckets[-1].append(index)
        held += size
    return buckets


@dataclass(frozen=True)
class BucketPlan:
    """Parameters whose gradients travel together over ``ranks``; ``sizes`` are their elements on this rank."""

    ranks: Ranks
    names: tuple[str, ...]
    sizes: tuple[int, ...]


def plan_buckets(
    spec: ModelSpec, shape: StepShape, placement: RankPlacement, placements: Sequence[RankPlacement], options: StepOptions
) -> tuple[list[BucketPlan], list[BucketPlan]]:
    """The buckets of one rank: those of the common set in the order of backward, and the others in the global order.

    The common set is that of most parameters. Gradients that no other rank has a part of are in no bucket.

    Args:
        spec: The model.
        shape: The step.
        placement: The rank's.
        placements: Those of all ranks.
        options: ``bucket_bytes``, and whether the token table goes as rows.

    Returns:
        (buckets of the common set, other buckets).
    """
    by_ranks: dict[Ranks, list[Parameter]] = {}
    elsewhere = TABLE if sends_rows(spec, shape, placements, options) else None
    for parameter in parameters(spec):
        if placement.holds(parameter, spec) and parameter.name != elsewhere:
            by_ranks.setdefault(summed_over(parameter, placement, placements, spec), []).append(parameter)
    common = _common(placement, placements)

    def buckets(ranks: Ranks) -> Iterator[BucketPlan]:
        members = by_ranks[ranks][::-1]
        sizes = [placement.local_size(p, spec) for p in members]
        for indices in cut_into_buckets([size * shape.element_bytes for size in sizes], options.bucket_bytes):
            yield BucketPlan(ranks, tuple(members[i].name for i in indices), tuple(sizes[i] for i in indices))

    main = list(buckets(common)) if len(common) > 1 and common in by_ranks else []
    return main, [bucket for ranks in sorted(by_ranks) if ranks != common and len(ranks) > 1 for bucket in buckets(ranks)]


def _common(placement: RankPlacement, placements: Sequence[RankPlacement]) -> Ranks:
    """The replicas of this rank: the same stage and the same tensor shard."""
    return tuple(other.rank for other in placements if (other.stage, other.tensor) == (placement.stage, placement.tensor))


def volumes(spec: ModelSpec, shape: StepShape, placements: Sequence[RankPlacement], options: StepOptions) -> Iterator[Volume]:
    """Traffic of every bucket of every rank, and of the rows of the token table.

    Args:
        spec: The model.
        shape: The step.
        placements: Of all ranks.
        options: ``bucket_bytes``, ``wire``, ``zero`` and ``token_table``.

    Returns:
        The operations of one step.
    """
    if sends_rows(spec, shape, placements, options):
        yield from row_volumes(spec, placements, 2 if options.wire else shape.element_bytes)
    for placement in placements:
        main, rest = plan_buckets(spec, shape, placement, placements, options)
        for bucket in (*main, *rest):
            yield from bucket_volumes(bucket, placement.rank, shape.element_bytes, options)


def bucket_volumes(bucket: BucketPlan, rank: int, element: int, options: StepOptions) -> Iterator[Volume]:
    """Traffic of one rank for one bucket.

    Args:
        bucket: The bucket.
        rank: One of its ranks.
        element: Bytes of an element.
        options: ``wire`` and ``zero``.

    Returns:
        One for each kind of operation of a step.
    """
    ranks, total = len(bucket.ranks), sum(bucket.sizes)
    begin, end = even(total, ranks)[bucket.ranks.index(rank)]
    if options.wire:
        yield volume(AXIS, "all_to_all", "backward", 1, 2 * total, ranks)
        if not options.zero:
            yield volume(AXIS, "all_gather", "backward", 1, 2 * (end - begin), ranks)
    elif options.zero:
        yield volume(AXIS, "reduce_scatter", "backward", 1, element * total, ranks)
    else:
        yield volume(AXIS, "all_reduce", "backward", 1, element * total, ranks)
    if options.zero:
        yield volume(AXIS, "all_gather", "optimizer", 1, element * (end - begin), ranks)


def updated_elements(
    spec: ModelSpec, shape: StepShape, placements: Sequence[RankPlacement], options: StepOptions
) -> dict[int, int]:
    """Parameters that the optimizer of each rank updates.

    Args:
        spec: The model.
        shape: The step.
        placements: Of all ranks.
        options: ``zero`` and ``bucket_bytes``.

    Returns:
        Elements by rank: all that it holds, or under ZeRO its share of every bucket.
    """
    updated = {}
    for placement in placements:
        held = sum(placement.local_size(p, spec) for p in parameters(spec))
        if options.zero:
            main, rest = plan_buckets(spec, shape, placement, placements, options)
            for bucket in (*main, *rest):
                begin, end = even(sum(bucket.sizes), len(bucket.ranks))[bucket.ranks.index(placement.rank)]
                held -= sum(bucket.sizes) - (end - begin)
        updated[placement.rank] = held
    return updated
