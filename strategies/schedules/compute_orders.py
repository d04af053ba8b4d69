"""In which order a stage computes. Communication follows from the order and is added in one place.

m micro-batches, p stages, s this stage from 0, v virtual stages on each rank; F, B, I, W the times of one micro-batch's
forward, backward, and backward's input and weight parts:

  gpipe        all forwards, then all backwards (Huang et al., arXiv 1811.06965); keeps m activations;
               bubble (p-1)(F+B)
  1f1b         p-s-1 forwards ahead, then one backward for each forward (PipeDream-Flush, Narayanan et al.,
               arXiv 2006.09503); keeps at most min(m, p-s); the same bubble
  interleaved  1f1b over v thinner stages on each rank (Narayanan et al., arXiv 2104.04473, section 2.2); bubble
               (p-1)(F+B)/v for v times the messages; m must be a multiple of p
  zero_bubble  1f1b whose weight gradients wait until there is nothing else to do (ZB-H1, Qi et al., arXiv 2401.10241);
               bubble (p-1)(F+I-W); keeps what the weights' share needs a little longer
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from strategies.common.plan_error import PlanError
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


def gpipe(stage: int, stages: int, micros: int, virtual: int = 1) -> Iterator[Action]:
    yield from map(Forward, range(micros))
    yield from map(Backward, range(micros))


def one_f_one_b(stage: int, stages: int, micros: int, virtual: int = 1) -> Iterator[Action]:
    ahead = min(stages - stage - 1, micros)
    yield from map(Forward, range(ahead))
    for micro in range(micros):
        if ahead + micro < micros:
            yield Forward(ahead + micro)
        yield Backward(micro)


def interleaved(stage: int, stages: int, micros: int, virtual: int = 1) -> Iterator[Action]:
    """Micro-batches go round in groups of p: p of them through virtual stage 0, the same p through 1, and so on."""
    total = micros * virtual

    def at(number: int, backward: bool) -> tuple[int, int]:
        turn, chunk = number // (stages * virtual), number // stages % virtual
        return turn * stages + number % stages, virtual - 1 - chunk if backward else chunk

    ahead = min(2 * (stages - stage - 1) + (virtual - 1) * stages, total)
    yield from (Forward(*at(number, False)) for number in range(ahead))
    for number in range(total):
        if ahead + number < total:
            yield Forward(*at(ahead + number, False))
        yield Backward(*at(number, True))


def zero_bubble(stage: int, stages: int, micros: int, virtual: int = 1) -> Iterator[Action]:
    """Weight gradients lag ``stage`` micro-batches behind: later stages have them left to fill the end with."""
    ahead, weights = min(stages - stage - 1, micros), 0
    yield from map(Forward, range(ahead))
    for micro in range(micros):
        if ahead + micro < micros:
            yield Forward(ahead + micro)
        yield BackwardInput(micro)
        # Once the forwards are over, a weight gradient fits into every gap before the next input gradient arrives.
        if micro >= stage:
            yield BackwardWeight(weights)
            weights += 1
    yield from map(BackwardWeight, range(weights, micros))


ORDERS: dict[str, Callable[[int, int, int, int], Iterator[Action]]] = {
    "gpipe": gpipe,
    "1f1b": one_f_one_b,
    "interleaved": interleaved,
    "zero_bubble": zero_bubble,
}


def check(name: str, stages: int, micros: int, virtual: int) -> None:
    """Raises PlanError where the schedule is unknown or does not fit the number of micro-batches."""
    if name not in ORDERS:
        raise PlanError(f"strategy.schedule={name} is unknown; use {', '.join(list(ORDERS)[:-1])} or {list(ORDERS)[-1]}")
    if name == "interleaved" and virtual < 2:
        raise PlanError(f"strategy.virtual_stages={virtual} must be at least 2 with strategy.schedule=interleaved")
    if name == "interleaved" and micros % stages:
        raise PlanError(
            f"strategy.schedule=interleaved needs micro-batches in multiples of the {stages} stages, found "
            f"{micros}; use train.micro_batches={-(-micros // stages) * stages}"
        )


def compute_order(name: str, stage: int, stages: int, micros: int, virtual: int = 1) -> list[Action]:
    return list(ORDERS[name](stage, stages, micros, virtual))


def actions(name: str, stage: int, stages: int, micros: int, virtual: int = 1) -> Iterator[Action]:
    """The stage's actions with the communication that its order needs."""
    return _with_messages(ORDERS[name](stage, stages, micros, virtual), stage, stages, virtual)


def forward_actions(stage: int, stages: int, micros: int, virtual: int = 1) -> Iterator[Action]:
    """Every micro-batch forward once, as an evaluation needs it."""
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
    """The largest number of micro-batches whose activations the stage keeps at once; each virtual stage counts."""
    live = most = 0
    for action in ORDERS[name](stage, stages, micros, virtual):
        if isinstance(action, Forward):
            live += 1
        elif isinstance(action, (Backward, BackwardWeight)):
            live -= 1
        most = max(most, live)
    return most
