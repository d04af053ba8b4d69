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
        One check, warned above 3 %; none where that was not measured.
    """
    if dilation is None or dilation.disturbance is None:
        return []
    detail = f"a board computes up to {100 * dilation.disturbance:.1f} % faster alone, {100 * MOST_DISTURBANCE:.0f} % wanted"
    status: Verdict = "passed" if dilation.disturbance <= MOST_DISTURBANCE else "warned"
    return [Check(name="emulated boards do not disturb each other", status=status, detail=detail)]
