"""A schedule played without MPI: does it end, how long does it take, how much of it is bubble."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from strategies.schedules.actions import (
    Action,
    Backward,
    Forward,
    ReceiveActivation,
    ReceiveGradient,
    SendActivation,
    SendGradient,
)

SENT_BY = {ReceiveActivation: (SendActivation, -1), ReceiveGradient: (SendGradient, +1)}


class Deadlock(Exception):
    """Every unfinished stage waits for a message that nobody will send."""


@dataclass(frozen=True)
class Interval:
    """One computation of a stage, in seconds from the start of the step."""

    stage: int
    action: Action
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Timeline:
    intervals: tuple[Interval, ...]
    duration_s: float
    busy_s: tuple[float, ...]

    @property
    def bubble(self) -> float:
        """Share of the stages' time in which they do not compute."""
        return 1 - sum(self.busy_s) / (len(self.busy_s) * self.duration_s)


def simulate(
    schedule: Sequence[Sequence[Action]],
    forward_s: Sequence[float],
    backward_s: Sequence[float],
    message_s: float = 0.0,
) -> Timeline:
    """Play the actions of all stages. Sends do not wait; a receive ends ``message_s`` after its send.

    ``forward_s`` and ``backward_s`` are the stages' times for one micro-batch. Raises Deadlock, naming the stages that
    wait and for what.
    """
    stages = len(schedule)
    at, clock, busy = [0] * stages, [0.0] * stages, [0.0] * stages
    sent: dict[tuple[type[Action], int, int], float] = {}
    intervals: list[Interval] = []
    moved = True
    while moved:
        moved = False
        for stage, todo in enumerate(schedule):
            while at[stage] < len(todo):
                action = todo[at[stage]]
                if type(action) in SENT_BY:
                    kind, step = SENT_BY[type(action)]
                    arrival = sent.get((kind, stage + step, action.micro))
                    if arrival is None:
                        break
                    clock[stage] = max(clock[stage], arrival + message_s)
                elif isinstance(action, (SendActivation, SendGradient)):
                    sent[type(action), stage, action.micro] = clock[stage]
                elif isinstance(action, (Forward, Backward)):
                    seconds = (forward_s if isinstance(action, Forward) else backward_s)[stage]
                    intervals.append(Interval(stage, action, clock[stage], clock[stage] + seconds))
                    clock[stage] += seconds
                    busy[stage] += seconds
                at[stage] += 1
                moved = True
    stuck = [f"stage {s} at {todo[at[s]]}" for s, todo in enumerate(schedule) if at[s] < len(todo)]
    if stuck:
        raise Deadlock("; ".join(stuck))
    return Timeline(tuple(intervals), max(clock), tuple(busy))
