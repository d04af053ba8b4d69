"""Powers of phases that are shorter than the readings, by least squares over many readings (low-rate folding).

Reading j has ``E_j = sum_k p_k t_kj``: the seconds t_kj that its interval spent in phase k follow from the ranks' events, the
powers p_k from all readings together (Lang and Ruenger, Euro-Par 2013). Two things of real sensors would bend the answer and
are taken out:

- a reading shows what was renewed some time before it, and some sensors filter on top: the delay is the one that fits best;
- the edges of an interval are only known to the update or the sampling period. Errors in the t_kj pull the powers towards each
  other. Their covariance S is found by moving the edges at random within what is known, and n S is taken off the normal
  matrix (W. A. Fuller, Measurement Error Models, 1987, section 2.2).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bench.joules.channel import cover
from bench.joules.energy_curve import Array, Curve

ROWS_PER_LABEL = 10
MOST_CONDITION = 30.0
MOST_NOISE = 1 / 3
LAGS = 33
DRAWS = 16
BLOCKS = 10

Spans = Sequence[tuple[float, float]]


class CannotFold(Exception):
    """The readings do not tell the phases apart; the message says why."""

    def __init__(self, why: str, condition: float | None = None) -> None:
        super().__init__(why)
        self.condition = condition


@dataclass(frozen=True)
class Folded:
    """Watts of each label and their standard errors, the condition number of the scaled matrix, and what was read."""

    power_W: Array
    error_W: Array
    condition: float
    readings: int
    delay_s: float


@dataclass(frozen=True)
class Intervals:
    """The joules that each reading has, between ``begin_s`` and ``end_s``.

    The edges are known to ``blur_s`` and late by up to ``late_s`` (least, most); ``rigid`` where both edges of an interval
    are off by the same time.
    """

    begin_s: Array
    end_s: Array
    joules: Array
    blur_s: float
    late_s: tuple[float, float]
    rigid: bool


class Spent:
    """Seconds spent in each label before any time, mean over ranks. The first label has what the others leave."""

    def __init__(self, ranks: Sequence[Mapping[str, Spans]], labels: Sequence[str], rest: str | None) -> None:
        self.ranks = len(ranks)
        self.tables = [[_cumulated(stretches.get(label, ())) for stretches in ranks] for label in labels if label != rest]
        self.rest = None if rest is None else list(labels).index(rest)

    def before(self, times_s: Array) -> Array:
        """Seconds in each label before given times.

        Args:
            times_s: Seconds on the common axis, [times].

        Returns:
            Seconds, [times, labels].
        """
        columns = [np.sum([np.interp(times_s, *table) for table in tables], axis=0) / self.ranks for tables in self.tables]
        if self.rest is not None:
            columns.insert(self.rest, times_s - np.sum(columns, axis=0))
        return np.stack(columns, axis=1)


def _cumulated(stretches: Spans) -> tuple[Array, Array]:
    spans = np.asarray(sorted(stretches), dtype=np.float64).reshape(-1, 2)
    if not len(spans):
        return np.array([0.0]), np.array([0.0])
    done = np.concatenate([[0.0], np.cumsum(np.diff(spans).ravel())])
    return spans.ravel(), np.stack([done[:-1], done[1:]], axis=1).ravel()


def fold(curve: Curve, spent: Spent, windows: Spans, labels: int) -> Folded:
    """Fit the power of each label.

    Args:
        curve: Cumulative joules of one trace.
        spent: Seconds of the labels, of the ranks that it powers.
        windows: Begin and end of the timed windows, in seconds; only readings inside count.
        labels: How many labels there are.

    Raises:
        CannotFold: The readings do not tell the labels apart, with the reason.

    Returns:
        Watts of each label with standard errors, and how well the readings tell them apart.
    """
    readings = intervals(curve)
    needed = ROWS_PER_LABEL * labels
    lag_s = _best_lag(readings, spent, windows)
    inside = _inside(readings, windows, lag_s)
    if len(inside.joules) < needed:
        raise CannotFold(f"{len(inside.joules)} readings for {labels} phases, {needed} needed: a longer window")
    rows = _rows(inside, spent)
    condition = _condition(rows, labels)
    blur = _blur(inside, spent, rows)
    noise = _noise(rows, blur)
    if noise > MOST_NOISE:
        raise CannotFold(
            f"when the sensor was renewed is known to {1e3 * inside.blur_s:.1f} ms only, and that makes "
            f"{100 * min(noise, 1):.0f} % of what tells the phases apart (at most {100 * MOST_NOISE:.0f} %): read it faster "
            "(energy.period_s) or use a faster source",
            condition,
        )
    try:
        power_W, error_W = _solve(rows, inside.joules, blur)
    except np.linalg.LinAlgError:  # phases that come together wherever one of the blocks is left out
        raise CannotFold("one tenth of the readings alone tells the phases apart: a longer window", condition) from None
    return Folded(power_W, error_W, condition, len(rows), lag_s)


def _condition(rows: Array, labels: int) -> float:
    """The condition number of the scaled matrix. Raises CannotFold where it, or the place of a label, forbids a fit."""
    lengths = np.linalg.norm(rows, axis=0)
    if not lengths.all():
        raise CannotFold(
            f"no reading falls into {np.count_nonzero(lengths == 0)} of {labels} phases: a faster source is needed"
        )
    condition = float(np.linalg.cond(rows / lengths))
    if not condition <= MOST_CONDITION:
        raise CannotFold(
            "the phases come in the same proportions in every reading (condition number "
            f"{condition:.0f}, at most {MOST_CONDITION:.0f}): a faster source is needed",
            condition,
        )
    alone = sum(_blocks_with(rows) < 2)
    if alone:  # without that block nothing is left of it
        raise CannotFold(
            f"{alone} of {labels} phases fall into one tenth of the readings alone, so their power has no error: "
            "a longer window",
            condition,
        )
    return condition


def intervals(curve: Curve) -> Intervals:
    """The stretch of time that the joules of each reading belong to.

    Args:
        curve: The readings of one source.

    Returns:
        Of a counter: from one renewal that was seen to the next. Of power: the update period before the reading.
    """
    trace, total, t_s = curve.trace, cover(curve.trace.channels), curve.read_s
    update_s = max(trace.channels[index].update_period_s for index in total)
    spacing_s = float(np.median(np.diff(t_s)))
    if all(trace.channels[index].kind == "counter" for index in total):
        if update_s <= trace.period_s:
            return Intervals(t_s[:-1], t_s[1:], np.diff(curve.read_joules), update_s, (0.0, 1.5 * update_s), False)
        moved = np.flatnonzero((np.diff(trace.raw[:, total], axis=0) != 0).any(axis=1)) + 1
        seen_s = (t_s[moved - 1] + t_s[moved]) / 2  # renewed somewhere between the readings before and after
        late_s = (-spacing_s / 2, spacing_s / 2)
        return Intervals(seen_s[:-1], seen_s[1:], np.diff(curve.read_joules[moved]), spacing_s, late_s, False)
    width_s = min(max(update_s, 1e-3), 10 * spacing_s)
    power_W: Array = np.sum([trace.raw[:, i] * trace.channels[i].scale for i in total], axis=0)
    if trace.calibration is not None:
        power_W = trace.calibration.gain * power_W + trace.calibration.offset_W
    return Intervals(t_s - width_s, t_s, power_W * width_s, update_s, (0.0, 1.5 * update_s), True)


def _inside(readings: Intervals, windows: Spans, lag_s: float) -> Intervals:
    begin_s, end_s = readings.begin_s - lag_s, readings.end_s - lag_s
    keep = np.zeros(len(begin_s), dtype=bool)
    for window_begin, window_end in windows:
        keep |= (begin_s >= window_begin) & (end_s <= window_end)
    return replace(readings, begin_s=begin_s[keep], end_s=end_s[keep], joules=readings.joules[keep])


def _rows(readings: Intervals, spent: Spent) -> Array:
    return spent.before(readings.end_s) - spent.before(readings.begin_s)


def _best_lag(readings: Intervals, spent: Spent, windows: Spans) -> float:
    """The sensor's delay beyond what its interval says, first on a coarse grid, then on a fine one.

    Only within what the sensor's renewal allows: a longer one could make the powers of neighbouring phases change places.
    """
    if not len(readings.joules) or readings.blur_s == 0:
        return 0.0
    tries, step_s = np.linspace(*readings.late_s, LAGS, retstep=True)
    coarse = min(tries, key=lambda lag: _left_over(readings, spent, windows, lag))
    fine = coarse + np.linspace(-1, 1, LAGS) * step_s
    return float(min(fine, key=lambda lag: _left_over(readings, spent, windows, lag)))


def _left_over(readings: Intervals, spent: Spent, windows: Spans, lag_s: float) -> float:
    """Mean square of the residuals; infinite where there are not enough rows to fit."""
    chosen = _inside(readings, windows, float(lag_s))
    rows = _rows(chosen, spent)
    if len(rows) <= rows.shape[1]:
        return math.inf
    powers, *_ = np.linalg.lstsq(rows, chosen.joules, rcond=None)
    return float(np.mean((chosen.joules - rows @ powers) ** 2))


def _blur(readings: Intervals, spent: Spent, rows: Array) -> Array:
    """Covariance of the errors of a row [labels, labels], by moving the edges within what is known of them."""
    random = np.random.default_rng(0)
    half_s, total = readings.blur_s / 2, np.zeros((rows.shape[1], rows.shape[1]))
    for _ in range(DRAWS):
        moves = random.uniform(-half_s, half_s, (2, len(rows)))
        begin_s, end_s = readings.begin_s + moves[0], readings.end_s + moves[0 if readings.rigid else 1]
        off = spent.before(end_s) - spent.before(begin_s) - rows
        total += off.T @ off
    return total / (DRAWS * len(rows))


def _blocks_with(rows: Array) -> NDArray[np.int64]:
    """In how many of the BLOCKS that errors are found with each label has any time."""
    return np.sum([(rows[part] != 0).any(axis=0) for part in _blocks(rows)], axis=0)


def _blocks(rows: Array) -> list[NDArray[np.int64]]:
    return np.array_split(np.arange(len(rows)), BLOCKS)


def _noise(rows: Array, blur: Array) -> float:
    """The share of the blur in the variation of the rows, in the direction where it is largest."""
    normal = rows.T @ rows / len(rows)
    return float(np.linalg.eigvals(np.linalg.solve(normal, blur)).real.max())


def _solve(rows: Array, joules: Array, blur: Array) -> tuple[Array, Array]:
    """Corrected powers, and standard errors.

    The errors are those of a jackknife over blocks of consecutive readings, and the size of the correction, for the blur is
    known no better than the sensor's description.
    """
    parts = _blocks(rows)
    normal = np.stack([rows[part].T @ rows[part] - len(part) * blur for part in parts])
    right = np.stack([rows[part].T @ joules[part] for part in parts])
    whole = np.linalg.solve(normal.sum(axis=0), right.sum(axis=0))
    without = np.stack(
        [np.linalg.solve(normal.sum(axis=0) - normal[i], right.sum(axis=0) - right[i]) for i in range(len(parts))]
    )
    spread = without - without.mean(axis=0)
    plain = np.linalg.lstsq(rows, joules, rcond=None)[0]
    return whole, np.sqrt((len(parts) - 1) / len(parts) * (spread**2).sum(axis=0) + (whole - plain) ** 2)
