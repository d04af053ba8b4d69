"""The vocabulary of schedules. Each action is about one micro-batch on one (virtual) stage."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Action:
    """``chunk`` numbers the virtual stages of a rank; it is 0 where there is one."""

    micro: int
    chunk: int = 0
    letter: ClassVar[str] = "?"

    def __str__(self) -> str:
        return f"{self.letter}{self.micro}" + (f".{self.chunk}" if self.chunk else "")


class Forward(Action):
    """Compute the stage's output, keeping what its backward needs."""

    letter = "F"


class Backward(Action):
    """Compute the gradients of the stage's weights and of its input; frees what forward kept."""

    letter = "B"


class BackwardInput(Action):
    """Compute the gradient of the stage's input alone, so that the stage before can go on."""

    letter = "I"


class BackwardWeight(Action):
    """Compute the gradients of the weights that ``BackwardInput`` left out; frees what forward kept."""

    letter = "W"


class ReceiveActivation(Action):
    """Wait for the previous stage's output."""

    letter = "ra"


class SendActivation(Action):
    """Hand this stage's output to the next stage; does not wait."""

    letter = "sa"


class ReceiveGradient(Action):
    """Wait for the gradient of this stage's output."""

    letter = "rg"


class SendGradient(Action):
    """Hand the gradient of this stage's input to the previous stage; does not wait."""

    letter = "sg"


COMPUTE = (Forward, Backward, BackwardInput, BackwardWeight)


def text(actions: Iterable[Action], communication: bool = False) -> str:
    """The actions of one stage as a line.

    Args:
        actions: In their order.
        communication: Name sends and receives as well.

    Returns:
        ``F0 F1 B0 F2 B1 B2``; ``F0.1`` is micro-batch 0 of the second virtual stage.
    """
    return " ".join(str(a) for a in actions if communication or isinstance(a, COMPUTE))
