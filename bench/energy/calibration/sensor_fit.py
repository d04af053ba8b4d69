"""A board's sensor against a better meter: gain and offset with their uncertainties, kept in a file for each board.

    meter = gain * sensor + offset,      fitted to the mean powers of idle and at least two loads

The sensor's readings are corrected with it only on request (``energy.calibration=FOLDER``), and the record says so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from bench.common.student_t import NORMAL, t_quantile
from bench.common.user_error import UserError
from bench.energy.sensor_base.calibration_file import SCHEMA
from bench.joules.channel import Calibration, Level

LEAST_LOADS = 3
LEAST_SPREAD = 0.1
MLPERF_LIMIT, MLPERF_ROUNDS, MLPERF_SECONDS = 0.05, 5, 60.0
"""MLPerf Training's comparison test of a meter: idle and two loads, five times a minute each, Olympic means within 5 %."""


@dataclass(frozen=True)
class Point:
    """Mean powers of one load in one round, with standard uncertainties that are independent between points."""

    load: float
    round: int
    sensor_W: float
    sensor_u_W: float
    meter_W: float
    meter_u_W: float


@dataclass(frozen=True)
class Fit:
    """A calibration with what it was made from.

    The intervals have 95 %. ``residuals_W`` are the meter's watts less the corrected ones, in the order of the points.
    ``as_read`` and ``corrected`` are the largest relative distances from the meter over the loads (MLPerf's comparison).
    """

    calibration: Calibration
    points: tuple[Point, ...]
    degrees: int
    gain_interval: tuple[float, float]
    offset_interval_W: tuple[float, float]
    residuals_W: tuple[float, ...]
    as_read: float
    corrected: float


def fit(points: Sequence[Point], accuracy: float, against: str, scope: str, day: date, level: Level = "wall") -> Fit:
    """Weighted least squares over the points.

    The sensor's uncertainty counts with the slope. The scatter around the line is used where it is larger than what the
    uncertainties say, with Student's t for the few points. The meter's accuracy is one error of all points: it stretches
    the whole line, and averaging does not help. The standard uncertainties are the 95 % half-widths over 1.96, so
    that twice an uncertainty means the same whatever the number of points.

    Args:
        points: Mean powers of both, in watts.
        accuracy: The meter's relative standard uncertainty (0: not known).
        against: The meter, in words.
        scope: What the meter has, in words.
        day: The day of the calibration.
        level: Where the meter sits.

    Returns:
        The line with its uncertainties and residuals.

    Raises:
        UserError: There are fewer than three loads, they do not differ, or the meter falls where the sensor rises.
    """
    x, y = _powers_W(points)
    gain, offset_W, covariance, chi2 = _line(x, y, points)
    if gain <= 0:
        raise UserError(
            f"the meter falls where the sensor rises (gain {gain:.3g}); is {against} the meter of this board, and is "
            "nothing else behind it?"
        )
    covariance = _widened(covariance, chi2, len(points) - 2) + accuracy**2 * np.outer([gain, offset_W], [gain, offset_W])
    gain_u, offset_u_W = (math.sqrt(value) for value in np.diag(covariance))
    made = day.isoformat()
    return Fit(
        calibration=Calibration(gain, offset_W, gain_u, offset_u_W, float(covariance[0, 1]), against, scope, made, level),
        points=tuple(points),
        degrees=len(points) - 2,
        gain_interval=(gain - NORMAL * gain_u, gain + NORMAL * gain_u),
        offset_interval_W=(offset_W - NORMAL * offset_u_W, offset_W + NORMAL * offset_u_W),
        residuals_W=tuple(float(value) for value in y - gain * x - offset_W),
        as_read=_apart(points, 1.0, 0.0),
        corrected=_apart(points, gain, offset_W),
    )


def _powers_W(points: Sequence[Point]) -> tuple[Any, Any]:
    """Watts of the sensor and of the meter. Raises UserError where a line cannot be fitted to them."""
    loads = sorted({point.load for point in points})
    if len(loads) < LEAST_LOADS:
        raise UserError(f"a calibration needs idle and two loads, found {len(loads)} loads with readings; give more loads")
    x, y = np.array([p.sensor_W for p in points]), np.array([p.meter_W for p in points])
    if x.max() - x.min() < LEAST_SPREAD * abs(x).max():
        raise UserError(
            f"the loads hardly differ ({x.min():.2f} to {x.max():.2f} W on the sensor); calibrate with idle, half and full load"
        )
    return x, y


