"""Whether tensor parallelism hides its reductions behind the products of the other half of a batch. Pure."""

from __future__ import annotations

from typing import Literal

from strategies.comm.comm_choice import AS_GIVEN, Choice
from strategies.common.plan_error import PlanError

Overlap = Literal["halves", "none"]

SLOWER = "halves of a micro-batch were slower where that was measured: two boards of one core at 1 Gbit/s"


def choose_overlap(axis: str, asked: str, device: str) -> tuple[Overlap, Choice]:
    """Decide for one rank; all ranks of a tensor group come to the same answer.

    Args:
        axis: The name of the tensor groups.
        asked: The option ``overlap``.
        device: Where the rank computes.

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
    if asked == "auto":
        return "none", Choice(axis, "overlap", "none", "auto", SLOWER)
    value: Overlap = "halves" if asked == "halves" else "none"
    return value, Choice(axis, "overlap", value, "user", AS_GIVEN)
