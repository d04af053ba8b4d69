"""A schedule played without MPI: does it end, how long does it take, how much of it is bubble."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from strategies.schedules.actions import (
    COMPUTE,
    Action,
    Backward,
    BackwardInput,
    Forward,
    ReceiveActivation,
    ReceiveGradient,
    SendActivation,
    SendGradient,
)


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


def sender(action: Action, stage: int, stages: int) -> tuple[type[Action], int, int, int]:
    """The send that a receive waits for: its kind, stage, micro-batch and virtual stage."""
    if isinstance(action, ReceiveActivation):
        return SendActivation, (stage - 1) % stages, action.micro, action.chunk - (stage == 0)
    return SendGradient, (stage + 1) % stages, action.micro, action.chunk + (stage == stages - 1)


def simulate(
    schedule: Sequence[Sequence[Action]],
    forward_s: Sequence[float],
    backward_s: Sequence[float],
    message_s: float | Callable[[int, int], float] = 0.0,
    weight_share: float = 0.5,
) -> Timeline:
    """Play the actions of all stages. Sends do not wait; a message takes ``message_s``, or ``message_s(stage, to_stage)``, and
    those of one stage to another follow each other on their link.

    ``forward_s`` and ``backward_s`` are the times of one micro-batch on each (virtual) stage of a rank;
    ``weight_share`` is the part of backward that computes weight gradients, where a schedule splits it. Raises Deadlock,
    naming the stages that wait and for what.
    """
    stages = len(schedule)
    at, clock, busy = [0] * stages, [0.0] * stages, [0.0] * stages
    sent: dict[tuple[type[Action], int, int, int], float] = {}
    free: dict[tuple[int, int], float] = {}
    takes_s = message_s if callable(message_s) else lambda stage, to: message_s
    intervals: list[Interval] = []
    moved = True
    while moved:
        moved = False
        for stage, todo in enumerate(schedule):
            while at[stage] < len(todo):
                action = todo[at[stage]]
                if isinstance(action, (ReceiveActivation, ReceiveGradient)):
                    arrival = sent.get(sender(action, stage, stages))
                    if arrival is None:
                        break
                    clock[stage] = max(clock[stage], arrival)
                elif isinstance(action, (SendActivation, SendGradient)):
                    link = stage, (stage + (1 if isinstance(action, SendActivation) else -1)) % stages
                    free[link] = max(clock[stage], free.get(link, 0.0)) + takes_s(*link)
                    sent[type(action), stage, action.micro, action.chunk] = free[link]
                elif isinstance(action, COMPUTE):
                    seconds = _seconds(action, forward_s[stage], backward_s[stage], weight_share)
                    intervals.append(Interval(stage, action, clock[stage], clock[stage] + seconds))
                    clock[stage] += seconds
                    busy[stage] += seconds
                at[stage] += 1
                moved = True
    stuck = [f"stage {s} at {todo[at[s]]}" for s, todo in enumerate(schedule) if at[s] < len(todo)]
    if stuck:
        raise Deadlock("; ".join(stuck))
    return Timeline(tuple(intervals), max(clock), tuple(busy))


def _seconds(action: Action, forward_s: float, backward_s: float, weight_share: float) -> float:
    if isinstance(action, Forward):
        return forward_s
    if isinstance(action, Backward):
        return backward_s
    return backward_s * ((1 - weight_share) if isinstance(action, BackwardInput) else weight_share)
