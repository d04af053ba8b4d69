"""Checks of a point of which one rank was killed: copies were as planned, and the survivors went on with the same training."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bench.faults.state_pieces import copy_bytes
from bench.record.check_record import Check
from bench.record.checks import finding, skipped
from bench.record.fault_record import FaultRecord
from bench.timeline.fault_spans import Lived
from strategies.plan.shapes import Plan

LARGEST_DIFFERENCE = {"float32": 1e-5, "float64": 1e-12}
"""Of the losses of a step and of its repetition, relative: sums are rounded in another order on other ranks."""


def fault_checks(
    dtype: str, block: FaultRecord, plans: tuple[Plan, Plan], lives: Sequence[Lived], hosts: Sequence[str]
) -> list[Check]:
    """All checks of the failure.

    Args:
        dtype: Type of the arithmetic, which decides how far losses may be apart.
        block: The failure.
        plans: The plans before and after it.
        lives: The views of all ranks.
        hosts: The host of every rank.

    Returns:
        One check of each kind, in the order of the report.
    """
    finite = all(math.isfinite(step.loss) for step in block.steps)
    return [
        _copies_as_planned(block, plans[0], hosts),
        _same_loss(block, LARGEST_DIFFERENCE[dtype]),
        finding("loss is finite after the failure", finite, f"{len(block.steps)} steps"),
        _replicas_equal(plans[1], [life for life in lives if life.rank != block.rank]),
    ]


def _copies_as_planned(block: FaultRecord, plan: Plan, hosts: Sequence[str]) -> Check:
    copies, planned = block.copies, copy_bytes(plan, hosts)
    sent, expected = copies.payload_bytes, len(copies.seconds) * sum(bytes_ for _, bytes_ in planned)
    as_planned = sent == expected and list(copies.memory_bytes) == [bytes_ for bytes_, _ in planned]
    good = f"{sent} bytes for {len(copies.seconds)} copies"
    memory = f"in memory {list(copies.memory_bytes)}, planned {[bytes_ for bytes_, _ in planned]}"
    return finding(
        "copies are as planned", as_planned, good if as_planned else f"{sent} bytes sent, {expected} planned; {memory}"
    )


def _same_loss(block: FaultRecord, limit: float) -> Check:
    name, worst = "redone steps give the same loss", block.loss_difference
    if worst is None:
        return skipped(name, "no step was lost: the copy was made right before the failure")
    detail = f"{block.lost_steps} steps, at most {worst:.1e} apart (relative), {limit:.0e} allowed"
    return finding(name, math.isfinite(worst) and worst <= limit, detail)


def _replicas_equal(plan: Plan, survivors: Sequence[Lived]) -> Check:
    by_part: dict[tuple[int, int], set[str | None]] = {}
    for place, life in zip(plan.placements, survivors, strict=True):
        by_part.setdefault((place.stage[0], place.tensor[0]), set()).add(life.weights_hash)
    different = [part for part, hashes in by_part.items() if len(hashes) > 1]
    detail = f"weights differ between {len(different)} sets of replicas" if different else f"{len(survivors)} ranks"
    return finding("replicas are equal after the failure", not different, detail)
