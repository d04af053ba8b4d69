"""Joules of dilated boards: the same trace told in another time."""

from __future__ import annotations

import numpy as np
import pytest

from bench.joules.board_time import in_board_time
from bench.joules.channel import Channel, Trace
from bench.joules.energy_curve import curve_of, joules_at

IDLE_W, BUSY_W, QUOTA = 2.0, 6.0, 0.5


def trace(kind: str = "counter") -> Trace:
    """An emulated board that is busy for half of 16 s of this machine, read every 0.1 s; or a constant power."""
    t_ns = np.arange(0, 16_000_000_001, 100_000_000, dtype=np.int64)
    if kind == "power":
        channel = Channel("p", "power", 1e-3, "a power", update_period_s=0.1)
        raw = np.full((len(t_ns), 1), 4000, dtype=np.int64)
    else:
        scale = (BUSY_W - IDLE_W) / QUOTA * 1e-9
        channel = Channel("cpu-time", "counter", scale, "a board", "board", update_period_s=1e-3, baseline_W=IDLE_W)
        raw = (np.minimum(t_ns, 8_000_000_000) * QUOTA).astype(np.int64)[:, None]
    return Trace("b1", "boot", "x", "emulated", "modelled", 0.1, (channel,), t_ns, t_ns, raw)


@pytest.mark.parametrize("factor", [1.0, 4.0, 16.0])
def test_joules_are_the_boards_watts_over_its_seconds(factor: float) -> None:
    """Busy watts for the busy seconds and idle watts for the rest, in the boards' seconds: energy over time, in its time."""
    (told,) = in_board_time([trace()], factor)
    curve = curve_of(told, lambda t_ns: t_ns / 1e9 / factor)
    begin, half, end = joules_at(curve, [0.0, 8.0 / factor, 16.0 / factor])
    assert half - begin == pytest.approx(BUSY_W * 8.0 / factor)
    assert end - half == pytest.approx(IDLE_W * 8.0 / factor)


def test_a_power_stays_a_power() -> None:
    (told,) = in_board_time([trace("power")], 4.0)
    curve = curve_of(told, lambda t_ns: t_ns / 1e9 / 4.0)
    assert joules_at(curve, [4.0])[0] - joules_at(curve, [0.0])[0] == pytest.approx(4.0 * 4.0)


def test_periods_are_told_in_the_boards_time_and_readings_stay() -> None:
    before = trace()
    (told,) = in_board_time([before], 4.0)
    assert told.period_s == pytest.approx(before.period_s / 4)
    assert told.channels[0].update_period_s == pytest.approx(before.channels[0].update_period_s / 4)
    assert told.raw is before.raw
    assert told.t_before_ns is before.t_before_ns


def test_a_factor_of_one_changes_nothing() -> None:
    before = trace()
    (told,) = in_board_time([before], 1.0)
    assert told.channels == before.channels
    assert told.period_s == before.period_s
