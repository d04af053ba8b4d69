"""Measurement and spread: golden numbers by hand, and a combined interval that holds the true joules."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.statistics.joule_uncertainty import combine, energy_uncertainty
from tests.analysis.studies import study_of
from tests.records import make_record


def test_the_parts_by_hand() -> None:
    """10 to 15 J: median 12.5, interval by rank [10, 15]. Systematic 2 %: 1.96 x 0.02 x 12.5 = 0.48999 J, in quadrature with
    2.5 J either way. Random 3 % is told, and is in the spread already."""
    found = combine([10, 11, 12, 13, 14, 15], [0.03] * 6, [0.02] * 6)
    assert (found.median, found.n, found.spread_low, found.spread_high) == (12.5, 6, 10, 15)
    assert found.systematic_half_width == pytest.approx(0.489991, rel=1e-5)
    assert found.random_half_width == pytest.approx(0.734986, rel=1e-5)
    assert found.measurement_half_width == pytest.approx(math.hypot(0.489991, 0.734986), rel=1e-5)
    assert found.combined_half_width == pytest.approx(math.hypot(2.5, 0.489991), rel=1e-6)
    assert (found.combined_low, found.combined_high) == pytest.approx((12.5 - 2.547565, 12.5 + 2.547565), rel=1e-6)
    assert found.why is None


def test_repeats_make_the_spread_smaller_and_the_sensors_error_not() -> None:
    """Six repeats of the same value and 600 of it: what is left is the sensor's systematic error, whole."""
    for n in (6, 600):
        found = combine([10.0] * n, [0.05] * n, [0.01] * n)
        assert found.combined_half_width == pytest.approx(1.959964 * 0.1, rel=1e-6)


def test_skewed_spread_stays_skewed() -> None:
    found = combine([10.0, 10.0, 10.0, 10.0, 10.0, 20.0], [0.0] * 6, [0.01] * 6)
    assert found.combined_low == pytest.approx(10 - 0.1959964)
    assert found.combined_high == pytest.approx(10 + math.hypot(10, 0.1959964))


@pytest.mark.parametrize(
    ("n", "systematic", "why"),
    [
        (1, 0.01, "one repeat: its spread is unknown"),
        (5, 0.01, "5 repeats: even their whole range holds the median with only 93.8 %, 95 % takes 6"),
        (6, None, "a record states no uncertainty of its energy"),
    ],
)
def test_what_is_not_known_is_null_with_its_reason(n: int, systematic: float | None, why: str) -> None:
    found = combine([10.0 + i for i in range(n)], [0.01] * n, [0.01] * (n - 1) + [systematic])
    assert (found.combined_low, found.combined_high, found.combined_half_width) == (None, None, None)
    assert found.why == why
    assert (found.systematic_half_width is None) == (systematic is None)
    assert (found.measurement_half_width is None) == (systematic is None)


@pytest.mark.parametrize("n", [6, 9, 12])
@pytest.mark.parametrize(("systematic", "random", "runs"), [(0.03, 0.01, 0.02), (0.005, 0.02, 0.05), (0.02, 0.0, 0.0001)])
def test_the_combined_interval_holds_the_true_joules(n: int, systematic: float, random: float, runs: float) -> None:
    """One sensor error for all repeats of a study, one reading error and one skewed run-to-run factor for each repeat. 2,000
    studies; at least 95 % but three standard errors hold the true median, and with a large sensor error the spread alone does
    not."""
    draw, times = np.random.default_rng(n), 2000
    sensor = draw.normal(0, systematic, (times, 1))
    noise = draw.normal(0, random, (times, n))
    skewed = np.exp(runs * (draw.exponential(size=(times, n)) - math.log(2)))
    joules = 50 * skewed * (1 + noise) * (1 + sensor)
    combined = spread = 0
    for values in joules:
        found = combine(values.tolist(), [random] * n, [systematic] * n)
        assert found.combined_low is not None
        assert found.combined_high is not None
        assert found.spread_low is not None
        assert found.spread_high is not None
        combined += found.combined_low <= 50 <= found.combined_high
        spread += found.spread_low <= 50 <= found.spread_high
    assert combined / times >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / times)
    if systematic == 0.03:
        assert spread / times < 0.8


def test_the_table_of_a_study() -> None:
    """One row for each configuration and kind; shares are those of the made records: 0.8 % random, 0.6 % systematic."""
    records = [make_record("data", r, kind=kind) for kind in ("measured", "modelled", "none") for r in range(6)]
    study = study_of("s", Path("s"), records, [])
    table = energy_uncertainty(study.points)
    assert sorted(table["kind"]) == ["measured", "modelled"]
    row = table[table["kind"] == "measured"].iloc[0]
    median = study.points[study.points["kind"] == "measured"]["per_sample_J"].median()
    assert row["median_J"] == pytest.approx(median)
    assert row["systematic_half_width_J"] == pytest.approx(1.959964 * 0.006 * median, rel=1e-6)
    assert row["measurement_half_width_J"] == pytest.approx(1.959964 * 0.010 * median, rel=1e-6)
    assert row["n"] == 6
    assert row["combined_half_width_J"] > (row["spread_high_J"] - row["spread_low_J"]) / 2
    assert energy_uncertainty(study_of("e", Path("e"), [make_record(kind="none")], []).points).empty
    assert isinstance(table, pd.DataFrame)
