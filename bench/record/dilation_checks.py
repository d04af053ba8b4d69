"""Checks of a record of dilated boards."""

from __future__ import annotations

from bench.record.check_record import Check, Verdict
from bench.record.dilation_record import DilationRecord

MOST_DISTURBANCE = 0.03


def neighbours(dilation: DilationRecord | None) -> list[Check]:
    """Boards hardly compute faster while the others sleep: else whoever waits for others computes faster than its class.

    Args:
        dilation: The record's block; None: its boards are not dilated.

    Returns:
        One check, warned beyond 3 % of either sign; none where that was not measured.
    """
    if dilation is None or dilation.disturbance is None:
        return []
    detail = f"a board computes {100 * dilation.disturbance:.1f} % faster alone"
    pairs = [(one.alone_flop_s, one.together_flop_s) for one in dilation.boards]
    each = [100 * (alone / together - 1) for alone, together in pairs if alone and together]
    if len(each) > 1:
        detail += f" (median of {len(each)} boards, {min(each):.1f} to {max(each):.1f})"
    detail += f", {100 * MOST_DISTURBANCE:.0f} % wanted"
    status: Verdict = "passed" if abs(dilation.disturbance) <= MOST_DISTURBANCE else "warned"
    return [Check(name="emulated boards do not disturb each other", status=status, detail=detail)]
