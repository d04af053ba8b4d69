"""Summaries: what is refused and why, golden numbers by hand, and intervals that hold as often as they say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.statistics.repeat_summary import (
    Mean,
    Olympic,
    mean_interval,
    normality,
    olympic_mean,
    outliers,
    summarise,
    why_no_interval,
)

SKEWED = {
    "exponential": (lambda random, size: random.exponential(size=size), math.log(2)),
    "lognormal": (lambda random, size: random.lognormal(0, 1, size), 1.0),
}
"""What draws, and the true median."""
TIMES = 4000


@pytest.mark.parametrize(
    ("n", "why"),
    [
        (1, "one repeat: its spread is unknown"),
        (2, "2 repeats: even their whole range holds the median with only 50.0 %, 95 % takes 6"),
        (5, "5 repeats: even their whole range holds the median with only 93.8 %, 95 % takes 6"),
        (6, None),
    ],
)
def test_an_interval_that_cannot_exist_is_refused_with_its_reason(n: int, why: str | None) -> None:
    """All n values lie above the median or all below with 2 / 2^n: 6.25 % at five, 3.125 % at six."""
    found = summarise([float(value) for value in range(n)])
    assert (found.why, why_no_interval(n)) == (why, why)
    assert (found.low is None) == (why is not None)


@pytest.mark.parametrize("name", SKEWED)
@pytest.mark.parametrize(("n", "held"), [(6, 0.96875), (7, 0.984375), (8, 0.9921875), (9, 0.9609375), (12, 0.961425781)])
def test_the_median_interval_holds_exactly_as_often_as_the_binomial_says(name: str, n: int, held: float) -> None:
    """``held`` is 1 - 2 P(B < rank), B binomial(n, 1/2), by hand: 62/64 at six, 126/128, 254/256, 492/512 at nine, and
    1 - 158/4096 at twelve. Skewness must not matter. Within 3.5 standard errors of 4,000 draws."""
    draw, true = SKEWED[name]
    covered = 0
    for values in draw(np.random.default_rng(n), (TIMES, n)):
        found = summarise(values.tolist())
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= true <= found.high
    assert covered / TIMES == pytest.approx(held, abs=3.5 * math.sqrt(held * (1 - held) / TIMES))


def test_a_mean_of_normal_repeats_has_students_interval() -> None:
    """Eight values around 10 with sum of squares 6: s = sqrt(6/7), t(7) = 2.3646, half-width 2.3646 s / sqrt(8) = 0.77400."""
    values = [10 + d for d in (-1.5, -0.75, -0.375, -0.125, 0.125, 0.375, 0.75, 1.5)]
    squares = 2 * (1.5**2 + 0.75**2 + 0.375**2 + 0.125**2)
    found = mean_interval(values)
    assert isinstance(found, Mean)
    assert (found.mean, found.n) == (10, 8)
    assert found.high - 10 == pytest.approx(2.364624 * math.sqrt(squares / 7 / 8), rel=1e-6)
    assert 10 - found.low == pytest.approx(found.high - 10)
    assert found.normal_p == pytest.approx(stats.shapiro(values).pvalue)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ([1.0, 2.0, 3.0], "3 repeats are too few to see whether they are normal, it takes 8"),
        ([5.0] * 9, "all 9 repeats are equal"),
        ([1.0, 1.1, 1.0, 1.2, 1.1, 1.0, 1.1, 9.0], "not normal (Shapiro-Wilk, p = "),
    ],
)
def test_a_mean_is_refused_in_words(values: list[float], why: str) -> None:
    found = mean_interval(values)
    assert isinstance(found, str)
    assert why in found
    assert found.endswith("use the median")


def test_seven_values_are_too_few_to_see_normality() -> None:
    """The constant's reason: at six values the test lets four of five exponential samples pass, at eight it is two of three."""
    random = np.random.default_rng(3)
    power = {n: np.mean([stats.shapiro(values).pvalue < 0.05 for values in random.exponential(size=(1500, n))]) for n in (6, 8)}
    assert power == pytest.approx({6: 0.21, 8: 0.32}, abs=0.04)
    assert normality([float(value) for value in range(7)]) is None
    assert normality([float(value) for value in range(8)]) is not None


@given(st.lists(st.floats(1, 1.5), min_size=8, max_size=30, unique=True), st.floats(1e-6, 1e6))
def test_normality_does_not_depend_on_the_unit(values: list[float], unit: float) -> None:
    first, second = normality(values), normality([unit * value for value in values])
    assert first is not None
    assert second == pytest.approx(first, rel=1e-3, abs=1e-6)


def test_the_olympic_mean_drops_one_at_each_end_and_says_so() -> None:
    """1, 2, 4, 9: of cost (2 + 4) / 2 = 3; of rate 2 / (1/2 + 1/4) = 8/3."""
    cost, rate = olympic_mean([9, 1, 4, 2], "cost"), olympic_mean([9, 1, 4, 2], "rate")
    assert isinstance(cost, Olympic)
    assert isinstance(rate, Olympic)
    assert (cost.mean, cost.n) == (3, 4)
    assert rate.mean == pytest.approx(8 / 3)
    assert cost.note == "Olympic mean of 4 repeats: the smallest and the largest are left out, 2 kept; no interval"
    few = olympic_mean([1, 2], "cost")
    assert isinstance(few, str)
    assert "three are needed" in few
    with pytest.raises(ValueError, match="must not be averaged"):
        olympic_mean([0.5, 1.0, 2.0], "ratio")


def test_outliers_are_flagged_by_tukeys_fences() -> None:
    """1 to 8 and 30: quartiles 3 and 7, fences 3 - 6 and 7 + 6. Nothing is taken away from the summary."""
    values = [1.0, 2.0, 3.0, 30.0, 4.0, 5.0, 6.0, 7.0, 8.0]
    found = outliers(values)
    assert (found.low, found.high, found.indices) == (-3.0, 13.0, (3,))
    assert summarise(values).largest == 30
    assert outliers([4.0]).indices == ()


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=40))
def test_fences_against_numpy(values: list[float]) -> None:
    first, third = np.percentile(values, [25, 75])
    found = outliers(values)
    slack = 1e-9 * (1 + abs(first) + abs(third))
    assert found.low == pytest.approx(first - 1.5 * (third - first), abs=10 * slack)
    assert found.high == pytest.approx(third + 1.5 * (third - first), abs=10 * slack)
    for index, value in enumerate(values):
        assert (index in found.indices) == (not found.low <= value <= found.high)
