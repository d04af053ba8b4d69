"""Joules between two times: exact on straight lines, right at edges and wraps, honest about gaps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.joules.channel import Calibration, Channel, Trace, cover
from bench.joules.energy_curve import Curve, curve_of, joules_at
from bench.joules.integration import energy, sum_of_sensors, sum_of_windows
from bench.joules.reading_uncertainty import window_needed_s
from tests.bench.energy.simulator import Load, S, read


def trace(channel: Channel, times_s: list[float], raw: list[int], period_s: float = 0.1) -> Trace:
    t_ns = np.array([round(t * S) for t in times_s], dtype=np.int64)
    values = np.array(raw, dtype=np.int64).reshape(-1, 1)
    return Trace("h", "b", "x", "test", "measured", period_s, (channel,), t_ns, t_ns, values, label="h", covers=("h",))


def seconds(t_ns: float) -> float:
    return t_ns / S


def drawn(found: Trace) -> Curve:
    return curve_of(found, seconds)


def joules(found: Trace, begin: float, end: float) -> float:
    return energy(drawn(found), begin, end).joules


def quality(found: Trace, begin: float, end: float) -> str:
    return energy(drawn(found), begin, end).quality


COUNTER = Channel("c", "counter", 1e-6, "test", modulus=1_000_000)
PLAIN = Channel("c", "counter", 1e-6, "test")
POWER = Channel("p", "power", 1e-3, "test")


def test_a_counter_is_interpolated_at_the_edges() -> None:
    """10 W: 1 J in 0.1 s. The window lies between readings."""
    found = trace(PLAIN, [0, 0.1, 0.2, 0.3], [0, 1_000_000, 2_000_000, 3_000_000])
    assert joules(found, 0.05, 0.25) == pytest.approx(2.0)


def test_a_wrapped_counter_goes_on() -> None:
    found = trace(COUNTER, [0, 1, 2], [900_000, 950_000, 10_000])
    assert joules(found, 0, 2) == pytest.approx(0.11)


def test_a_counter_that_went_backwards_is_named_not_hidden() -> None:
    assert quality(trace(PLAIN, [0, 1, 2], [500, 600, 10]), 0, 2) == "counter c went backwards"


def test_a_counter_that_was_set_to_zero_is_no_wrap() -> None:
    """0.05 J a second, then a step that as a wrap would be 2.9 J; a wrap continues with the usual step."""
    reset = trace(replace(COUNTER, modulus=4_000_000), [0, 1, 2, 3], [1_000_000, 1_050_000, 1_100_000, 0])
    assert quality(reset, 0, 2) == "counter c was reset"
    wrap = trace(COUNTER, [0, 1, 2, 3], [850_000, 900_000, 950_000, 0])
    assert quality(wrap, 0, 2) == "good"
    assert joules(wrap, 0, 3) == pytest.approx(0.15)


def test_a_counter_that_does_not_move_is_no_zero() -> None:
    assert quality(trace(PLAIN, [0, 1, 2, 3], [7, 7, 7, 7]), 0, 3) == "counter c does not move"


def test_times_that_go_backwards_are_said() -> None:
    assert quality(trace(PLAIN, [0, 1, 0.5, 3], [1, 2, 3, 4]), 0, 0.5) == "the times of test go backwards"


def test_power_is_integrated_by_trapezoids_with_edges() -> None:
    """A ramp from 0 to 10 W in 1 s has 5 J; the second half has 3.75 J."""
    found = trace(POWER, [0, 0.5, 1.0], [0, 5000, 10000], period_s=0.5)
    assert joules(found, 0, 1) == pytest.approx(5.0)
    assert joules(found, 0.5, 1.0) == pytest.approx(3.75)


def test_a_step_in_power_between_counter_readings_is_not_lost() -> None:
    """100 W for 5 s, then 10 W for 5 s: 550 J, not what sampled power would give."""
    found = trace(Channel("c", "counter", 1e-3, "t"), [0, 5, 10], [0, 500_000, 550_000], period_s=5)
    assert joules(found, 0, 10) == pytest.approx(550)


def test_gaps_and_uncovered_windows_are_said() -> None:
    found = trace(POWER, [0, 0.1, 0.9, 1.0], [1000] * 4)
    assert quality(found, 0.0, 1.0) == "gap"
    assert quality(found, 0.0, 0.1) == "good"
    assert quality(found, 0.0, 1.5) == "uncovered"


def test_the_modelled_baseline_passes_with_time() -> None:
    """14 W idle and 0.135 J for each busy tick: 2 s with 100 ticks are 28 + 13.5 J."""
    channel = Channel("cpu", "counter", 0.135, "t", baseline_W=14.0)
    assert joules(trace(channel, [0, 1, 2], [1000, 1050, 1100]), 0, 2) == pytest.approx(41.5)


def test_totals_count_nothing_twice() -> None:
    """psys contains the packages, a package its cores; memory stands beside the package. A meter has everything."""
    channels = [
        Channel("psys", "counter", 1, "", contains=("package-0", "package-0/core", "package-0/dram")),
        Channel("package-0", "counter", 1, "", contains=("package-0/core",)),
        Channel("package-0/core", "counter", 1, ""),
        Channel("package-0/dram", "counter", 1, ""),
    ]
    assert cover(channels) == [0]
    assert cover(channels[1:]) == [0, 2]
    assert cover([*channels, Channel("plug", "power", 1, "", contains=("*",))]) == [4]


SEARCHED = 5
"""Uncertainties. These examples are searched for; how many of those drawn at random lie within three of them is asserted in
``test_sensor_families``."""
LOADS = st.builds(
    Load,
    base_W=st.floats(3, 60),
    swing_W=st.floats(0.5, 2.9),
    frequency_Hz=st.floats(0.2, 3),
    step_W=st.sampled_from([0.0, 4.0, 20.0]),
    period_s=st.floats(0.15, 2.0),
    duty=st.floats(0.2, 0.8),
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    load=LOADS,
    begin=st.floats(1, 5),
    length=st.floats(3, 30),
    period=st.sampled_from([0.05, 0.1, 0.25]),
    update=st.sampled_from([0.001, 0.02, 0.1]),
    quantum=st.sampled_from([1, 61, 10_000, 3_600_000]),
    wraps=st.booleans(),
    seed=st.integers(0, 999),
)
def test_no_counter_is_far_out(
    load: Load, begin: float, length: float, period: float, update: float, quantum: int, wraps: bool, seed: int
) -> None:
    """Stale values, coarse steps, wraps, jittered readings, windows anywhere."""
    modulus = 2**32 if wraps else None
    channel = Channel("c", "counter", 1e-6, "t", update_period_s=update, lsb=quantum, modulus=modulus)
    sampled = read(channel, load.energy_J, begin + length, period, seed, begin_raw=2**32 - 40_000_000 if wraps else 0)
    found = energy(curve_of(sampled, seconds), begin, begin + length)
    assert found.quality == "good"
    assert abs(found.joules - (load.energy_J(begin + length) - load.energy_J(begin))) <= SEARCHED * found.uncertainty_J


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    load=LOADS,
    begin=st.floats(1, 5),
    length=st.floats(5, 40),
    period=st.sampled_from([0.05, 0.1, 1.0]),
    update=st.sampled_from([0.0, 0.0066, 0.1, 1.0]),
    noise=st.sampled_from([0.0, 0.1]),
    seed=st.integers(0, 999),
)
def test_no_power_meter_is_far_out(
    load: Load, begin: float, length: float, period: float, update: float, noise: float, seed: int
) -> None:
    """What happens between readings of power is unknown: aliasing is in the uncertainty."""
    channel = Channel("p", "power", 1e-3, "t", update_period_s=update, lsb=1, noise_W=noise)
    sampled = read(channel, load.energy_J, begin + length, period, seed, start_s=update)
    found = energy(curve_of(sampled, seconds), begin, begin + length)
    assert found.quality == "good"
    assert abs(found.joules - (load.energy_J(begin + length) - load.energy_J(begin))) <= SEARCHED * found.uncertainty_J


def test_the_uncertainty_is_no_excuse() -> None:
    """Three uncertainties of a fast counter are under 1 % of 20 s, and of a meter of 1 Hz with 61 readings under 10 %."""
    load = Load()
    fast = read(Channel("c", "counter", 1e-6, "t", update_period_s=1e-3, lsb=61), load.energy_J, 22, 0.05)
    slow = read(Channel("p", "power", 1e-3, "t", update_period_s=1.0), load.energy_J, 62, 1.0, start_s=1.0)
    one, other = energy(curve_of(fast, seconds), 1, 21), energy(curve_of(slow, seconds), 1, 61)
    assert 3 * one.uncertainty_J < 0.01 * one.joules
    assert 3 * other.uncertainty_J < 0.10 * other.joules


def test_random_errors_average_out_and_systematic_ones_do_not() -> None:
    channel = replace(PLAIN, accuracy=0.02, lsb=61)
    found = drawn(trace(channel, [0, 1, 2, 3, 4], [0, 10_000_000, 20_000_000, 30_000_000, 40_000_000]))
    one, two = energy(found, 0.5, 1.5), energy(found, 2.5, 3.5)
    whole = sum_of_windows([one, two])
    assert whole.systematic_J == pytest.approx(0.02 * 20)
    assert whole.random_J == pytest.approx(np.hypot(one.random_J, two.random_J))
    assert sum_of_sensors([one, two]).systematic_J == pytest.approx(0.02 * 10 * np.sqrt(2))


def test_a_calibration_corrects_and_brings_its_uncertainty() -> None:
    """10 W on the sensor are 1.1 * 10 + 0.5 W: 23 J in 2 s, known to 0.01 * 20 J and 0.05 W * 2 s."""
    calibration = Calibration(1.1, 0.5, 0.01, 0.05, 0.0, "wt310", "wall", "2026-01-01")
    found = replace(trace(POWER, [0, 1, 2], [10_000] * 3, 1.0), calibration=calibration)
    read_off = energy(drawn(found), 0, 2)
    assert read_off.joules == pytest.approx(23.0)
    rounded = 1.1 * 2 * 0.001 / np.sqrt(12)  # and a steady load to steps of 1 mW
    assert read_off.systematic_J == pytest.approx(np.hypot(np.hypot(0.2, 0.1), rounded))


def test_the_window_that_one_per_cent_needs() -> None:
    """T / (sqrt(6) * 1 %) for edges, q / (sqrt(6) * 1 % * P) for resolution: 41 s for a meter of 1 Hz, 29 s for steps of
    3.6 J at 5 W, and 60 readings."""
    meter = Channel("m", "power", 1, "", update_period_s=1.0)
    assert window_needed_s([meter], 0.001, samples=1) == pytest.approx(40.8, abs=0.1)
    assert window_needed_s([meter], 0.001) == pytest.approx(60.0)  # 60 renewals: repeats are no readings
    assert window_needed_s([meter], 1.0) == pytest.approx(60.0)
    plug = Channel("w", "counter", 3.6, "", update_period_s=0.01)
    assert window_needed_s([plug], 0.05, [5.0]) == pytest.approx(29.4, abs=0.1)
    assert window_needed_s([plug], 0.05, [float("nan")]) == pytest.approx(3.0)


def test_reading_a_curve_keeps_the_total() -> None:
    found = drawn(trace(POWER, [0, 1, 2], [1000, 3000, 2000], 1.0))
    assert float(np.diff(joules_at(found, [0, 2]))[0]) == pytest.approx(4.5)
