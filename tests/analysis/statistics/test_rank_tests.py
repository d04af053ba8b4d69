"""Ratios and tests: published tables, scipy, enumeration, and simulated error rates at few repeats."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from analysis.statistics import rank_tests
from analysis.statistics.rank_tests import SAME, TOO_FEW, corrected, holm, many, ratio_of, two

VALUES = st.lists(st.integers(1, 10**6), min_size=4, max_size=9, unique=True)
DRAW = {
    "exponential": lambda random, size: random.exponential(size=size),
    "lognormal": lambda random, size: random.lognormal(0, 1, size),
    "two modes": lambda random, size: 1 + random.random(size) + 4 * (random.random(size) < 0.3),
}


def bound(standard: float, times: int) -> float:
    """``standard`` with three standard errors of ``times`` draws."""
    return standard + 3 * math.sqrt(standard * (1 - standard) / times)


@pytest.mark.parametrize(
    ("n", "m", "critical"),
    [(4, 4, 0), (5, 5, 2), (3, 5, 0), (5, 7, 5), (6, 6, 5), (7, 7, 8), (8, 8, 13), (10, 10, 23), (12, 12, 37), (20, 20, 127)],
)
def test_ranks_are_those_of_the_published_tables(n: int, m: int, critical: int) -> None:
    """Critical values of U at 5 %, two-sided (Mann and Whitney's tables): so many ratios are left out at each end."""
    assert rank_tests._rank(n, m, 0.95) == critical + 1


@pytest.mark.parametrize(("n", "m", "held"), [(1, 1, "0.0"), (3, 3, "90.0"), (3, 4, "94.3"), (2, 7, "94.4")])
def test_too_few_repeats_give_a_ratio_and_the_reason_for_no_interval(n: int, m: int, held: str) -> None:
    """3 against 3: the ranges part by chance in 2 of 20 orders, so 90 %; 3 and 4: 2 of 35; 2 and 7: 2 of 36."""
    found = ratio_of([2.0 + i for i in range(n)], [1.0 + i for i in range(m)])
    assert (found.low, found.high) == (None, None)
    assert found.why == f"{n} and {m} repeats: even the whole range of their ratios holds with only {held} %"
    assert found.ratio > 0


def test_a_ratio_by_hand() -> None:
    """8, 4 against 2, 1: ratios 2, 4, 4, 8, median 4. With 4 and 4 the interval is the whole range of the sixteen ratios."""
    assert ratio_of([8, 4], [2, 1]).ratio == pytest.approx(4)
    found = ratio_of([20, 22, 24, 28], [10, 11, 12, 14])
    assert (found.ratio, found.low, found.high) == pytest.approx((2, 20 / 14, 28 / 10))
    assert (found.n, found.base_n, found.confidence, found.why) == (4, 4, 0.95, None)
    assert "holds with 97.1 %" in found.method  # 1 - 2/70


def test_a_ratio_needs_positive_values() -> None:
    with pytest.raises(ValueError, match="positive"):
        ratio_of([1.0, 0.0], [1.0])


@given(VALUES, VALUES)
def test_a_ratio_is_the_same_whichever_way_round(a: list[int], b: list[int]) -> None:
    one, other = ratio_of(a, b), ratio_of(b, a)
    assert one.ratio == pytest.approx(1 / other.ratio)
    assert one.low is not None
    assert other.high is not None
    assert one.low == pytest.approx(1 / other.high)


@given(VALUES, VALUES)
def test_test_and_interval_say_the_same(a: list[int], b: list[int]) -> None:
    """The interval leaves out 1 exactly when the test rejects: they are two readings of one distribution."""
    assume(not set(a) & set(b))
    ratio, difference = ratio_of(a, b), two(a, b)
    assert ratio.low is not None
    assert ratio.high is not None
    assert (ratio.low > 1 or ratio.high < 1) == (difference.verdict in ("larger", "smaller"))


@given(VALUES, VALUES)
def test_p_is_scipys_where_there_are_no_ties(a: list[int], b: list[int]) -> None:
    assume(not set(a) & set(b))
    expected = stats.mannwhitneyu(a, b, method="exact")
    found = two(a, b)
    assert found.p == pytest.approx(float(expected.pvalue))
    assert found.chance == pytest.approx(float(expected.statistic) / len(a) / len(b))


@settings(max_examples=40)
@given(st.lists(st.integers(1, 4), min_size=4, max_size=5), st.lists(st.integers(1, 4), min_size=4, max_size=5))
def test_p_counts_every_assignment_where_there_are_ties(a: list[int], b: list[int]) -> None:
    """By enumeration: the share of all ways to choose the first set whose rank sum is as far from the middle."""
    ranks = stats.rankdata([*a, *b])
    middle = len(a) * (len(ranks) + 1) / 2
    sums = [sum(chosen) for chosen in itertools.combinations(ranks, len(a))]
    far = abs(sum(ranks[: len(a)]) - middle)
    expected = sum(abs(one - middle) >= far - 1e-9 for one in sums) / len(sums)
    assert two(a, b).p == pytest.approx(expected)


def test_many_values_take_the_limit() -> None:
    """Above a hundred values p is scipy's normal limit with continuity, ties or not; ranks go on where the exact ones end."""
    random = np.random.default_rng(1)
    a, b = random.integers(0, 40, 60), random.integers(3, 43, 60)
    expected = stats.mannwhitneyu(a, b, method="asymptotic")
    assert two(a.tolist(), b.tolist()).p == pytest.approx(float(expected.pvalue), rel=1e-9)
    assert two([1.0] * 60, [1.0] * 60).p == 1
    assert abs((rank_tests._rank(51, 50, 0.95) or 0) - (rank_tests._rank(50, 50, 0.95) or 0) - 18) <= 2


@pytest.mark.parametrize(("n", "m", "least"), [(1, 1, 1.0), (3, 3, 0.1), (3, 4, 2 / 35)])
def test_a_test_that_cannot_tell_is_not_performed(n: int, m: int, least: float) -> None:
    """However far apart the sets are."""
    found = two([1e6 + i for i in range(n)], [float(i) for i in range(m)])
    assert (found.p, found.p_holm, found.verdict) == (None, None, TOO_FEW)
    assert found.least_p == pytest.approx(least)
    assert found.why == f"{n} and {m} repeats: the smallest possible p is {least:.2g}, more than 0.05"
    assert found.chance == 1


def test_verdicts() -> None:
    low, high = [1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]
    assert (two(high, low).verdict, two(high, low).p) == ("larger", pytest.approx(2 / 70))
    assert two(low, high).verdict == "smaller"
    assert (two(low, low).verdict, two(low, low).p, two(low, low).chance) == (SAME, 1, 0.5)


def test_holm_by_hand() -> None:
    """0.01, 0.04, 0.03: 3 x 0.01, then 2 x 0.03, then 0.04, which may not be less than the one before."""
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_corrected_verdicts_and_tests_that_were_not_made() -> None:
    low, high, few = [1.0, 2.0, 3.0, 4.0, 5.0], [6.0, 7.0, 8.0, 9.0, 10.0], [100.0]
    found = corrected([two(high, low), two(few, low), two(low, low)])
    assert [one.verdict for one in found] == ["larger", TOO_FEW, SAME]
    assert found[0].p == pytest.approx(2 / 252)
    assert found[0].p_holm == pytest.approx(4 / 252)  # two tests were made, not three
    many_of_them = corrected([two(high, low)] * 7)
    assert {one.verdict for one in many_of_them} == {TOO_FEW}
    assert many_of_them[0].why == "7 comparisons: their smallest possible p is 0.056 once corrected, more than 0.05"


@pytest.mark.parametrize("name", DRAW)
@pytest.mark.parametrize(("n", "m"), [(6, 6), (7, 12), (9, 9), (12, 12)])
def test_the_interval_of_a_ratio_holds_as_often_as_it_says(name: str, n: int, m: int) -> None:
    """Skewed and bimodal times, one set 1.7 times the other; what it says is in the method, and is 95 % or more."""
    random, times, covered = np.random.default_rng(100 * n + m), 1500, 0
    for _ in range(times):
        found = ratio_of((1.7 * DRAW[name](random, n)).tolist(), DRAW[name](random, m).tolist())
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= 1.7 <= found.high
    says = 1 - 2 * rank_tests._tail(n, m, rank_tests._rank(n, m, 0.95) or 0)
    assert says >= 0.95
    assert covered / times == pytest.approx(says, abs=3.5 * math.sqrt(says * (1 - says) / times))


def test_unequal_spread_matters_little_with_as_many_repeats() -> None:
    """One set spreads three times as wide as the other, which the method does not assume: 94 % or more, as the docs say."""
    random, times = np.random.default_rng(2), 1500
    for n in (6, 10):
        covered = 0
        for _ in range(times):
            found = ratio_of(np.exp(random.normal(0, 0.03, n)).tolist(), np.exp(random.normal(0, 0.01, n)).tolist())
            assert found.low is not None
            assert found.high is not None
            covered += found.low <= 1 <= found.high
        assert covered / times >= 0.94 - 3 * math.sqrt(0.94 * 0.06 / times)


@pytest.mark.parametrize(("n", "digits"), [(4, 9), (6, 9), (9, 9), (6, 0)])
def test_false_alarms_are_as_rare_as_the_level(n: int, digits: int) -> None:
    """Also where rounding makes half of the values ties."""
    random, times = np.random.default_rng(n), 3000
    draws = np.round(random.lognormal(0, 1, (times, 2, n)), digits)
    alarms = sum(two(a.tolist(), b.tolist()).verdict != SAME for a, b in draws)
    assert alarms / times <= bound(0.05, times)
    assert alarms > 0


def test_false_alarms_among_many_comparisons_are_as_rare() -> None:
    """Ten configurations against one base, none of which differs: uncorrected, every fourth study would show something."""
    random, times = np.random.default_rng(5), 600
    plain, holms = 0, 0
    for draws in random.lognormal(0, 1, (times, 11, 9)):
        found = [two(values.tolist(), draws[0].tolist()) for values in draws[1:]]
        plain += any(one.verdict != SAME for one in found)
        holms += any(one.verdict != SAME for one in corrected(found))
    assert holms / times <= bound(0.05, times)
    assert plain / times > 0.15


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.integers(1, 8), min_size=2, max_size=6), min_size=2, max_size=5))
def test_h_is_scipys(groups: list[list[int]]) -> None:
    assume(len({value for group in groups for value in group}) > 1)
    found = many({str(index): group for index, group in enumerate(groups)})
    assert found.h == pytest.approx(float(stats.kruskal(*groups).statistic))


