"""T0: schedules end, keep their order, hold as many activations as they say, and have the textbook bubble."""

from __future__ import annotations

import pytest

from strategies.schedules import (
    Action,
    Backward,
    BackwardInput,
    BackwardWeight,
    Forward,
    ReceiveActivation,
    SendActivation,
    actions,
    compute_order,
    forward_actions,
    live_micro_batches,
    registered,
    text,
)
from strategies.schedules.simulation import Deadlock, simulate

SIZES = [(stages, micros) for stages in (1, 2, 3, 4, 7) for micros in (1, 2, 3, 4, 9)]


def schedule(name: str, stages: int, micros: int) -> list[list[Action]]:
    return [list(actions(name, stage, stages, micros)) for stage in range(stages)]


@pytest.mark.parametrize("name", ["gpipe", "1f1b"])
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
def test_zero_bubble_splits_the_backward_and_shrinks_the_bubble(stages: int, micros: int) -> None:
    """The bubble is (p-1)(F + I - W) once there are as many micro-batches as stages (Qi et al., arXiv 2401.10241)."""
    todo = schedule("zero_bubble", stages, micros)
    for stage in todo:
        for kind in (Forward, BackwardInput, BackwardWeight):
            assert [a.micro for a in stage if type(a) is kind] == list(range(micros))
        for m in range(micros):
            assert stage.index(Forward(m)) < stage.index(BackwardInput(m)) < stage.index(BackwardWeight(m))
    forward_s, backward_s, weight = 1.0, 2.2, 0.4
    timeline = simulate(todo, [forward_s] * stages, [backward_s] * stages, weight_share=weight)
    if micros >= stages:
        bubble_s = (stages - 1) * (forward_s + backward_s * (1 - weight) - backward_s * weight)
        assert timeline.duration_s == pytest.approx(micros * (forward_s + backward_s) + bubble_s)
    assert timeline.duration_s <= simulate(schedule("1f1b", stages, micros), [1.0] * stages, [2.2] * stages).duration_s + 1e-9


@pytest.mark.parametrize("virtual", [2, 3])
@pytest.mark.parametrize("stages", [2, 3, 4])
@pytest.mark.parametrize("turns", [1, 2, 3])
def test_interleaving_divides_the_bubble(stages: int, virtual: int, turns: int) -> None:
    """(p-1)(F+B)/v, with every micro-batch once through every virtual stage (arXiv 2104.04473, section 2.2)."""
    micros = turns * stages
    todo = [list(actions("interleaved", stage, stages, micros, virtual)) for stage in range(stages)]
    for stage in todo:
        places = {(m, c) for m in range(micros) for c in range(virtual)}
        for kind in (Forward, Backward):
            found = [(a.micro, a.chunk) for a in stage if type(a) is kind]
            assert len(found) == len(places)
            assert set(found) == places
    timeline = simulate(todo, [1.0 / virtual] * stages, [2.0 / virtual] * stages)
    assert timeline.duration_s == pytest.approx(3 * micros + 3 * (stages - 1) / virtual)


@pytest.mark.parametrize("name", registered())
def test_evaluation_runs_every_forward_without_deadlock(name: str) -> None:
    virtual = 2 if name == "interleaved" else 1
    todo = [list(forward_actions(stage, 3, 5, virtual)) for stage in range(3)]
    assert len(simulate(todo, [1.0] * 3, [2.0] * 3).intervals) == 3 * 5 * virtual


@pytest.mark.parametrize(("stages", "micros"), SIZES)
def test_live_activations(stages: int, micros: int) -> None:
    for stage in range(stages):
        assert live_micro_batches("gpipe", stage, stages, micros) == micros
        assert live_micro_batches("1f1b", stage, stages, micros) == min(micros, stages - stage)


def test_the_text_of_1f1b() -> None:
    assert text(compute_order("1f1b", 0, 2, 3)) == "F0 F1 B0 F2 B1 B2"
    assert text(actions("1f1b", 1, 2, 2), communication=True) == "ra0 F0 B0 sg0 ra1 F1 B1 sg1"
    assert text(compute_order("interleaved", 1, 2, 2, 2)) == "F0 F1 F0.1 B0.1 F1.1 B1.1 B0 B1"
    assert text(compute_order("zero_bubble", 1, 2, 3)) == "F0 I0 F1 I1 W0 F2 I2 W1 W2"


def test_a_deadlock_is_found_and_named() -> None:
    todo: list[list[Action]] = [[ReceiveActivation(0), Forward(0)], [ReceiveActivation(0), SendActivation(0)]]
    with pytest.raises(Deadlock, match="stage 0 at ra0; stage 1 at ra0"):
        simulate(todo, [1.0, 1.0], [1.0, 1.0])


def test_messages_and_slow_stages_cost_time() -> None:
    """One micro-batch through two stages: forward 1 + 3, message each way 0.5, backward 6 + 2."""
    timeline = simulate(schedule("gpipe", 2, 1), [1.0, 3.0], [2.0, 6.0], message_s=0.5)
    assert timeline.duration_s == pytest.approx(1 + 0.5 + 3 + 6 + 0.5 + 2)
    assert timeline.busy_s == pytest.approx((3.0, 9.0))


def test_messages_of_one_link_follow_each_other() -> None:
    """Forwards of 1 s, messages of 5 s: the second leaves when the first has arrived, at 6 s. So do those of the way back."""
    timeline = simulate(schedule("gpipe", 2, 2), [1.0, 1.0], [1.0, 1.0], message_s=5.0)
    begins = {(i.stage, str(i.action)): i.start_s for i in timeline.intervals}
    assert [begins[1, name] for name in ("F0", "F1", "B0", "B1")] == [6.0, 11.0, 12.0, 13.0]
    assert [begins[0, name] for name in ("B0", "B1")] == [18.0, 23.0]
    assert timeline.duration_s == 24.0


def test_every_link_has_its_own_time() -> None:
    links = {(0, 1): 0.5, (1, 0): 4.0}
    timeline = simulate(schedule("gpipe", 2, 1), [1.0, 3.0], [2.0, 6.0], message_s=lambda stage, to: links[stage, to])
    assert timeline.duration_s == pytest.approx(1 + 0.5 + 3 + 6 + 4.0 + 2)
