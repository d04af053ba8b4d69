"""The coefficients of a board's power model from the mean powers of a session, with their residual. Pure.

    P = idle + sum over cores a(f) u^b + memory bytes + network bytes

For a given b the form is linear in coefficients that are not negative: ``scipy.optimize.nnls`` on relative deviations. b is
what makes these smallest. The uncertainty of the model is the relative residual, with the meter's accuracy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.common.user_error import UserError

PART = (0.1, 0.9)
"""A core that is busy between these shares of the time shows the exponent."""
EXPONENTS = (0.5, 3.0)
SHOWN_BY = {"memory_B_s": "stream", "network_B_s": "bytes"}
"""Counts of bytes, and the word of the load that shows what one costs."""
Array = NDArray[np.float64]


@dataclass(frozen=True)
class ModelPoint:
    """One load in one round: mean power with its random standard uncertainty, and what the kernel counted meanwhile.

    ``use`` and ``clocks_Hz`` are of each core (no clocks: not known), bytes are a second's; None where they cannot be counted.
    """

    words: str
    round: int
    watts: float
    u_W: float
    use: tuple[float, ...]
    clocks_Hz: tuple[float, ...] = ()
    memory_B_s: float | None = None
    network_B_s: float | None = None


@dataclass(frozen=True)
class FittedModel:
    """The coefficients, in W and J, and how well they fit.

    ``cpu_W_at`` has the watts above idle with all cores busy at each clock (Hz; 0 where clocks are not known). ``residual`` is
    the relative root mean square over the degrees of freedom, ``model_u`` has the meter's accuracy too.
    """

    idle_W: float
    cpu_W_at: tuple[tuple[float, float], ...]
    exponent: float
    memory_J_per_byte: float | None
    network_J_per_byte: float | None
    residual: float
    model_u: float
    degrees: int
    predicted_W: tuple[float, ...]


def fit_model(points: Sequence[ModelPoint], clocks_Hz: Sequence[float], accuracy: float) -> FittedModel:
    """Fit the model to the mean powers of a session.

    Args:
        points: Of all loads and rounds.
        clocks_Hz: The clocks that were set, rising; empty: none could be.
        accuracy: Of the meter, relative standard uncertainty (0: not known).

    Returns:
        The coefficients with their residual.

    Raises:
        UserError: The points cannot tell the coefficients apart, or a power is not positive.
    """
    watts = np.array([point.watts for point in points])
    if not len(points) or watts.min() <= 0:
        least = "no load was measured" if not len(points) else f"{watts.min():.3g} W under a load"
        raise UserError(f"no model fits {least}; look at the meter with python -m bench.doctor energy")
    names = [name for name, word in SHOWN_BY.items() if any(word in p.words for p in points) and _counted(points, name)]
    others = np.array([[getattr(point, name) for name in names] for point in points], dtype=np.float64).reshape(len(points), -1)
    part = any(PART[0] < use < PART[1] for point in points for use in point.use)
    exponent = _exponent(points, clocks_Hz, others, watts) if part else 1.0
    columns = _columns(points, clocks_Hz, others, exponent)
    if np.linalg.matrix_rank(columns / columns.max(axis=0).clip(1e-30)) < columns.shape[1]:
        raise UserError("the loads of this session do not tell the coefficients apart; measure idle and at least two loads")
    coefficients, predicted = _solve(columns, watts)
    degrees = len(points) - columns.shape[1] - int(part)
    if degrees < 1:
        raise UserError(f"{len(points)} segments for {columns.shape[1] + int(part)} coefficients; use more --rounds")
    residual = math.sqrt(float(np.sum((predicted / watts - 1) ** 2)) / degrees)
    cores, levels = len(points[0].use), list(clocks_Hz) or [0.0]
    of_bytes = dict(zip(names, coefficients[1 + len(levels) :].tolist(), strict=True))
    return FittedModel(
        idle_W=float(coefficients[0]),
        cpu_W_at=tuple((clock, cores * float(core_W)) for clock, core_W in zip(levels, coefficients[1:], strict=False)),
        exponent=exponent,
        memory_J_per_byte=of_bytes.get("memory_B_s"),
        network_J_per_byte=of_bytes.get("network_B_s"),
        residual=residual,
        model_u=math.hypot(residual, accuracy),
        degrees=degrees,
        predicted_W=tuple(predicted.tolist()),
    )


def _counted(points: Sequence[ModelPoint], name: str) -> bool:
    rates = [getattr(point, name) for point in points]
    return None not in rates and max(rates) > 0


def _exponent(points: Sequence[ModelPoint], clocks_Hz: Sequence[float], others: Array, watts: Array) -> float:
    """The b with the smallest relative deviations."""
    from scipy.optimize import minimize_scalar

    def deviation(exponent: float) -> float:
        _, predicted = _solve(_columns(points, clocks_Hz, others, exponent), watts)
        return float(np.sum((predicted / watts - 1) ** 2))

    return float(minimize_scalar(deviation, bounds=EXPONENTS, method="bounded", options={"xatol": 1e-4}).x)


def _columns(points: Sequence[ModelPoint], clocks_Hz: Sequence[float], others: Array, exponent: float) -> Array:
    """One row for each point: 1, the weighted use of all cores at each clock, bytes."""
    use = np.array([point.use for point in points]) ** exponent
    if not len(clocks_Hz) or not all(point.clocks_Hz for point in points):
        at_clocks = np.zeros((len(points), max(len(clocks_Hz), 1)))
        at_clocks[:, -1] = use.sum(axis=1)
    else:
        rates = np.array([point.clocks_Hz for point in points])
        levels = np.eye(len(clocks_Hz))
        at_clocks = np.stack([(use * np.interp(rates, clocks_Hz, level)).sum(axis=1) for level in levels], axis=1)
    return np.column_stack([np.ones(len(points)), at_clocks, others])


def _solve(columns: Array, watts: Array) -> tuple[Array, Array]:
    """Coefficients that are not negative, and the powers that they predict: least squares of relative deviations."""
    from scipy.optimize import nnls

    scale = columns.max(axis=0).clip(1e-30)  # bytes are ten orders above uses
    coefficients, _ = nnls(columns / scale / watts[:, None], np.ones(len(watts)))
    coefficients = coefficients / scale
    return coefficients, columns @ coefficients
