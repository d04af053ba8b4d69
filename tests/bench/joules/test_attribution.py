"""Whose joules: phases shorter and longer than the readings, refusals, shares of ranks."""

from __future__ import annotations

import math

import pytest

from bench.joules.attribution import attribute
from bench.joules.channel import Channel
from bench.joules.energy_curve import curve_of, joules_at
from bench.joules.integration import energy
from tests.bench.energy.simulator import Phases, S, read
from tests.bench.joules.test_integration import trace

STATES = ("compute", "communicate", "wait")
PHASES = ("other", "forward", "backward", "wait")
STEP = Phases([("forward", 0.187, 12.0), ("backward", 0.093, 6.5), ("wait", 0.0317, 8.0)])
LOCKED = Phases([("forward", 0.18, 12.0), ("backward", 0.09, 6.5), ("wait", 0.03, 8.0)])
"""A step of three renewals of a sensor of 0.1 s: the worst case, for each renewal sees the same part of a step."""


def seconds(t_ns: float) -> float:
    return t_ns / S


def test_long_states_are_read_off_the_curve_and_add_up() -> None:
    """Two ranks on one host at 10 W then 20 W: rank 1 waits while power is 20 W, and gets half of it."""
    times = [i / 10 for i in range(21)]
    found = curve_of(trace(Channel("c", "counter", 1, "t"), times, [i if i < 10 else 2 * i - 10 for i in range(21)]), seconds)
    ranks = {0: {}, 1: {"wait": [(1.0, 1.5)], "communicate": [(1.5, 2.0)]}}
    shares = attribute(found, ranks, [(0, 2)], STATES)
    assert shares.method == "interpolated"
    assert shares.joules == pytest.approx({"compute": 20.0, "communicate": 5.0, "wait": 5.0})
    assert shares.by_rank[1] == pytest.approx({"compute": 5.0, "communicate": 5.0, "wait": 5.0})
    assert shares.by_rank[0] == pytest.approx({"compute": 15.0, "communicate": 0.0, "wait": 0.0})


@pytest.mark.parametrize("step", [STEP, LOCKED], ids=["free", "locked"])
@pytest.mark.parametrize(
    ("channel", "period_s", "most_W"),
    [
        (Channel("c", "counter", 1e-6, "t", update_period_s=0.01, lsb=10_000), 0.05, 0.4),
        (Channel("c", "counter", 1e-6, "t", update_period_s=1e-3, lsb=61), 0.05, 0.1),
        (Channel("p", "power", 1e-3, "t", update_period_s=0.02), 0.05, 0.4),
        (Channel("p", "power", 1e-3, "t", update_period_s=0.0066, noise_W=0.1), 0.05, 0.1),
    ],
    ids=["counter of 10 ms", "RAPL", "power of 20 ms", "INA3221"],
)
def test_phases_shorter_than_the_readings_come_from_least_squares(
    step: Phases, channel: Channel, period_s: float, most_W: float
) -> None:
    """Phases of 187, 93 and 32 ms of 12, 6.5 and 8 W, 120 s: each within three standard errors, which are small."""
    found = curve_of(read(channel, step.energy_J, 121, period_s, start_s=0.5), seconds)
    shares = attribute(found, {0: step.stretches(121)}, [(1, 120)], PHASES)
    assert shares.method == "least squares"
    assert shares.condition is not None
    assert 1 < shares.condition < 10
    for phase, length_s, watts in step.phases:
        seconds_in = 119 * length_s / step.period_s
        error_W = shares.error_J[phase] / seconds_in
        assert abs(shares.joules[phase] / seconds_in - watts) < 3 * error_W + 0.01, phase
        assert error_W < most_W, phase
    assert shares.joules["other"] == 0
    assert math.fsum(shares.joules.values()) == pytest.approx(energy(found, 1, 120).joules)
    assert math.fsum(shares.by_rank[0].values()) == pytest.approx(math.fsum(shares.joules.values()))