def test_p_of_three_small_groups_against_enumeration() -> None:
    """Three groups of three have 1,680 assignments; the drawn p is within three standard errors of the counted one, and no p
    below 6 / 1680 is possible."""
    groups = {"a": [1.0, 2.0, 5.0], "b": [3.0, 4.0, 8.0], "c": [6.0, 7.0, 9.0]}
    ranks = stats.rankdata(list(itertools.chain(*groups.values())))
    found = many(groups)
    reached = total = 0
    for first in itertools.combinations(range(9), 3):
        rest = [index for index in range(9) if index not in first]
        for second in itertools.combinations(rest, 3):
            third = [index for index in rest if index not in second]
            h = 12 / 90 * sum(sum(ranks[list(own)]) ** 2 / 3 for own in (first, second, third)) - 30
            reached, total = reached + (h >= found.h - 1e-9), total + 1
    assert total == 1680
    exact = reached / total
    assert found.p == pytest.approx(exact, abs=3 * math.sqrt(exact * (1 - exact) / rank_tests.DRAWS))
    assert found.least_p == pytest.approx(6 / 1680)
    assert found.p == many(groups).p, "the same records give the same p"


def test_many_groups_name_the_pairs_that_differ() -> None:
    base = [1.0, 1.1, 1.2, 1.3, 1.4, 1.5]
    found = many({"a": base, "b": [value + 0.01 for value in base], "c": [value + 5 for value in base]})
    assert found.verdict == "some differ"
    assert [(pair.one, pair.base, pair.difference.verdict) for pair in found.pairs] == [
        ("b", "a", SAME), ("c", "a", "larger"), ("c", "b", "larger"),
    ]  # fmt: skip
    assert found.pairs[1].difference.p_holm == pytest.approx(3 * 2 / math.comb(12, 6))


def test_groups_that_cannot_tell_are_not_tested() -> None:
    """Three groups of one: every order is as likely. Two in each: 6 of 90 orders part them, 6.7 %."""
    assert many({"a": [1.0], "b": [2.0], "c": [3.0]}).verdict == TOO_FEW
    found = many({"a": [1.0, 2.0], "b": [3.0, 4.0], "c": [5.0, 6.0]})
    assert (found.p, found.verdict) == (None, TOO_FEW)
    assert found.least_p == pytest.approx(6 / 90)
    with pytest.raises(ValueError, match="two groups"):
        many({"a": [1.0]})


def test_false_alarms_of_many_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rank_tests, "DRAWS", 999)
    monkeypatch.setattr(rank_tests, "BATCH", 999)
    random, times = np.random.default_rng(9), 400
    alarms = 0
    for draws in random.lognormal(0, 1, (times, 3, 6)):
        alarms += many({str(i): values.tolist() for i, values in enumerate(draws)}).verdict != SAME
    assert 0 < alarms / times <= bound(0.05, times)
