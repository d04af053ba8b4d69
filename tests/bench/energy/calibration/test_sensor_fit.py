"""Gain and offset of a sensor: by hand, by simulation, in files, and the command line with a live board and a live plug."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from bench.common.student_t import NORMAL, mean_interval, t_quantile
from bench.common.user_error import UserError
from bench.energy.calibration.sensor_fit import (
    Fit,
    Point,
    fit,
    is_full_test,
    olympic,
    write_calibration,
)
from bench.energy.calibration.side_by_side import calibration_path
from bench.energy.sensor_base.calibration_file import read_calibrations

DAY = date(2026, 1, 2)
LOADS = (0.0, 0.5, 1.0)


def points(sensor_W: list[float], meter_W: list[float], u_W: float = 0.0, loads: tuple[float, ...] = LOADS) -> list[Point]:
    rows = enumerate(zip(sensor_W, meter_W, strict=True))
    return [Point(loads[n % len(loads)], n // len(loads), x, 0.0, y, u_W) for n, (x, y) in rows]


def fitted(found: list[Point], accuracy: float = 0.0) -> Fit:
    return fit(found, accuracy, "a plug", "wall: everything", DAY)


def test_student_is_scipys() -> None:
    for degrees in (1, 2, 3, 4, 7, 10, 43, 300):
        for confidence in (0.5, 0.95, 0.999):
            expected = stats.t.ppf((1 + confidence) / 2, degrees)
            assert t_quantile(degrees, confidence) == pytest.approx(expected, rel=1e-9)
    assert stats.norm.ppf(0.975) == pytest.approx(NORMAL)
    with pytest.raises(ValueError, match="0 degrees of freedom"):
        t_quantile(0)


def test_the_interval_of_a_mean() -> None:
    """1, 2, 3: s / sqrt(3) = 0.5774, t(2) = 4.3027. Values that agree by chance have what is known of each."""
    assert mean_interval([1, 2, 3]) == pytest.approx((2.0, 2.0 - 2.48414, 2.0 + 2.48414), abs=1e-5)
    assert mean_interval([2, 2, 2], known_u=0.1) == pytest.approx((2.0, 2.0 - 0.195996, 2.0 + 0.195996), abs=1e-5)


def test_a_straight_line_is_found() -> None:
    found = fitted(points([2, 5, 8], [2.9, 6.5, 10.1]))
    assert found.calibration.gain == pytest.approx(1.2)
    assert found.calibration.offset_W == pytest.approx(0.5)
    assert found.residuals_W == pytest.approx([0, 0, 0], abs=1e-9)
    assert (found.calibration.against, found.calibration.scope, found.calibration.made) == (
        "a plug", "wall: everything", "2026-01-02",
    )  # fmt: skip


def test_scatter_by_hand() -> None:
    """x = 1 2 3 4, y = 2.1 3.9 6.1 7.9: Sxx = 5, Sxy = 9.8, the squares of the residuals add up to 0.032."""
    found = fitted(points([1, 2, 3, 4], [2.1, 3.9, 6.1, 7.9], loads=(0, 0.3, 0.6, 1)))
    made = found.calibration
    assert made.gain == pytest.approx(1.96)
    assert made.offset_W == pytest.approx(0.1)
    assert found.residuals_W == pytest.approx([0.04, -0.12, 0.12, -0.04])
    t, s = 4.302653, np.sqrt(0.032 / 2)
    assert found.degrees == 2
    assert found.gain_interval == pytest.approx((1.96 - t * s / np.sqrt(5), 1.96 + t * s / np.sqrt(5)), abs=1e-6)
    half = t * s * np.sqrt(1 / 4 + 2.5**2 / 5)
    assert found.offset_interval_W == pytest.approx((0.1 - half, 0.1 + half), abs=1e-6)
    # The interval is 1.96 standard uncertainties for any number of points; the covariance goes with it.
    assert made.gain_u == pytest.approx(t / NORMAL * s / np.sqrt(5), rel=1e-6)
    assert made.covariance == pytest.approx(-2.5 * made.gain_u**2, rel=1e-6)


def test_known_uncertainties_count_where_points_agree_by_chance() -> None:
    found = fitted(points([2, 5, 8] * 3, [2.9, 6.5, 10.1] * 3, u_W=0.3))
    x = np.array([2, 5, 8] * 3)
    expected = 0.3 / np.sqrt(((x - x.mean()) ** 2).sum())
    assert found.calibration.gain_u == pytest.approx(t_quantile(7) / NORMAL * expected)


def test_uncertain_points_weigh_less() -> None:
    """The load in the middle is 1 W off; known to 10 W it hardly counts."""
    rows = points([2, 5, 8], [2.0, 6.0, 8.0], u_W=0.01)
    vague = [Point(p.load, p.round, p.sensor_W, 0.0, p.meter_W, 10.0 if p.load == 0.5 else 0.01) for p in rows]
    by_sensor = [Point(p.load, p.round, p.sensor_W, 10.0 if p.load == 0.5 else 0.0, p.meter_W, 0.01) for p in rows]
    assert fitted(rows).calibration.offset_W > 0.3
    assert abs(fitted(vague).calibration.offset_W) < 1e-3
    assert abs(fitted(by_sensor).calibration.offset_W) < 1e-3


def test_the_meters_accuracy_stretches_the_whole_line() -> None:
    """A meter of 1 % that reads all too high makes gain and offset too high by 1 %: corrected watts have 1 %."""
    made = fitted(points([2, 5, 8], [2.9, 6.5, 10.1]), accuracy=0.01).calibration
    assert made.gain_u == pytest.approx(0.012)
    assert made.offset_u_W == pytest.approx(0.005)
    assert made.covariance == pytest.approx(0.012 * 0.005)
    watts = 1.2 * 6 + 0.5
    u = np.sqrt((6 * made.gain_u) ** 2 + made.offset_u_W**2 + 2 * 6 * made.covariance)
    assert u == pytest.approx(0.01 * watts)


@pytest.mark.parametrize(
    ("scatter_W", "known_W", "accuracy", "low", "high"),
    [
        (0.05, 0.0, 0.0, 0.93, 0.97),  # nothing is known beforehand: Student's interval is exact
        (0.05, 0.05, 0.0, 0.95, 1.0),  # all is known: at least as good
        (0.05, 0.0, 0.02, 0.93, 0.98),  # the meter itself is off by up to some 2 %, the same in all points
    ],
)
def test_intervals_hold_the_truth(scatter_W: float, known_W: float, accuracy: float, low: float, high: float) -> None:
    """A thousand simulated calibrations of a sensor with gain 1.15 and offset 1.8 W, and of a wattage between the loads."""
    random = np.random.default_rng(7)
    held = np.zeros(3)
    for _ in range(1000):
        sensor_W = np.array([3.0, 6.0, 9.0] * 3) + random.normal(0, 0.2, 9)
        off = 1 + random.normal(0, accuracy)
        meter_W = (1.15 * sensor_W + 1.8) * off + random.normal(0, scatter_W, 9)
        found = fitted(points(list(sensor_W), list(meter_W), known_W), accuracy)
        made = found.calibration
        u = np.sqrt((7 * made.gain_u) ** 2 + made.offset_u_W**2 + 2 * 7 * made.covariance)
        held += [
            found.gain_interval[0] <= 1.15 <= found.gain_interval[1],
            found.offset_interval_W[0] <= 1.8 <= found.offset_interval_W[1],
            abs(7 * made.gain + made.offset_W - (7 * 1.15 + 1.8)) <= NORMAL * u,
        ]
    assert ((low <= held / 1000) & (held / 1000 <= high)).all(), held


def test_mlperfs_comparison() -> None:
    """Olympic means of five minutes each: the best and the worst do not count. The sensor reads 10 % too little under load."""
    assert olympic([1, 2, 3, 4, 100]) == 3
    assert olympic([1, 2]) == 1.5
    sensor_W = [4.0, 7.2, 9.0] * 5
    meter_W = [4.0, 8.0, 10.0] * 5
    sensor_W[0] = 5.0  # somebody was at work in the first round
    found = points(sensor_W, meter_W)
    assert is_full_test(found, 60)
    assert not is_full_test(found, 59)
    assert not is_full_test(found[:12], 60)
    assert fitted(found).as_read == pytest.approx(0.1)
    assert fitted(points([2, 5, 8], [2.9, 6.5, 10.1])).corrected < 1e-9


BAD_FITS = [
    (([2, 5], [3, 6], (0.0, 1.0)), "a calibration needs idle and two loads, found 2 loads with readings; give more loads"),
    (([5, 5.1, 5.2], [6, 6.1, 6.2], LOADS), "the loads hardly differ (5.00 to 5.20 W on the sensor); calibrate with"),
    (([2, 5, 8], [9, 6, 3], LOADS), "the meter falls where the sensor rises (gain -1); is a plug the meter of this board"),
]


@pytest.mark.parametrize(("given", "said"), BAD_FITS, ids=[said[:30] for _, said in BAD_FITS])
def test_what_cannot_be_fitted(given: tuple[list[float], list[float], tuple[float, ...]], said: str) -> None:
    sensor_W, meter_W, loads = given
    with pytest.raises(UserError) as error:
        fitted(points(sensor_W, meter_W, loads=loads))
    assert str(error.value).startswith(said)
    assert "\n" not in str(error.value)


def test_a_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    one, two = fitted(points([2, 5, 8], [2.9, 6.5, 10.2])), fitted(points([2, 5, 8], [3.9, 7.5, 11.2]), 0.01)
    write_calibration(calibration_path(tmp_path, "10.0.0.1", "rapl"), "10.0.0.1", "rapl", one, {"seconds": 60.0})
    write_calibration(calibration_path(tmp_path, "a/b", "jetson"), "a/b", "jetson", two, {})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["10.0.0.1-rapl.json", "a_b-jetson.json"]
    found = read_calibrations(tmp_path)
    assert found["10.0.0.1"]["rapl"] == one.calibration
    assert found["a/b"]["jetson"] == two.calibration
    assert read_calibrations(tmp_path / "10.0.0.1-rapl.json") == {"10.0.0.1": found["10.0.0.1"]}
    written = json.loads((tmp_path / "10.0.0.1-rapl.json").read_text())
    assert [row["sensor_W"] for row in written["loads"]] == [2, 5, 8]
    assert written["seconds"] == 60.0


GOOD: dict[str, Any] = {
    "schema": "edgejoule.calibration/1", "host": "a", "source": "rapl", "gain": 1.1, "offset_W": 1.0, "gain_u": 0.1,
    "offset_u_W": 0.1, "covariance": 0.0, "against": "plug", "scope": "wall", "made": "2026-01-02", "level": "wall",
}  # fmt: skip
BAD_FILES = [
    ({"other.json": "{"}, "other.json is not a calibration (Expecting"),
    ({"other.json": "[1]"}, "other.json is not a calibration (list indices"),
    ({"other.json": {**GOOD, "schema": "edgejoule.waiting/1"}}, "other.json has schema edgejoule.waiting/1, not edgejoule"),
    ({"other.json": {k: v for k, v in GOOD.items() if k != "gain_u"}}, "other.json is not a calibration (it has no 'gain_u')"),
    ({"other.json": {**GOOD, "gain": "much"}}, "other.json is not a calibration (could not convert string to float"),
    ({"other.json": {**GOOD, "gain": float("nan")}}, "other.json is not a calibration (gain is nan)"),
    ({"other.json": {**GOOD, "gain": -1.0}}, "other.json is not a calibration (gain must be positive"),
    ({"a.json": GOOD, "other.json": GOOD}, "other.json calibrates rapl of a a second time; keep one file"),
    ({}, " holds no calibration; make one with: python -m bench.calibrate sensor"),
]


@pytest.mark.parametrize(("files", "said"), BAD_FILES, ids=[said for _, said in BAD_FILES])
def test_files_that_are_no_calibration(files: dict[str, Any], said: str, tmp_path: Path) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text if isinstance(text, str) else json.dumps(text))
    with pytest.raises(UserError) as error:
        read_calibrations(tmp_path)
    assert said in str(error.value)
    assert "\n" not in str(error.value)
