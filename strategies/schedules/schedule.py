"""Pipeline schedules by name, and what follows from the order in which a stage computes: messages, and what it keeps.

m micro-batches, p stages, s this stage from 0, v virtual stages on each rank; F, B, I, W the times of one micro-batch's
forward, backward, and backward's input and weight parts. Each schedule is a file: ``gpipe.py``, ``one_f_one_b.py``,
``interleaved.py``, ``zero_bubble.py``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import ClassVar

from strategies.common.plan_error import PlanError
from strategies.common.registry import Registry
from strategies.schedules.actions import (
    Action,
    Backward,
    BackwardInput,
    BackwardWeight,
    Forward,
    ReceiveActivation,
    ReceiveGradient,
    SendActivation,
    SendGradient,
)


class Schedule(ABC):
    """In which order the stages of a pipeline compute."""

    name: ClassVar[str]
    order: ClassVar[int] = 100
    """The place among the schedules in lists."""
    postpones_weights: ClassVar[bool] = False
    """Whether ``BackwardInput`` and ``BackwardWeight`` take the place of ``Backward``."""

    @staticmethod
    @abstractmethod
    def compute_order(stage: int, stages: int, micros: int, virtual: int = 1) -> Iterator[Action]:
        """The computations of one stage.

        Args:
            stage: The stage, from 0.
            stages: How many there are.
            micros: Micro-batches.
            virtual: Virtual stages on each rank.

        Returns:
            In order: each micro-batch of each virtual stage forward and backward once.
        """

    @classmethod  # noqa: B027 - most take any numbers
    def check(cls, stages: int, micros: int, virtual: int) -> None:
        """Refuse numbers that the schedule cannot work with.

        Args:
            stages: Of the pipeline.
            micros: Micro-batches.
            virtual: Virtual stages on each rank.

        Raises:
            PlanError: It does not fit the number of micro-batches or virtual stages.
        """


_SCHEDULES: Registry[type[Schedule]] = Registry(
    "schedule", "strategies.schedules", "edgejoule.schedules", order=lambda schedule: (schedule.order, schedule.name)
)
register = _SCHEDULES.register
registered = _SCHEDULES.all
get = _SCHEDULES.get


def check(name: str, stages: int, micros: int, virtual: int) -> None:
    """Refuse a schedule that is unknown or does not fit the numbers.

    Args:
        name: The schedule.
        stages: Of the pipeline.
        micros: Micro-batches.
        virtual: Virtual stages on each rank.

    Raises:
        PlanError: The message says what would work.
    """
    names = list(registered())
    if name not in names:
        raise PlanError(f"<option schedule>={name} is unknown; use {', '.join(names[:-1])} or {names[-1]}")
    get(name).check(stages, micros, virtual)


def compute_order(name: str, stage: int, stages: int, micros: int, virtual: int = 1) -> list[Action]:
    """The computations of one stage, by the schedule's name.

    Args:
        name: The schedule.
        stage: The stage, from 0.
        stages: How many there are.
        micros: Micro-batches.
        virtual: Virtual stages on each rank.

    Returns:
        In order.
    """
    return list(get(name).compute_order(stage, stages, micros, virtual))


def actions(name: str, stage: int, stages: int, micros: int, virtual: int = 1) -> Iterator[Action]:
    """The actions of one stage: its computations, with the communication that their order needs.

    Args:
        name: The schedule.
        stage: The stage, from 0.
        stages: How many there are.
        micros: Micro-batches.
        virtual: Virtual stages on each rank.

    Returns:
        In order.
    """
    return _with_messages(get(name).compute_order(stage, stages, micros, virtual), stage, stages, virtual)


def forward_actions(stage: int, stages: int, micros: int, virtual: int = 1) -> Iterator[Action]:
    """Every micro-batch forward once, as an evaluation needs it.

    Args:
        stage: The stage, from 0.
        stages: How many there are.
        micros: Micro-batches.
        virtual: Virtual stages on each rank.

    Returns:
        Forwards in order, with their messages.
    """
    order = (Forward(micro, chunk) for chunk in range(virtual) for micro in range(micros))
    return _with_messages(order, stage, stages, virtual)


def _with_messages(order: Iterable[Action], stage: int, stages: int, virtual: int) -> Iterator[Action]:
    for action in order:
        place = (action.micro, action.chunk)
        first = stage == 0 and action.chunk == 0
        last = stage == stages - 1 and action.chunk == virtual - 1
        if isinstance(action, Forward):
            if not first:
                yield ReceiveActivation(*place)
            yield action
            if not last:
                yield SendActivation(*place)
        elif isinstance(action, (Backward, BackwardInput)):
            if not last:
                yield ReceiveGradient(*place)
            yield action
            if not first:
                yield SendGradient(*place)
        else:
            yield action


def live_micro_batches(name: str, stage: int, stages: int, micros: int, virtual: int = 1) -> int:
    """The largest number of micro-batches whose activations a stage keeps at once.

    Args:
        name: The schedule.
        stage: The stage, from 0.
        stages: How many there are.
        micros: Micro-batches.
        virtual: Virtual stages on each rank.

    Returns:
        How many; a micro-batch counts on each virtual stage.
    """
    live = most = 0
    for action in get(name).compute_order(stage, stages, micros, virtual):
        if isinstance(action, Forward):
            live += 1
        elif isinstance(action, (Backward, BackwardWeight)):
            live -= 1
        most = max(most, live)
    return most
