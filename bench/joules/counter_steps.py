"""Whether a counter ran through a window: where it stood still, and where it jumped. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.joules.channel import Channel
from bench.joules.energy_curve import Array, unwrapped

STILL_FACTOR, STILL_S = 10, 3.0
"""A counter stopped where it stood for so many times the usual time between two changes, and for at least so long."""
JUMP_FACTOR = 20
"""A step that is so many times the usual rate is no energy: no board draws so much more than at the same work before."""
LEAST_CHANGES = 8


def breaks(channel: Channel, raw: NDArray[np.int64], t_s: Array, window: tuple[float, float]) -> list[str]:
    """Where a counter did not run through a window.

    Args:
        channel: The counter.
        raw: Its readings, in raw units.
        t_s: Their times, in seconds on the common axis.
        window: Begin and end, in seconds on the common axis.

    Returns:
        One line with its numbers for a counter that stopped and for one that jumped; none where there are too few changes
        to tell.
    """
    steps = np.asarray(unwrapped(channel, raw, t_s)[0], dtype=np.float64)
    changed = np.flatnonzero(steps) + 1
    if len(changed) < LEAST_CHANGES:
        return []
    at_s = t_s[changed]
    usual_s = float(np.median(np.diff(at_s)))
    lines = _stopped(channel, at_s, usual_s, window)
    inside = np.flatnonzero((at_s[1:] >= window[0]) & (at_s[1:] <= window[1])) + 1
    if len(inside) >= LEAST_CHANGES:
        lines += _jumped(channel, at_s, steps[changed - 1] * channel.scale, inside)
    return lines


def _stopped(channel: Channel, at_s: Array, usual_s: float, window: tuple[float, float]) -> list[str]:
    begin_s, end_s = window
    within = at_s[(at_s > begin_s) & (at_s < end_s)]
    edges = np.concatenate([[begin_s], within, [end_s]])
    still_s = np.diff(edges)
    longest = int(np.argmax(still_s))
    if still_s[longest] <= max(STILL_FACTOR * usual_s, STILL_S):
        return []
    where_s = edges[longest] - begin_s
    return [
        f"counter {channel.id} stands for {still_s[longest]:.3g} s from {where_s:.3g} s on, and changes every {usual_s:.3g} s "
        "otherwise"
    ]


def _jumped(channel: Channel, at_s: Array, step_J: Array, inside: NDArray[np.intp]) -> list[str]:
    spans_s = np.diff(at_s)
    rate_W = step_J[inside] / np.maximum(spans_s[inside - 1], 1e-9)
    usual_W, usual_J = float(np.median(rate_W)), float(np.median(step_J[inside]))
    far = int(np.argmax(rate_W))
    jump_J = float(step_J[inside][far])
    if rate_W[far] <= JUMP_FACTOR * usual_W or jump_J <= JUMP_FACTOR * usual_J:
        return []
    return [f"counter {channel.id} jumps by {jump_J:.4g} J at once ({rate_W[far]:.4g} W), and counts {usual_W:.4g} W otherwise"]