def test_the_interpolation_would_smear_them() -> None:
    """Why least squares: read off a curve of 100 ms, the 30 ms of waiting get the power of their neighbours."""
    found = curve_of(read(Channel("c", "counter", 1e-6, "t", update_period_s=0.1), STEP.energy_J, 121, 0.05), seconds)
    spans = [span for span in STEP.stretches(120)["backward"] if span[0] > 1]
    smeared = sum(float(joules_at(found, [b])[0] - joules_at(found, [a])[0]) for a, b in spans) / sum(b - a for a, b in spans)
    assert abs(smeared - 6.5) > 1.0


def test_phases_that_always_come_in_one_proportion_are_refused() -> None:
    """170 steps in each reading of a second: no reading tells forward from backward."""
    fast = Phases([("forward", 0.0036, 12.0), ("backward", 0.0018, 6.5), ("wait", 0.0006, 8.0)])
    counter = Channel("c", "counter", 1e-6, "t", update_period_s=1e-4, lsb=61)
    found = curve_of(read(counter, fast.energy_J, 61, 1.0), seconds)
    shares = attribute(found, {0: fast.stretches(61)}, [(1, 60)], PHASES)
    assert shares.method == "refused"
    assert "condition number" in shares.why
    assert shares.condition is not None
    assert shares.condition > 30
    assert shares.joules == {}


def test_a_sensor_whose_renewals_are_not_known_well_enough_is_refused() -> None:
    """Each renewal sees the same part of a step, and is known to 50 ms: what tells the phases apart is mostly blur."""
    counter = Channel("c", "counter", 1e-6, "t", update_period_s=0.1, lsb=61)
    found = curve_of(read(counter, LOCKED.energy_J, 121, 0.05), seconds)
    shares = attribute(found, {0: LOCKED.stretches(121)}, [(1, 120)], PHASES)
    assert shares.method == "refused"
    assert "energy.period_s" in shares.why


def test_too_few_readings_are_refused_with_the_number() -> None:
    found = curve_of(read(Channel("p", "power", 1e-3, "t", update_period_s=0.02), STEP.energy_J, 3, 0.2, start_s=0.5), seconds)
    shares = attribute(found, {0: STEP.stretches(3)}, [(1, 3)], PHASES)
    assert shares.method == "refused"
    assert "30 needed" in shares.why


def test_one_state_alone_has_all_the_joules() -> None:
    found = curve_of(read(Channel("c", "counter", 1e-6, "t", update_period_s=1e-3), STEP.energy_J, 10, 0.05), seconds)
    shares = attribute(found, {0: {}, 1: {}}, [(1, 9)], STATES)
    total = STEP.energy_J(9) - STEP.energy_J(1)
    assert shares.method == "interpolated"
    assert shares.joules["compute"] == pytest.approx(total, rel=5e-3)
    assert shares.by_rank[0]["compute"] == pytest.approx(total / 2, rel=5e-3)


def test_a_phase_into_which_no_reading_falls_is_refused() -> None:
    """A millisecond of waiting at the very end of the window, after its last reading: there is nothing to divide by."""
    found = curve_of(read(Channel("c", "counter", 1e-6, "t", update_period_s=0.01), STEP.energy_J, 121, 0.05), seconds)
    stretches = {phase: spans for phase, spans in STEP.stretches(121).items() if phase != "wait"}
    shares = attribute(found, {0: {**stretches, "wait": [(100.0479, 100.0489)]}}, [(1, 100.049)], PHASES)
    assert shares.method == "refused"
    assert "no reading falls into 1 of 4 phases" in shares.why
    assert shares.joules == {}


def test_a_phase_that_one_block_of_readings_alone_tells_of_is_refused() -> None:
    """Waiting in one second of two minutes: without those readings the fit cannot be repeated, so it has no error."""
    found = curve_of(read(Channel("c", "counter", 1e-6, "t", update_period_s=0.01), STEP.energy_J, 121, 0.05), seconds)
    stretches = {phase: spans for phase, spans in STEP.stretches(121).items() if phase != "wait"}
    waits = [(50 + 0.25 * i, 50.1 + 0.25 * i) for i in range(4)]
    shares = attribute(found, {0: {**stretches, "wait": waits}}, [(1, 120)], PHASES)
    assert shares.method == "refused"
    assert "1 of 4 phases fall into one tenth of the readings alone, so their power has no error" in shares.why
    assert shares.condition is not None