def _widened(covariance: Any, chi2: float, degrees: int) -> Any:
    """The covariance with the scatter around the line where it is larger, and Student's t for the few points."""
    return covariance * max(1.0, chi2 / degrees) * (t_quantile(degrees) / NORMAL) ** 2


def _line(x: Any, y: Any, points: Sequence[Point]) -> tuple[float, float, Any, float]:
    """Gain, offset, their covariance by the points' uncertainties, and chi squared.

    A point's variance needs the gain, so again and again until it stays.
    """
    design = np.stack([x, np.ones_like(x)], axis=1)
    gain, offset_W = (float(value) for value in np.linalg.lstsq(design, y, rcond=None)[0])
    # Where no uncertainty is known the scatter says everything: all weights are equal, and chi squared is large.
    least = 1e-9 * max(float(abs(y).max()), 1e-3)
    meter, sensor = (np.array([getattr(p, name) for p in points]) for name in ("meter_u_W", "sensor_u_W"))
    for _ in range(20):
        u = np.sqrt(meter**2 + (gain * sensor) ** 2 + least**2)
        weighed = design / u[:, None]
        covariance = np.linalg.inv(weighed.T @ weighed)
        before, (gain, offset_W) = gain, (float(value) for value in covariance @ weighed.T @ (y / u))
        if abs(gain - before) <= 1e-12 * abs(gain):
            break
    residuals = (y - gain * x - offset_W) / u
    return gain, offset_W, covariance, float(residuals @ residuals)


def _apart(points: Sequence[Point], gain: float, offset_W: float) -> float:
    """The largest relative distance between the Olympic means of the two over all loads."""
    distances = []
    for load in {point.load for point in points}:
        of_load = [point for point in points if point.load == load]
        sensor, meter = (olympic([getattr(p, name) for p in of_load]) for name in ("sensor_W", "meter_W"))
        distances.append(abs(gain * sensor + offset_W - meter) / abs(meter) if meter else math.inf)
    return max(distances)


def olympic(values: Sequence[float]) -> float:
    """The mean without the largest and the smallest; of one or two values the plain mean.

    Args:
        values: At least one, in any order.

    Returns:
        The mean, in the unit of the values.
    """
    ordered = sorted(values)
    return fmean(ordered[1:-1] if len(ordered) > 2 else ordered)


def is_full_test(points: Sequence[Point], seconds: float) -> bool:
    """Whether the points are those of MLPerf's test: idle and two loads, each five times a minute.

    Args:
        points: The points that have good readings.
        seconds: How long each was measured.

    Returns:
        True where number of loads, rounds and seconds are enough.
    """
    counts = [sum(point.load == load for point in points) for load in {point.load for point in points}]
    idle = any(point.load == 0 for point in points)
    return idle and len(counts) >= LEAST_LOADS and min(counts) >= MLPERF_ROUNDS and seconds >= MLPERF_SECONDS


def write_calibration(path: Path, host: str, source: str, fitted: Fit, about: Mapping[str, Any]) -> None:
    """One file for a host and a source, with the powers that it was fitted to.

    Args:
        path: The file, overwritten where it exists.
        host: The host's name in the inventory.
        source: The sensor's source on it.
        fitted: What ``fit`` returned.
        about: Further keys of the file, which say how the powers were measured.

    Raises:
        UserError: The file cannot be written.
    """
    rows = [
        {**asdict(point), "residual_W": residual} for point, residual in zip(fitted.points, fitted.residuals_W, strict=True)
    ]
    text = {
        "schema": SCHEMA,
        "host": host,
        "source": source,
        **asdict(fitted.calibration),
        "degrees_of_freedom": fitted.degrees,
        "gain_interval": list(fitted.gain_interval),
        "offset_interval_W": list(fitted.offset_interval_W),
        "as_read": fitted.as_read,
        "corrected": fitted.corrected,
        **about,
        "loads": rows,
    }
    from bench.common.atomic_files import write_json

    try:
        write_json(path, text)
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror or error}); give another --out") from None
