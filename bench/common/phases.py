"""The phases of a step, the states of a rank and the phases of a recovery: the one list of each, in the order of records."""

from __future__ import annotations

from typing import Literal, get_args

Phase = Literal["other", "forward", "backward", "optimizer", "communicate", "wait"]
PHASES: tuple[Phase, ...] = get_args(Phase)
"""The phases that share a rank's time: all of it, as ``other`` is what none of the others is."""

State = Literal["compute", "communicate", "wait"]
STATES: tuple[State, ...] = get_args(State)
"""The coarser split: ``compute`` is ``other``, forward, backward and the optimizer together."""

RecoveryPhase = Literal["notice", "shrink", "rebuild", "redo"]
RECOVERY: tuple[RecoveryPhase, ...] = get_args(RecoveryPhase)
"""Of a failure: it is noticed, the communicator shrinks, state is rebuilt from copies, lost steps are replayed."""
