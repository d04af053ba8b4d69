"""Whether the token table's gradient travels as the rows that were looked up, and what they send.

    dense   all-reduce of V h           a ring sends 2 (n-1)/n V h of it
    rows    all-gather of T h           T tokens of the step over all ranks: (n-1)/n T h

A step looks up T rows of a table of V; of MiniLM's gradients the table is half, and a step of 32 x 64 tokens touches at most
2048 of 30522 rows. Not where the table's gradient is dense: a head tied to it, or ZeRO's reduce-scatter.

A rank that alone looks tokens up sends nothing, and adds the rows to its gradient all the same: autograd would fill a table
with zeros and add it for every micro-batch, 47 MB of MiniLM's for each of a pipeline's.
"""

from __future__ import annotations

from collections.abc import Sequence

from strategies.common.plan_error import PlanError
from strategies.plan.model_spec import ModelSpec
from strategies.plan.rank_placement import RankPlacement
from strategies.plan.shapes import StepShape
from strategies.plan.step_options import TOKEN_TABLES, StepOptions
from strategies.plan.traffic import Volume, volume

TABLE = "embed.tokens.weight"


def sends_rows(spec: ModelSpec, shape: StepShape, placements: Sequence[RankPlacement], options: StepOptions) -> bool:
    """Whether rows of the token table's gradient travel in the place of all of it.

    Args:
        spec: The model.
        shape: The step.
        placements: Of all ranks.
        options: ``token_table``, whose ``auto`` sends rows where they can go and are fewer bytes; ``wire`` and ``zero``.

    Returns:
        True for rows.

    Raises:
        PlanError: ``token_table`` is unknown, or ``rows`` is asked for and cannot be.
    """
    return adds_rows(spec, shape, placements, options) and len(holders(placements)) > 1


def adds_rows(spec: ModelSpec, shape: StepShape, placements: Sequence[RankPlacement], options: StepOptions) -> bool:
    """Whether the token table's gradient is made of the rows that were looked up, and not of whole tables.

    Args:
        spec: The model.
        shape: The step.
        placements: Of all ranks.
        options: As in ``sends_rows``.

    Returns:
        True for rows.

    Raises:
        PlanError: ``token_table`` is unknown, or ``rows`` is asked for and cannot be.
    """
    choice = options.token_table
    if choice not in TOKEN_TABLES:
        raise PlanError(f"<option token_table>={choice} is unknown; use {', '.join(TOKEN_TABLES[:-1])} or {TOKEN_TABLES[-1]}")
    why_not = None
    if spec.head == "lm" and spec.tied:
        why_not = f"the head of {spec.name} is tied to the table, whose gradient is dense"
    elif placements[0].tensor[1] > 1:
        why_not = "tensor ranks cut the table"
    elif options.zero:
        why_not = "<option zero>=1 shares the table's sum out"
    if choice == "rows" and why_not:
        raise PlanError(f"<option token_table>=rows cannot be: {why_not}; use auto or dense")
    fewer = shape.batch * shape.seq < 2 * spec.vocab
    return choice != "dense" and not why_not and (fewer or choice == "rows")


def holders(placements: Sequence[RankPlacement]) -> list[RankPlacement]:
    """The ranks that look tokens up.

    Args:
        placements: Of all ranks.

    Returns:
        Those of the first stage, in the same order.
    """
    return [placement for placement in placements if placement.first]


def looked_up(placement: RankPlacement) -> int:
    """Tokens that a rank looks up in a step.

    Args:
        placement: A rank of the first stage.

    Returns:
        How many, over all micro-batches.
    """
    return sum(placement.micro_samples) * placement.local_tokens


def row_volumes(spec: ModelSpec, placements: Sequence[RankPlacement], element: int) -> list[Volume]:
    """The all-gather of every rank that looks tokens up.

    Args:
        spec: The model.
        placements: Of all ranks.
        element: Bytes of an element on the wire.

    Returns:
        One for each rank of the first stage.
    """
    ranks = holders(placements)
    return [
        volume("gradients", "all_gather", "backward", 1, looked_up(placement) * spec.hidden * element, len(ranks))
        for placement in ranks
    ]
