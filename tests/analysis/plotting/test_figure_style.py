"""What all figures share: rows on pages, names, dashes and markers, ticks."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from analysis.plotting.figure_style import TALLEST_IN, line_styles
from analysis.plotting.log_axes import log_ticks
from analysis.plotting.row_figures import AROUND_IN, rows_by_page
from analysis.study.configuration_labels import names_in, natural


@given(st.lists(st.tuples(st.floats(0.1, 3.0), st.sampled_from("abcd")), min_size=1, max_size=80))
def test_every_row_is_on_one_page_and_fits(rows: list[tuple[float, str]]) -> None:
    heights, groups = [height for height, _ in rows], [group for _, group in rows]
    found = rows_by_page(heights, groups)
    assert [index for page in found for index in page] == list(range(len(rows)))
    for page in found:
        assert sum(heights[index] for index in page) <= TALLEST_IN - AROUND_IN + 1e-9


def test_strategies_stay_together_where_they_fit() -> None:
    assert rows_by_page([1.0] * 9, ["a"] * 5 + ["b"] * 4, room_in=8) == [[0, 1, 2, 3, 4], [5, 6, 7, 8]]


def test_names_leave_out_what_all_share() -> None:
    labels = ["data n=2 model=minilm batch=8", "data n=2 model=minilm batch=16"]
    assert list(names_in(labels).values()) == ["data n=2 batch=8", "data n=2 batch=16"]
    assert names_in(["data n=2 model=minilm"]) == {"data n=2 model=minilm": "data n=2 model=minilm"}
    assert sorted(labels, key=natural) == labels


@given(st.lists(st.sampled_from(["data", "tensor", "pipeline", "single"]), max_size=30))
def test_lines_are_told_apart_without_colour(strategies: list[str]) -> None:
    looks = [(style["marker"], str(style["linestyle"])) for style in line_styles(strategies)]
    assert len(set(looks)) == len(looks)


@given(st.floats(-6, 9), st.floats(0.05, 12))
def test_ticks_are_few_and_inside(exponent: float, decades: float) -> None:
    low, high = 10**exponent, 10 ** (exponent + decades)
    found = log_ticks(low, high)
    assert 1 <= len(found) <= 6
    assert all(low <= value <= high or math.isclose(value, low) or math.isclose(value, high) for value in found)
