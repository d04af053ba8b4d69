"""Whose joules: a host's energy by what its ranks were doing.

At any time a host's power is shared equally between its ranks, and inside a sampling interval energy is spread evenly
over time. So the shares add up to the total, and a rank that waits is charged like one that computes: where the host
can tell them apart, its power falls while it waits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from bench.energy.integrate import Curve, at

STATES = ("communicate", "wait")


def by_state(
    curves: Mapping[str, Curve],
    rank_host: Mapping[int, str],
    intervals: Mapping[int, Sequence[tuple[float, float, str]]],
    windows: Sequence[tuple[float, float]],
) -> dict[str, float]:
    """``compute_J, communicate_J, wait_J`` over all hosts.

    ``intervals`` are each rank's stretches (t0_s, t1_s, state) inside the windows; the rest of a window is compute.
    """
    spent = dict.fromkeys(STATES, 0.0)
    total = math.fsum(float(np.diff(at(curve, window))[0]) for curve in curves.values() for window in windows)
    for rank, host in rank_host.items():
        sharers = sum(other == host for other in rank_host.values())
        for state in STATES:
            own = np.array([(t0, t1) for t0, t1, found in intervals[rank] if found == state]).reshape(-1, 2)
            joules = at(curves[host], own[:, 1]) - at(curves[host], own[:, 0])
            spent[state] += float(joules.sum()) / sharers
    return {
        "compute_J": total - spent["communicate"] - spent["wait"],
        "communicate_J": spent["communicate"],
        "wait_J": spent["wait"],
    }
