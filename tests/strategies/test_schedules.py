"""T0: schedules end, keep their order, hold as many activations as they say, and have the textbook bubble."""

from __future__ import annotations

import pytest

from strategies.schedules import (
    ORDERS,
    Action,
    Backward,
    Forward,
    ReceiveActivation,
    SendActivation,
    actions,
    compute_order,
    live_micro_batches,
    text,
)
from strategies.schedules.simulate import Deadlock, simulate

SIZES = [(stages, micros) for stages in (1, 2, 3, 4, 7) for micros in (1, 2, 3, 4, 9)]


def schedule(name: str, stages: int, micros: int) -> list[list[Action]]:
    return [list(actions(name, stage, stages, micros)) for stage in range(stages)]


@pytest.mark.parametrize("name", ORDERS)
@pytest.mark.parametrize(("stages", "micros"), SIZES)
def test_every_micro_batch_once_forward_before_backward_without_deadlock(name: str, stages: int, micros: int) -> None:
    todo = schedule(name, stages, micros)
    for stage in todo:
        forwards = [a.micro for a in stage if isinstance(a, Forward)]
        backwards = [a.micro for a in stage if isinstance(a, Backward)]
        assert forwards == backwards == list(range(micros))
        assert all(stage.index(Forward(m)) < stage.index(Backward(m)) for m in range(micros))
    timeline = simulate(todo, [1.0] * stages, [2.0] * stages)
    assert len(timeline.intervals) == 2 * stages * micros
    assert timeline.bubble == pytest.approx((stages - 1) / (stages - 1 + micros))


@pytest.mark.parametrize(("stages", "micros"), SIZES)
def test_live_activations(stages: int, micros: int) -> None:
    for stage in range(stages):
        assert live_micro_batches("gpipe", stage, stages, micros) == micros
        assert live_micro_batches("1f1b", stage, stages, micros) == min(micros, stages - stage)


def test_the_text_of_1f1b() -> None:
    assert text(compute_order("1f1b", 0, 2, 3)) == "F0 F1 B0 F2 B1 B2"
    assert text(actions("1f1b", 1, 2, 2), communication=True) == "ra0 F0 B0 sg0 ra1 F1 B1 sg1"


def test_a_deadlock_is_found_and_named() -> None:
    todo: list[list[Action]] = [[ReceiveActivation(0), Forward(0)], [ReceiveActivation(0), SendActivation(0)]]
    with pytest.raises(Deadlock, match="stage 0 at ra0; stage 1 at ra0"):
        simulate(todo, [1.0, 1.0], [1.0, 1.0])


def test_messages_and_slow_stages_cost_time() -> None:
    """One micro-batch through two stages: forward 1 + 3, message each way 0.5, backward 6 + 2."""
    timeline = simulate(schedule("gpipe", 2, 1), [1.0, 3.0], [2.0, 6.0], message_s=0.5)
    assert timeline.duration_s == pytest.approx(1 + 0.5 + 3 + 6 + 0.5 + 2)
    assert timeline.busy_s == pytest.approx((3.0, 9.0))
