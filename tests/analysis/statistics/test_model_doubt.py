"""Ratios of modelled joules: what cancels between boards of one class, what does not, and what only restates time."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest

from analysis.statistics.model_doubt import ModelShares, model_shares, ratio_u, restates_time, widened
from analysis.statistics.rank_tests import ratio_of
from bench.record.record import MeasuredRecord
from tests.analysis.studies import study
from tests.records import make_record, metered


def shares(idle: float, u: float = 0.3, name: str = "pi") -> ModelShares:
    return ModelShares({name: idle}, {name: 1 - idle}, {name: u})


def test_equal_idle_shares_cancel_and_restate_time() -> None:
    assert ratio_u(shares(0.6), shares(0.6)) == 0
    assert restates_time(shares(0.6), shares(0.61))
    assert not restates_time(shares(0.6), shares(0.7))
    assert not restates_time(shares(0.6), shares(0.6, name="nano"))
    assert not restates_time(shares(0.6), None)


def test_different_idle_shares_leave_their_difference() -> None:
    assert ratio_u(shares(0.9), shares(0.5)) == pytest.approx(0.3 * math.sqrt(2) * 0.4)


def test_boards_of_different_classes_share_nothing() -> None:
    """Each ratio's side keeps all of its own model's uncertainty, idle and above apart; a measured side has none."""
    one, base = shares(0.5, 0.2), shares(0.5, 0.4, "nano")
    assert ratio_u(one, base) == pytest.approx(math.hypot(0.2 * math.sqrt(0.5), 0.4 * math.sqrt(0.5)))
    assert ratio_u(one, None) == pytest.approx(0.2 * math.sqrt(0.5))
    assert ratio_u(None, None) == 0


def test_the_formula_is_what_wrong_coefficients_do() -> None:
    """Idle and busy coefficients of two classes drawn wrong by 5 %: the spread of a ratio of joules is the formula's."""
    draws = random.Random(0)
    idle = {"a": (30.0, 10.0), "b": (5.0, 20.0)}
    above = {"a": (10.0, 40.0), "b": (25.0, 0.0)}
    totals = [sum(part[name][side] for part in (idle, above) for name in "ab") for side in (0, 1)]
    one, base = (
        ModelShares(
            *({name: part[name][side] / totals[side] for name in "ab"} for part in (idle, above)), {"a": 0.05, "b": 0.05}
        )
        for side in (0, 1)
    )
    logs = []
    for _ in range(20_000):
        wrong = {(part, name): draws.gauss(1, 0.05) for part in "ID" for name in "ab"}
        sums = [sum(idle[n][side] * wrong["I", n] + above[n][side] * wrong["D", n] for n in "ab") for side in (0, 1)]
        logs.append(math.log(sums[0] / sums[1]))
    mean = sum(logs) / len(logs)
    spread = math.sqrt(sum((x - mean) ** 2 for x in logs) / len(logs))
    assert ratio_u(one, base) == pytest.approx(spread, rel=0.03)


def test_the_interval_is_widened_in_quadrature() -> None:
    ratio = ratio_of([2.0, 2.1, 1.9, 2.05, 1.95, 2.02], [1.0, 1.02, 0.98, 1.01, 0.99, 1.0])
    assert widened(ratio, 0) is ratio
    wide = widened(ratio, 0.1)
    assert ratio.low is not None
    assert wide.low is not None
    assert wide.high is not None
    assert math.log(ratio.ratio / wide.low) == pytest.approx(math.hypot(math.log(ratio.ratio / ratio.low), 0.195996), rel=1e-4)
    assert wide.ratio == ratio.ratio
    assert "widened by the model's 10 %" in wide.method
    few = ratio_of([2.0], [1.0])
    assert widened(few, 0.1) is few


def record(**energy: Any) -> MeasuredRecord:
    made = make_record("data", 0)
    made["energy"] |= energy
    (good,) = study([made]).good
    return good


def test_shares_are_read_from_the_hosts_of_a_record() -> None:
    """Two Pis (30 % each, idle 2 of 4 W and 2 of 8 W) and a fitted board (5 %): shares of all joules, by class."""
    channel = {"id": "cpu", "model_u": 0.05, "baseline_W": 3.0}
    about = {"kind": "modelled", "source": "modelled"}
    hosts = [
        metered("a", total_J=40.0, mean_power_W=4.0, idle_W=2.0, modelled_as="pi", **about),
        metered("b", total_J=80.0, mean_power_W=8.0, idle_W=2.0, modelled_as="pi", **about),
        metered("c", total_J=80.0, mean_power_W=8.0, idle_W=None, modelled_as="mine", channels=[channel], **about),
    ]
    found = model_shares([record(by_host=hosts, total_J=200.0, mean_power_W=20.0)])
    assert found is not None
    assert found.idle == pytest.approx({"pi": 0.2, "mine": 0.15})
    assert found.above == pytest.approx({"pi": 0.4, "mine": 0.25})
    assert found.relative_u == {"pi": 0.3, "mine": 0.05}
    assert (found.classes, found.largest_u) == ("mine and pi", 0.3)


def test_records_of_before_count_as_published_wattages_and_measured_ones_not_at_all() -> None:
    found = model_shares([record(mean_power_W=20.0, idle_W=14.0)])
    assert found is not None
    assert (found.idle, found.relative_u) == ({"x86-mini-pc": pytest.approx(0.7)}, {"x86-mini-pc": 0.3})
    assert model_shares([record(kind="measured")]) is None
