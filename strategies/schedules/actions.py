"""The vocabulary of schedules. Each action is about one micro-batch on one stage."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Action:
    micro: int
    letter: ClassVar[str] = "?"

    def __str__(self) -> str:
        return f"{self.letter}{self.micro}"


class Forward(Action):
    """Compute the stage's output, keeping what its backward needs."""

    letter = "F"


class Backward(Action):
    """Compute the gradients of the stage's weights and of its input; frees what forward kept."""

    letter = "B"


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


def text(actions: Iterable[Action], communication: bool = False) -> str:
    """``F0 F1 B0 F2 B1 B2``: one line for one stage."""
    return " ".join(str(a) for a in actions if communication or isinstance(a, (Forward, Backward)))
