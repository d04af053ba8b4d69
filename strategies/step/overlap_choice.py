"""Whether tensor parallelism hides its reductions behind the products of the other half of a batch. Pure."""

from __future__ import annotations

from typing import Literal

from strategies.comm.comm_choice import AS_GIVEN, Choice
from strategies.comm.comm_options import Progress
from strategies.common.plan_error import PlanError
from strategies.plan.rank_placement import RankPlacement

Overlap = Literal["halves", "none"]


def choose_overlap(axis: str, asked: str, progress: Progress, placement: RankPlacement, device: str) -> tuple[Overlap, Choice]:
    """Decide for one rank; all ranks of a tensor group come to the same answer.

    Args:
        axis: The name of the tensor groups.
        asked: The option ``overlap``.
        progress: Of the tensor group: ``thread`` where messages can move beside the computation.
        placement: The rank's.
        device: Where it computes.

    Returns:
        The value, and the choice with its reason.

    Raises:
        PlanError: Halves are asked for on a GPU.
    """
    if asked == "halves" and device != "cpu":
        raise PlanError(
            f"<option overlap>=halves needs a CPU, found {device}: torch runs all of a GPU's backward on one thread, where "
            "halves cannot take turns; use auto or none"
        )
    if asked != "auto":
        value: Overlap = "halves" if asked == "halves" else "none"
        return value, Choice(axis, "overlap", value, "user", AS_GIVEN)
    value, reason = _overlap(progress, placement, device)
    return value, Choice(axis, "overlap", value, "auto", reason)


def _overlap(progress: Progress, placement: RankPlacement, device: str) -> tuple[Overlap, str]:
    if placement.stage[1] > 1:
        return "none", "stages of a pipeline interleave micro-batches already"
    if max(placement.micro_samples) < 2:
        return "none", "a micro-batch of one sample has no halves"
    if device != "cpu":
        return "none", f"backward on {device} has one thread, where halves cannot take turns"
    if progress != "thread":
        return "none", f"progress={progress}: messages do not move beside the computation"
    return "halves", "messages move beside the computation (progress=thread)"
