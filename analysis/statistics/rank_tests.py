"""Whether sets of repeats differ, and by what factor: by ranks, exactly, without an assumption about the distribution.

Every test knows the smallest p that it can give for its numbers of repeats. One that cannot reach the level is not performed:
its "no difference" would be an answer that was certain beforehand.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import combinations
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from bench.common.median_interval import CONFIDENCE

LEVEL = 0.05
EXACT_N = 100
"""Values in both sets together up to which the distribution of rank sums is counted; beyond, the normal limit is close."""
DRAWS, BATCH = 9_999, 1_111
TOO_FEW = "too few repeats"
SAME = "no difference shown"
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Ratio:
    """By what factor values are larger than their base.

    Where there are too few for an interval that holds with ``confidence``, ``low`` and ``high`` are None and ``why`` says why.
    """

    ratio: float
    low: float | None
    high: float | None
    confidence: float
    n: int
    base_n: int
    method: str
    why: str | None


@dataclass(frozen=True)
class Difference:
    """Whether ``n`` values differ from ``base_n``."""

    p: float | None
    """Two-sided; None where the test was not performed, and ``why`` says why."""
    p_holm: float | None
    """Corrected for the other comparisons made beside this one."""
    least_p: float
    """The smallest that these numbers of values allow."""
    chance: float
    """The share of pairs in which the value is larger than the base; ties count half (Vargha and Delaney's A12), 0.5 is no
    effect."""
    n: int
    base_n: int
    verdict: str
    """Larger, smaller, no difference shown, too few repeats."""
    why: str | None


@dataclass(frozen=True)
class Pair:
    """``difference`` of group ``one`` against group ``base``."""

    one: str
    base: str
    difference: Difference


@dataclass(frozen=True)
class Groups:
    """Whether any of several groups differs (``h`` and ``p`` of Kruskal-Wallis), and which pairs do."""

    h: float
    p: float | None
    least_p: float
    verdict: str
    why: str | None
    pairs: tuple[Pair, ...]


def ratio_of(values: Sequence[float], base: Sequence[float], confidence: float = CONFIDENCE) -> Ratio:
    """The factor between two sets of positive values, with a rank-based interval.

    Hodges and Lehmann's estimate on logarithms: the median of all pairwise ratios, and of these in order the k-th from either
    end, where k follows from the exact distribution of Mann and Whitney's U (Hollander, Wolfe and Chicken, Nonparametric
    Statistical Methods, 3rd ed., sections 4.2 and 4.3). Whatever the distribution is, both sets are taken to have it, up to
    the factor; with equal numbers of repeats it matters little (``docs/explanation/statistics.md``). Nothing is averaged: a
    median of ratios is the ratio whichever way round it is read.

    Args:
        values: Positive.
        base: Positive.
        confidence: That the interval is to hold with.

    Returns:
        Of ``values`` over ``base``; without an interval where there are too few values, and then with the reason.

    Raises:
        ValueError: A value is not positive.
    """
    if min(*values, *base) <= 0:
        raise ValueError("a ratio needs positive values")
    logs = np.sort(np.subtract.outer(np.log(np.asarray(values, float)), np.log(np.asarray(base, float))), axis=None)
    n, m = len(values), len(base)
    ratio, k = math.exp(float(np.median(logs))), _rank(n, m, confidence)
    held = 1 - 2 * _tail(n, m, k or 1)
    name = f"Hodges-Lehmann of {n} x {m} log ratios"
    if k is None:
        why = f"{n} and {m} repeats: even the whole range of their ratios holds with only {100 * held:.1f} %"
        return Ratio(ratio, None, None, confidence, n, m, name, why)
    low, high = (math.exp(float(bound)) for bound in (logs[k - 1], logs[-k]))
    method = f"{name}, interval by Mann-Whitney ranks (holds with {100 * held:.1f} %)"
    return Ratio(ratio, low, high, confidence, n, m, method, None)


def two(values: Sequence[float], base: Sequence[float], level: float = LEVEL) -> Difference:
    """Mann and Whitney's test, two-sided, exact also with ties (all assignments of the values at hand to the two sets).

    Args:
        values: At least one.
        base: At least one.
        level: The p up to which a difference is shown.

    Returns:
        Without p where even the smallest possible one is above ``level``.
    """
    n, m = len(values), len(base)
    least = 2 / math.comb(n + m, n)
    a, b = np.asarray(values, float), np.asarray(base, float)
    chance = float(np.mean(np.sign(np.subtract.outer(a, b)) / 2 + 0.5))
    if least > level:
        why = f"{n} and {m} repeats: the smallest possible p is {least:.2g}, more than {level:g}"
        return Difference(None, None, least, chance, n, m, TOO_FEW, why)
    p = _p_of(a, b)
    return Difference(p, p, least, chance, n, m, _direction(p, chance, level), None)


def corrected(differences: Sequence[Difference], level: float = LEVEL) -> list[Difference]:
    """The same differences with verdicts that hold together: the chance that any of them is wrong stays below ``level``.

    Holm, Scandinavian Journal of Statistics 6, 1979. Tests that were not performed do not count. Where the smallest possible p
    of all is too large once it is corrected, none could have shown anything, and each says so.

    Args:
        differences: All comparisons that are read together.
        level: Of all together.

    Returns:
        In the same order, with ``p_holm`` and verdicts by it.
    """
    tested = [index for index, one in enumerate(differences) if one.p is not None]
    least = min((differences[index].least_p for index in tested), default=0.0) * len(tested)
    adjusted = dict(zip(tested, holm([one.p for one in differences if one.p is not None]), strict=True))
    result = []
    for index, one in enumerate(differences):
        p = adjusted.get(index)
        if p is None:
            result.append(one)
        elif least > level:
            why = f"{len(tested)} comparisons: their smallest possible p is {least:.2g} once corrected, more than {level:g}"
            result.append(replace(one, p_holm=p, verdict=TOO_FEW, why=why))
        else:
            result.append(replace(one, p_holm=p, verdict=_direction(p, one.chance, level)))
    return result


def holm(ps: Sequence[float]) -> list[float]:
    """Holm's step-down correction of p-values.

    Args:
        ps: Each from 0 to 1, in any order.

    Returns:
        The corrected p-values in the order of ``ps``, at most 1.
    """
    order = sorted(range(len(ps)), key=lambda index: ps[index])
    worst, adjusted = 0.0, [0.0] * len(ps)
    for place, index in enumerate(order):
        worst = max(worst, min(1.0, (len(ps) - place) * ps[index]))
        adjusted[index] = worst
    return adjusted


def many(groups: Mapping[str, Sequence[float]], level: float = LEVEL) -> Groups:
    """Kruskal and Wallis's test of all groups, and every pair with Holm's correction.

    p is the share of 9,999 random assignments (always the same ones) whose H is as large, plus one in both (Phipson and Smyth,
    2010): valid for groups of any size, where the chi-square limit needs five in each. ``least_p`` counts the assignments
    that part the groups wholly; with groups of different sizes it is a lower bound.

    Args:
        groups: At least two, by name.
        level: The p up to which a difference is shown.

    Returns:
        H, its p and the verdict, with every pair; p is null where there are too few repeats to show anything.

    Raises:
        ValueError: There are fewer than two groups.
    """
    if len(groups) < 2:
        raise ValueError("a comparison needs two groups")
    sizes = [len(values) for values in groups.values()]
    same_sizes = math.prod(math.factorial(count) for count in Counter(sizes).values())
    ways = math.factorial(sum(sizes)) // math.prod(math.factorial(size) for size in sizes)
    least = max(same_sizes / ways, 1 / (DRAWS + 1))
    pairs = [(one, base) for base, one in combinations(groups, 2)]
    differences = corrected([two(groups[one], groups[base], level) for one, base in pairs], level)
    listed = tuple(Pair(*names, difference) for names, difference in zip(pairs, differences, strict=True))
    ranks = _ranks(np.concatenate([np.asarray(values, float) for values in groups.values()]))
    h = _h(ranks[None, :], sizes)[0]
    if least > level:
        why = f"groups of {', '.join(map(str, sizes))}: the smallest possible p is {least:.2g}, more than {level:g}"
        return Groups(h, None, least, TOO_FEW, why, listed)
    p = _drawn_p(ranks, sizes)
    return Groups(h, p, least, "some differ" if p <= level else SAME, None, listed)


def _direction(p: float, chance: float, level: float) -> str:
    if p > level:
        return SAME
    return "larger" if chance > 0.5 else "smaller"


def _ranks(values: Array) -> Array:
    """Twice the ranks from 1, ties share their mean: whole numbers."""
    ordered = np.sort(values)
    return (np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right") + 1).astype(float)


def _p_of(a: Array, b: Array) -> float:
    ranks, size = _ranks(np.concatenate([a, b])), len(a)
    rank_sum, middle = ranks[:size].sum(), size * (len(ranks) + 1)
    if len(ranks) > EXACT_N:
        spread = math.sqrt(size * len(b) * ranks.var(ddof=1) / len(ranks))
        # One step of the sum is two: half of it is the correction for continuity.
        return 1.0 if spread == 0 else min(1.0, 2 * NormalDist().cdf(-max(0.0, abs(rank_sum - middle) - 1) / spread))
    ways = _ways(tuple(sorted(int(rank) for rank in ranks)), size)
    far = np.abs(np.arange(len(ways)) - middle) >= abs(rank_sum - middle)
    return float(ways[far].sum() / ways.sum())


@lru_cache(maxsize=512)
def _ways(ranks: tuple[int, ...], size: int) -> Array:
    """How many choices of ``size`` of the ranks have each sum."""
    most = sum(ranks[-size:])
    ways = np.zeros((size + 1, most + 1))
    ways[0, 0] = 1
    for rank in ranks:
        ways[1:, rank:] += ways[:-1, : most + 1 - rank]
    return ways[size]


def _tail(n: int, m: int, k: int) -> float:
    """P(U < k) without a difference: at least k pairs in the other order are more than that seldom."""
    if n + m > EXACT_N:
        return NormalDist(n * m / 2, math.sqrt(n * m * (n + m + 1) / 12)).cdf(k - 0.5)
    ways = _ways(tuple(range(1, n + m + 1)), n)[n * (n + 1) // 2 :]
    return float(ways[:k].sum() / ways.sum())


@lru_cache(maxsize=512)
def _rank(n: int, m: int, confidence: float) -> int | None:
    """The largest k with 2 P(U < k) at most 1 - confidence; None where there is none."""
    low, high = 0, n * m // 2
    while low < high:
        k = (low + high + 1) // 2
        low, high = (k, high) if 2 * _tail(n, m, k) <= 1 - confidence else (low, k - 1)
    return low or None


def _h(ranks: Array, sizes: Sequence[int]) -> Array:
    """Kruskal and Wallis's H, corrected for ties, of every row; 0 where all values are equal."""
    n = sum(sizes)
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    sums = np.add.reduceat(ranks, starts, axis=1)
    between: Array = (sums**2 / np.asarray(sizes)).sum(axis=1) - n * (n + 1) ** 2
    spread = ranks[0].var(ddof=1)
    return between / spread if spread else np.zeros(len(ranks))


def _drawn_p(ranks: Array, sizes: Sequence[int]) -> float:
    random, observed = np.random.default_rng(0), _h(ranks[None, :], sizes)[0]
    reached = 0
    for _ in range(DRAWS // BATCH):
        drawn = random.permuted(np.tile(ranks, (BATCH, 1)), axis=1)
        reached += int((_h(drawn, sizes) >= observed * (1 - 1e-9)).sum())
    return (1 + reached) / (1 + DRAWS)
