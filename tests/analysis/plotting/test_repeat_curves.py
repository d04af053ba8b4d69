"""Curves of repeats: all of them are there, as curves or inside of the range that is drawn, and the caption says which."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.figures import learning_curves
from analysis.plotting.repeat_curves import MOST_CURVES, curves_of, envelope, repeats_note
from tests.analysis.made_studies import rich_record
from tests.analysis.studies import drawn_by


def test_the_range_goes_from_the_first_beginning_to_the_last_end() -> None:
    """By hand: a falls from 4 to 2 between 0 and 2, b is 1 between 1 and 3."""
    at, low, high = envelope([np.array([[0.0, 2.0], [4.0, 2.0]]), np.array([[1.0, 3.0], [1.0, 1.0]])])
    assert at.tolist() == [0, 1, 2, 3]
    assert low.tolist() == [4, 1, 1, 1]
    assert high.tolist() == [4, 3, 2, 1]


@given(st.integers(2, 6), st.integers(2, 60), st.integers(2, 40), st.integers(0, 99))
def test_nothing_is_outside_of_the_range(repeats: int, points: int, corners: int, seed: int) -> None:
    """However few corners its border has."""
    random = np.random.default_rng(seed)
    curves = [np.array([np.cumsum(random.uniform(0.1, 1, points)), random.normal(size=points)]) for _ in range(repeats)]
    at, low, high = envelope(curves, corners)
    assert len(at) <= max(corners, repeats * points)
    for x, y in curves:
        inside = (np.interp(x, at, low) <= y + 1e-12) & (y <= np.interp(x, at, high) + 1e-12)
        assert inside.all()


def test_curves_are_by_configuration_and_repeat() -> None:
    data = pd.DataFrame(
        {"label": list("bbaab"), "repeat": [1, 1, 0, 0, 0], "x": [1.0, 2.0, 1.0, None, 5.0], "y": [5.0, None, 7.0, 8.0, 9.0]}
    )
    found = curves_of(data, "x", "y")
    assert list(found) == ["b", "a"]
    np.testing.assert_equal([curve.tolist() for curve in found["b"]], [[[1, 2], [5, float("nan")]], [[5], [9]]])
    np.testing.assert_equal([curve.tolist() for curve in found["a"]], [[[1], [7]]])


@pytest.mark.parametrize("repeats", [MOST_CURVES, MOST_CURVES + 1])
def test_many_repeats_are_a_range_and_the_caption_says_so(repeats: int) -> None:
    (figure,) = drawn_by(learning_curves.draw_loss, [rich_record("data", repeat) for repeat in range(repeats)])
    joules = figure.figure.axes[0]
    many = repeats > MOST_CURVES
    assert len(joules.lines) == 1, "the repeat in the middle"
    assert [len(pale.get_paths()) for pale in joules.collections] == [1 if many else repeats - 1]
    assert (f"the range of all repeats (n = {repeats})" in figure.caption) == many
    assert ("pale: the others, all of them." in figure.caption) != many
    assert figure.data["repeat"].nunique() == repeats, "the table has all of them"


def test_what_the_caption_says_of_some_with_few_and_some_with_many() -> None:
    note = repeats_note([3, MOST_CURVES + 2], False)
    assert "the others, all of them, but of more than 10 the range of all repeats (n up to 12)" in note
    assert repeats_note([40, 40], True).endswith("pale: the others, all of them.")
    assert repeats_note([1, 1], False) == " One repeat, whose spread is unknown."
