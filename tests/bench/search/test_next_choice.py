"""What is chosen next, which points get repeats, and how much of a recorded front that finds."""

from __future__ import annotations

from statistics import median

import pytest

from bench.search.next_choice import by_layers, next_choice, start_of
from bench.search.optuna_sampler import Told
from bench.search.pareto_front import front, intervals, near_front
from bench.search.search_space import Dimension, Space
from benchmarks.search import GRID, OBJECTIVES, TARGET, ratio, read_grid, searched

SMALL = Space((Dimension(("a",), (("1",), ("2",), ("3",))), Dimension(("b",), (("x",), ("y",)))), ())


@pytest.mark.slow
def test_a_third_of_a_recorded_grid_finds_its_front() -> None:
    """The promise of the documentation, on real records; random choices do not keep it, so it is not the grid that is easy."""
    space, grid = read_grid(GRID)
    assert len(grid) == 48
    found = [ratio(space, grid, "gp", len(grid) // 3, seed) for seed in range(5)]
    by_chance = [ratio(space, grid, "random", len(grid) // 3, seed) for seed in range(20)]
    assert min(found) >= TARGET
    assert median(by_chance) < 0.9


@pytest.mark.parametrize("sampler", ["gp", "tpe", "random"])
def test_the_same_records_give_the_same_choices_and_none_comes_twice(sampler: str) -> None:
    """A search that was cut off and goes on is the same as one that was not."""
    space, grid = read_grid(GRID)
    whole = searched(space, grid, sampler, 10, seed=3)
    assert len({one.candidate for one in whole}) == 10
    start = start_of(space, 10, 3, {})
    for cut in (2, 7):
        choice = next_choice(space, start, whole[:cut], sampler, len(OBJECTIVES), 3)
        assert choice is not None
        assert choice.candidate == whole[cut].candidate
    assert [one.candidate for one in searched(space, grid, sampler, 10, seed=4)] != [one.candidate for one in whole]


def test_every_combination_is_tried_once_and_then_none_is_left() -> None:
    told: list[Told] = []
    while (choice := next_choice(SMALL, [], told, "tpe", 2, 0)) is not None:
        assert choice.candidate not in {one.candidate for one in told}
        told.append(Told(choice.candidate, (1.0, 2.0) if choice.candidate[1] else None))
    assert {one.candidate for one in told} == set(SMALL.every())


def test_what_failed_is_avoided() -> None:
    """With one level of a key failing everywhere, later choices lie at the other one."""
    space = Space((Dimension(("a",), tuple((str(n),) for n in range(8))), Dimension(("b",), (("good",), ("bad",)))), ())
    told = [Told((n, b), None if b else (1.0 + n, 9.0 - n)) for n in (0, 3, 6) for b in (0, 1)]
    later = []
    for _ in range(4):
        choice = next_choice(space, [], told, "gp", 2, 1)
        assert choice is not None
        later.append(choice.candidate[1])
        told.append(
            Told(choice.candidate, None if choice.candidate[1] else (1.0 + choice.candidate[0], 9.0 - choice.candidate[0]))
        )
    assert later.count(1) <= 1


def test_a_start_by_predictions_is_their_front_first() -> None:
    predicted = {(0, 0): (1.0, 9.0), (1, 0): (2.0, 2.0), (2, 0): (9.0, 1.0), (0, 1): (3.0, 3.0), (1, 1): (9.0, 9.0)}
    assert by_layers(predicted) == [[(0, 0), (1, 0), (2, 0)], [(0, 1)], [(1, 1)]]
    chosen = start_of(SMALL, 8, 0, predicted)
    assert [one.candidate for one in chosen] == [(0, 0), (1, 0), (2, 0), (0, 1)]
    assert chosen[0].why == "start: on the predicted front"
    assert chosen[3].why == "start: on the predicted front without the points before it"


# repeats


def test_what_may_be_on_the_front_is_near_and_what_is_clearly_dominated_is_not() -> None:
    points = {"fast": [(1.0, 9.0)], "frugal": [(9.0, 1.0)], "close": [(1.03, 9.2)], "far": [(2.0, 18.0)]}
    assert front({name: one[0] for name, one in points.items()}) == ["fast", "frugal"]
    near = near_front(points)
    assert list(near) == ["fast", "frugal", "close"]
    assert near["fast"] == "no point dominates it"
    assert near["close"] == "fast dominates it, but within the intervals of both"


def test_repeats_that_agree_narrow_the_intervals_of_all_points() -> None:
    """The spread is pooled: five steady pairs say of a single run how far it may be off."""
    steady = {str(n): [(1.0 + n, 1.0), (1.001 + n, 1.0)] for n in range(5)}
    alone = intervals({"x": [(1.0, 1.0)]})["x"][0]
    pooled = intervals({**steady, "x": [(1.0, 1.0)]})["x"][0]
    assert pooled.high - pooled.low < 0.8 * (alone.high - alone.low)
    six = intervals({"x": [(value, 1.0) for value in (1.0, 1.1, 1.2, 1.3, 1.4, 1.5)]})["x"][0]
    assert (six.low, six.high) == (1.0, 1.5)  # by rank from six on
