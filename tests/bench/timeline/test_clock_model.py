"""Hosts whose clocks have nothing in common, on one axis."""

from __future__ import annotations

import pytest

from bench.timeline.clock_model import ClockModel, Offset
from tests.bench.energy.simulator import S


def test_clocks_of_other_hosts_are_put_on_rank_0s_axis() -> None:
    """Rank 1's clock is 5 s ahead and gains 100 ppm; rank 2 shares rank 0's machine."""

    def other(t: float) -> float:
        return t + 5 * S + 1e-4 * t

    before = [Offset(0, "a", 0, 0, 0), Offset(1, "b", other(0) - 0, 2000, round(other(0)), 40.0), Offset(2, "a", 7, 900, 0)]
    after_at = 3600 * S
    after = [
        Offset(0, "a", 0, 0, after_at),
        Offset(1, "b", other(after_at) - after_at, 3000, round(other(after_at)), 60.0),
        Offset(2, "a", -4, 900, after_at, 5000.0),
    ]
    model = ClockModel.fit(before, after)
    for t in (0, 1000 * S, 3600 * S):
        assert model.to_common(1, other(t)) == pytest.approx(t, abs=2)
    assert model.to_common(2, 123.0) == 123.0
    assert model.bound_s == pytest.approx(1.5e-6)
    assert model.residual_s == pytest.approx(60e-9)
    assert model.summary().drift_ppm == {"1": pytest.approx(100.0, rel=1e-3)}
