"""In which order a stage computes. Communication follows from the order and is added in one place.

m micro-batches, p stages, s this stage from 0:
  gpipe  all forwards, then all backwards (Huang et al., arXiv 1811.06965); keeps m activations
  1f1b   p-s-1 forwards ahead, then one backward for each forward (PipeDream-Flush, Narayanan et al.,
         arXiv 2006.09503); keeps at most min(m, p-s)
Both have the bubble (p-1)/m of the ideal time for even stages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from strategies.schedules.actions import (
    Action,
    Backward,
    Forward,
    ReceiveActivation,
    ReceiveGradient,
    SendActivation,
    SendGradient,
)


def gpipe(stage: int, stages: int, micros: int) -> Iterator[Action]:
    yield from map(Forward, range(micros))
    yield from map(Backward, range(micros))


def one_f_one_b(stage: int, stages: int, micros: int) -> Iterator[Action]:
    ahead = min(stages - stage - 1, micros)
    yield from map(Forward, range(ahead))
    for micro in range(micros):
        if ahead + micro < micros:
            yield Forward(ahead + micro)
        yield Backward(micro)


ORDERS: dict[str, Callable[[int, int, int], Iterator[Action]]] = {"gpipe": gpipe, "1f1b": one_f_one_b}


def compute_order(name: str, stage: int, stages: int, micros: int) -> list[Action]:
    return list(ORDERS[name](stage, stages, micros))


def actions(name: str, stage: int, stages: int, micros: int) -> Iterator[Action]:
    """The stage's actions with the communication that its order needs."""
    for action in ORDERS[name](stage, stages, micros):
        if isinstance(action, Forward):
            if stage > 0:
                yield ReceiveActivation(action.micro)
            yield action
            if stage < stages - 1:
                yield SendActivation(action.micro)
        else:
            if stage < stages - 1:
                yield ReceiveGradient(action.micro)
            yield action
            if stage > 0:
                yield SendGradient(action.micro)


def live_micro_batches(name: str, stage: int, stages: int, micros: int) -> int:
    """The largest number of micro-batches whose activations the stage keeps at once."""
    live = most = 0
    for action in ORDERS[name](stage, stages, micros):
        live += 1 if isinstance(action, Forward) else -1
        most = max(most, live)
    return most
