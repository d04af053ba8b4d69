"""The phases of a step and the states of a rank: the one list of each, in the order of records."""

from __future__ import annotations

from typing import Literal, get_args

Phase = Literal["other", "forward", "backward", "optimizer", "communicate", "wait"]
PHASES: tuple[str, ...] = get_args(Phase)
"""The phases that share a rank's time: all of it, as ``other`` is what none of the others is."""
STATES = ("compute", "communicate", "wait")
"""The coarser split: ``compute`` is ``other``, forward, backward and the optimizer together."""
