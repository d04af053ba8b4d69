"""Joules between two times: exact on straight lines, right at edges and wraps, honest about gaps."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.energy.attribute import by_state
from bench.energy.channel import Channel, HostTrace, cover
from bench.energy.clock import ClockModel, Offset
from bench.energy.integrate import at, curve, energy, window_needed_s

S = 1_000_000_000


def trace(channel: Channel, times_s: list[float], raw: list[int], period_s: float = 0.1) -> HostTrace:
    t_ns = np.array([round(t * S) for t in times_s], dtype=np.int64)
    values = np.array(raw, dtype=np.int64).reshape(-1, 1)
    return HostTrace("h", "b", "x", "test", "measured", period_s, (channel,), t_ns, t_ns, values)


def seconds(t_ns: float) -> float:
    return t_ns / S


def joules(found: HostTrace, begin: float, end: float) -> float:
    return energy(found, curve(found, seconds), begin, end).joules


COUNTER = Channel("c", "counter", 1e-6, "test", modulus=1_000_000)
POWER = Channel("p", "power", 1e-3, "test")


def test_a_counter_is_interpolated_at_the_edges() -> None:
    """10 W: 1 J in 0.1 s. The window lies between readings."""
    found = trace(Channel("c", "counter", 1e-6, "t"), [0, 0.1, 0.2, 0.3], [0, 1_000_000, 2_000_000, 3_000_000])
    assert joules(found, 0.05, 0.25) == pytest.approx(2.0)


def test_a_wrapped_counter_goes_on() -> None:
    found = trace(COUNTER, [0, 1, 2], [900_000, 950_000, 10_000])
    assert joules(found, 0, 2) == pytest.approx(0.11)


def test_a_counter_that_went_backwards_is_named_not_hidden() -> None:
    found = trace(Channel("c", "counter", 1e-6, "t"), [0, 1, 2], [500, 600, 10])
    assert energy(found, curve(found, seconds), 0, 2).quality == "counter c went backwards"


def test_power_is_integrated_by_trapezoids_with_edges() -> None:
    """A ramp from 0 to 10 W in 1 s has 5 J; between 0.25 s and 0.75 s half of it at 5 W on average."""
    found = trace(POWER, [0, 0.5, 1.0], [0, 5000, 10000], period_s=0.5)
    assert joules(found, 0, 1) == pytest.approx(5.0)
    assert joules(found, 0.5, 1.0) == pytest.approx(3.75)


def test_a_step_in_power_between_counter_readings_is_not_lost() -> None:
    """100 W for 5 s, then 10 W for 5 s: 550 J, not what sampled power would give."""
    found = trace(Channel("c", "counter", 1e-3, "t"), [0, 5, 10], [0, 500_000, 550_000], period_s=5)
    assert joules(found, 0, 10) == pytest.approx(550)


def test_gaps_and_uncovered_windows_are_said() -> None:
    found = trace(POWER, [0, 0.1, 0.9, 1.0], [1000] * 4)
    assert energy(found, curve(found, seconds), 0.0, 1.0).quality == "gap"
    assert energy(found, curve(found, seconds), 0.0, 0.1).quality == "good"
    assert energy(found, curve(found, seconds), 0.0, 1.5).quality == "uncovered"


def test_the_modelled_baseline_passes_with_time() -> None:
    """14 W idle and 0.135 J for each busy tick: 2 s with 100 ticks are 28 + 13.5 J."""
    channel = Channel("cpu", "counter", 0.135, "t", baseline_W=14.0)
    assert joules(trace(channel, [0, 1, 2], [1000, 1050, 1100]), 0, 2) == pytest.approx(41.5)


def test_totals_count_nothing_twice() -> None:
    """psys contains the packages, a package its cores; memory stands beside the package."""
    channels = [
        Channel("psys", "counter", 1, "", contains=("package-0", "package-0/core", "package-0/dram")),
        Channel("package-0", "counter", 1, "", contains=("package-0/core",)),
        Channel("package-0/core", "counter", 1, ""),
        Channel("package-0/dram", "counter", 1, ""),
    ]
    assert cover(channels) == [0]
    assert cover(channels[1:]) == [0, 2]


@settings(max_examples=60, deadline=None)
@given(
    begin=st.floats(1, 5),
    length=st.floats(3, 30),
    period=st.sampled_from([0.05, 0.1, 0.25]),
    update=st.sampled_from([0.001, 0.02, 0.1]),
    frequency=st.floats(0.2, 3),
    quantum=st.sampled_from([1, 61, 10_000]),
)
def test_the_error_stays_inside_three_uncertainties(
    begin: float, length: float, period: float, update: float, frequency: float, quantum: int
) -> None:
    """A counter of an analytic load, 12 + 5 sin W, renewed every ``update`` s in steps of ``quantum`` uJ, sampled with
    jitter: never a constant load, which would hide wrong edges."""

    def truth(t: float) -> float:
        return 12 * t - 5 / (2 * math.pi * frequency) * (math.cos(2 * math.pi * frequency * t) - 1)

    random = np.random.default_rng(int(begin * 1e6))
    times = [0.0]
    while times[-1] < begin + length + 1:
        times.append(times[-1] + period * random.uniform(0.9, 1.1))
    raw = [int(truth(math.floor(t / update) * update) * 1e6) // quantum * quantum for t in times]
    channel = Channel("c", "counter", 1e-6, "t", update_period_s=update, lsb=quantum)
    sampled = trace(channel, times, raw, period)
    found = energy(sampled, curve(sampled, seconds), begin, begin + length)
    assert found.quality == "good"
    assert abs(found.joules - (truth(begin + length) - truth(begin))) <= 3 * found.uncertainty_J


def test_the_window_that_one_per_cent_needs() -> None:
    """T / (sqrt(6) * 1 %), and 60 readings: 41 s for a meter of 1 Hz, 60 s of readings for it."""
    assert window_needed_s([Channel("m", "power", 1, "", update_period_s=1.0)], 0.001) == pytest.approx(40.8, abs=0.1)
    assert window_needed_s([Channel("m", "power", 1, "", update_period_s=1.0)], 1.0) == pytest.approx(60.0)


def test_states_share_a_host_and_add_up() -> None:
    """Two ranks on one host at 10 W then 20 W: rank 1 waits while power is 20 W, and gets half of it."""
    found = curve(trace(Channel("c", "counter", 1, "t"), [0, 1, 2], [0, 10, 30]), seconds)
    parts = by_state({"h": found}, {0: "h", 1: "h"}, {0: [], 1: [(1.0, 1.5, "wait"), (1.5, 2.0, "communicate")]}, [(0, 2)])
    assert parts == pytest.approx({"compute_J": 20.0, "communicate_J": 5.0, "wait_J": 5.0})


def test_clocks_of_other_hosts_are_put_on_rank_0s_axis() -> None:
    """Rank 1's clock is 5 s ahead and gains 100 ppm; rank 2 shares rank 0's machine."""

    def other(t: float) -> float:
        return t + 5 * S + 1e-4 * t

    before = [Offset(0, "a", 0, 0, 0), Offset(1, "b", other(0) - 0, 2000, round(other(0))), Offset(2, "a", 7, 900, 0)]
    after_at = 3600 * S
    after = [
        Offset(0, "a", 0, 0, after_at),
        Offset(1, "b", other(after_at) - after_at, 3000, round(other(after_at))),
        Offset(2, "a", -4, 900, after_at),
    ]
    model = ClockModel.fit(before, after)
    for t in (0, 1000 * S, 3600 * S):
        assert model.to_common(1, other(t)) == pytest.approx(t, abs=2)
    assert model.to_common(2, 123.0) == 123.0
    assert model.bound_s == pytest.approx(1.5e-6)


def test_reading_a_curve_keeps_the_total() -> None:
    found = curve(trace(POWER, [0, 1, 2], [1000, 3000, 2000], 1.0), seconds)
    assert float(np.diff(at(found, [0, 2]))[0]) == pytest.approx(4.5)
