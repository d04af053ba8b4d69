"""How well the joules of a configuration are known: what the sensor may be wrong by, and how far the repeats lie apart.

The two are different questions. A second sensor of the same make would answer the first, more repeats the second; so they are
kept apart, and combined only at the end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist

import pandas as pd

from analysis.statistics.repeat_summary import summarise, why_no_interval
from bench.common.median_interval import CONFIDENCE

COVERAGE_FACTOR = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
"""1.96: from a standard uncertainty to a half-width of 95 % (GUM 6.2, 6.3)."""


@dataclass(frozen=True)
class Uncertainty:
    """All in the unit of the values, for 95 %.

    ``spread_low`` and ``spread_high``: of the median, from the repeats. ``random_half_width`` is that of one repeat and shows
    in the spread already; ``systematic_half_width`` is that of them all. Null where the record has none, or where the spread
    is unknown (``why``).
    """

    median: float
    n: int
    spread_low: float | None
    spread_high: float | None
    random_half_width: float | None
    systematic_half_width: float | None
    combined_low: float | None
    combined_high: float | None
    combined_half_width: float | None
    why: str | None

    @property
    def measurement_half_width(self) -> float | None:
        """Of one repeat, as its record has it: both parts in quadrature."""
        if self.random_half_width is None or self.systematic_half_width is None:
            return None
        return math.hypot(self.random_half_width, self.systematic_half_width)


def combine(
    values: Sequence[float], random_shares: Sequence[float | None], systematic_shares: Sequence[float | None]
) -> Uncertainty:
    """Of repeats with one sensor, whose standard uncertainties are ``shares`` of each value.

    The systematic error (accuracy class, calibration) is the same in all repeats, so it does not shrink with their number: the
    repeats are correlated (GUM 5.2.4). The random error is drawn anew in each, so the spread of the repeats contains it, and it
    must not be counted twice. The median's distances to the ends of its interval by rank, d, and the systematic standard
    uncertainty, u, are independent and add in quadrature (GUM 5.1.2, with coverage factor k = 1.96):

        combined_high - median = sqrt(d_high^2 + (k u)^2), and the same below.

    Where repeats state different shares, the largest counts. GUM is JCGM 100:2008.

    Args:
        values: Of the repeats, in any unit.
        random_shares: Of each, the standard uncertainty that is drawn anew, as a share of the value; None where not stated.
        systematic_shares: Of each, the standard uncertainty that all have in common, likewise.

    Returns:
        For 95 %, in the unit of the values; the combined interval is null where the spread or a systematic share is not known.
    """
    repeats = summarise(values)
    random, systematic = (_widest(shares, repeats.median) for shares in (random_shares, systematic_shares))
    low = high = half = None
    if repeats.low is not None and repeats.high is not None and systematic is not None:
        low = repeats.median - math.hypot(repeats.median - repeats.low, systematic)
        high = repeats.median + math.hypot(repeats.high - repeats.median, systematic)
        half = (high - low) / 2
    why = why_no_interval(repeats.n) or ("a record states no uncertainty of its energy" if systematic is None else None)
    return Uncertainty(repeats.median, repeats.n, repeats.low, repeats.high, random, systematic, low, high, half, why)


def _widest(shares: Sequence[float | None], median: float) -> float | None:
    known = [share for share in shares if share is not None and not math.isnan(share)]
    return COVERAGE_FACTOR * max(known) * median if known and len(known) == len(shares) else None


def energy_uncertainty(points: pd.DataFrame) -> pd.DataFrame:
    """How well the joules per sample of each configuration are known.

    Points without energy have no row. Of modelled energy the common part has the model's uncertainty.

    Args:
        points: Rows of ``analysis/study/point_table.py``, of any works.

    Returns:
        One row for each configuration and kind of energy, with the fields of ``Uncertainty`` for ``per_sample_J`` (unit J).
    """
    rows = []
    for (kind, label), group in points[points["kind"] != "none"].groupby(["kind", "label"], sort=False):
        known = group[group["per_sample_J"].notna()]
        if not known.empty:
            columns = (known[column].tolist() for column in ("per_sample_J", "random_share", "systematic_share"))
            uncertainty = combine(*columns)
            numbers = {f"{name}_J" if name not in ("n", "why") else name: value for name, value in asdict(uncertainty).items()}
            half_J = uncertainty.measurement_half_width
            rows.append({"configuration": label, "kind": kind, **numbers, "measurement_half_width_J": half_J})
    return pd.DataFrame(rows)
