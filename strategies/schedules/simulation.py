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
    """Every unfinished stage waits for a message that no stage will send."""


@dataclass(frozen=True)
class Interval:
    """One computation of a stage, in seconds from the start of the step."""

    stage: int
    action: Action
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Timeline:
    """When every stage computes what: seconds from the start of the step, and seconds that each stage is busy."""

    intervals: tuple[Interval, ...]
    duration_s: float
    busy_s: tuple[float, ...]

    @property
    def bubble(self) -> float:
        """Share of the stages' time in which they do not compute."""
        return 1 - sum(self.busy_s) / (len(self.busy_s) * self.duration_s)


def sender(action: Action, stage: int, stages: int) -> tuple[type[Action], int, int, int]:
    """The send that a receive waits for.

    Args:
        action: The receive.
        stage: The stage that receives.
        stages: How many there are.

    Returns:
        (kind of the send, stage, micro-batch, virtual stage).
    """
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
    """Play the actions of all stages. Sends do not wait; messages of one stage to another follow each other on their link.

    Args:
        schedule: The actions of each stage.
        forward_s: Seconds of one micro-batch's forward on each (virtual) stage of a rank.
        backward_s: The same for its backward.
        message_s: Seconds of a message, or a function of (stage, to_stage).
        weight_share: The part of backward that computes weight gradients, where a schedule splits it.

    Returns:
        When every stage computes what, in seconds.

    Raises:
        Deadlock: Every unfinished stage waits; the message names them and what they wait for.
    """
    playing = _Playing(schedule, forward_s, backward_s, message_s, weight_share)
    moved = [True]
    while any(moved):
        moved = [playing.advance(stage) for stage in range(len(schedule))]
    stuck = [f"stage {s} at {todo[playing.done[s]]}" for s, todo in enumerate(schedule) if playing.done[s] < len(todo)]
    if stuck:
        raise Deadlock("; ".join(stuck))
    return Timeline(tuple(playing.intervals), max(playing.clock), tuple(playing.busy))


class _Playing:
    """The state of a simulation: actions done, clock and busy seconds of each stage, and messages under way."""

    def __init__(
        self,
        schedule: Sequence[Sequence[Action]],
        forward_s: Sequence[float],
        backward_s: Sequence[float],
        message_s: float | Callable[[int, int], float],
        weight_share: float,
    ) -> None:
        self.schedule, self.forward_s, self.backward_s, self.weight_share = schedule, forward_s, backward_s, weight_share
        self.message_s = message_s if callable(message_s) else lambda stage, to: message_s
        self.stages = len(schedule)
        self.done, self.clock, self.busy = [0] * self.stages, [0.0] * self.stages, [0.0] * self.stages
        self.arrivals: dict[tuple[type[Action], int, int, int], float] = {}
        self.free: dict[tuple[int, int], float] = {}
        self.intervals: list[Interval] = []

    def advance(self, stage: int) -> bool:
        """Play the actions of ``stage`` until it must wait; whether it did anything."""
        before, todo = self.done[stage], self.schedule[stage]
        while self.done[stage] < len(todo) and self._play(stage, todo[self.done[stage]]):
            self.done[stage] += 1
        return self.done[stage] > before

    def _play(self, stage: int, action: Action) -> bool:
        """Play one action; False where it waits for a message that was not sent yet."""
        if isinstance(action, (ReceiveActivation, ReceiveGradient)):
            arrival = self.arrivals.get(sender(action, stage, self.stages))
            if arrival is None:
                return False
            self.clock[stage] = max(self.clock[stage], arrival)
        elif isinstance(action, (SendActivation, SendGradient)):
            link = stage, (stage + (1 if isinstance(action, SendActivation) else -1)) % self.stages
            self.free[link] = max(self.clock[stage], self.free.get(link, 0.0)) + self.message_s(*link)
            self.arrivals[type(action), stage, action.micro, action.chunk] = self.free[link]
        elif isinstance(action, COMPUTE):
            seconds = _seconds(action, self.forward_s[stage], self.backward_s[stage], self.weight_share)
            self.intervals.append(Interval(stage, action, self.clock[stage], self.clock[stage] + seconds))
            self.clock[stage] += seconds
            self.busy[stage] += seconds
        return True


def _seconds(action: Action, forward_s: float, backward_s: float, weight_share: float) -> float:
    if isinstance(action, Forward):
        return forward_s
    if isinstance(action, Backward):
        return backward_s
    return backward_s * ((1 - weight_share) if isinstance(action, BackwardInput) else weight_share)
