"""What cannot be is said with its numbers and makes the point invalid; what can be passes. Nothing divides by zero."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bench.joules.channel import Channel, Trace
from bench.joules.cover import find_cover
from bench.joules.energy_block import energy_block
from bench.joules.host_limits import HostLimit
from bench.joules.metered_parts import EnergyContext, OtherPart
from bench.joules.plausibility import NAMES, plausibility_checks
from bench.joules.timed_run import Run
from bench.record import checks
from bench.record.check_record import Check
from tests.bench.energy.simulator import S

POSITIVE, WITHIN, CHANGE, THROUGH, PARTS = NAMES
RUN = Run([(10.0, 50.0)], [(2.0, 8.0), (52.0, 58.0)], {0: "a"}, {0: {"forward": [(10.0, 50.0)]}}, 100, 6400, 10)
LIMITS = {"a": HostLimit(20.0, "jetson-nano", True)}


def load(t: np.ndarray) -> np.ndarray:
    """2 W at idle, 8 W at work, with a ripple."""
    return np.where((t > 9) & (t < 51), 8.0, 2.0) + 0.3 * np.sin(t)


def joules(t: np.ndarray) -> np.ndarray:
    fine = np.linspace(0, 60, 60_001)
    return np.interp(t, fine, np.concatenate([[0], np.cumsum(load(fine[1:]) * np.diff(fine))]))


def trace(columns: dict[Channel, Callable[[np.ndarray], np.ndarray]], **changes: Any) -> Trace:
    """Readings every 0.1 s for 60 s: the raw values that each channel's function gives."""
    t_s = np.arange(0, 60.05, 0.1)
    raw = np.stack([np.rint(of(t_s) / channel.scale).astype(np.int64) for channel, of in columns.items()], axis=1)
    t_ns = (t_s * S).astype(np.int64)
    found = Trace("a", "boot", "x", "lines", "measured", 0.1, tuple(columns), t_ns, t_ns, raw, "a", ("a",), "m")
    return replace(found, **changes)


POWER = Channel("power", "power", 1e-6, "all", "wall", lsb=1000, contains=("*",))
COUNTER = Channel("energy", "counter", 1e-6, "all", "wall", contains=("*",))
BESIDE = replace(POWER, contains=())


def judged(*traces: Trace, limits: dict[str, HostLimit] = LIMITS, others: tuple[OtherPart, ...] = ()) -> dict[str, Check]:
    """Every check by name. The record of these readings has no division by zero and no number that is none."""
    cover = find_cover(traces, ["a"], lambda rank, ns: ns / 1e9)
    block = energy_block(cover, traces, 0.0, RUN, EnergyContext())
    json.dumps(block.to_dict(), allow_nan=False)
    checks.idle_agrees(block.idle.before_W, block.idle.after_W)
    return {check.name: check for check in plausibility_checks(cover, RUN, limits, others)}


def frozen_at(value: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda t: np.full_like(t, value)


def stopped(t: np.ndarray) -> np.ndarray:
    return joules(np.minimum(t, 30.0))


def jumping(t: np.ndarray) -> np.ndarray:
    return joules(t) + np.where(t > 30, 36.0, 0.0)


def spike(t: np.ndarray) -> np.ndarray:
    return np.where(np.abs(t - 30) < 0.05, 8000.0, load(t))


def dropping(t: np.ndarray) -> np.ndarray:
    return np.where(np.round(t * 10) % 5 == 0, 0.0, load(t))


IMPLAUSIBLE: list[tuple[str, Trace, str, str]] = [
    ("turned round", trace({POWER: lambda t: -load(t)}), POSITIVE, "m of a reads -6.6.* W: negative power: the clamp"),
    ("below its threshold", trace({POWER: frozen_at(0.0)}), POSITIVE, "m of a reads 0 W: no power at all"),
    ("counter of an export meter", trace({COUNTER: lambda t: 1000 - joules(t)}), POSITIVE, "m of a reads -6.6.* W: negative"),
    (
        "sometimes zero",
        trace({POWER: dropping}),
        POSITIVE,
        r"m of a: 1\d\d of 52\d readings are at or below 0 W",
    ),
    ("stands", trace({COUNTER: frozen_at(7.0)}), THROUGH, "counter energy does not move"),
    ("stands beside a power", trace({COUNTER: frozen_at(7.0), BESIDE: load}), THROUGH, "while its power reads 7.9"),
    ("stops", trace({COUNTER: stopped}), THROUGH, "counter energy stands for 20 s from 20 s on, and changes every 0.1 s"),
    ("jumps", trace({COUNTER: jumping}), THROUGH, r"jumps by 36.\d* J at once \(36\d.\d W\), and counts [78].\d* W otherwise"),
    ("another unit", trace({COUNTER: joules, BESIDE: lambda t: 3.6 * load(t)}), THROUGH, "counter counts .* power reads 28"),
    ("8 kW", trace({POWER: lambda t: 1000 * load(t)}), WITHIN, "a reads 8300 W; its limit is 25 W, 1.25 x .*jetson-nano 20 W"),
    ("one spike", trace({POWER: spike}), WITHIN, "a reads 8000 W; its limit is 25 W"),
    ("too fast a counter", trace({COUNTER: lambda t: 10 * joules(t)}), WITHIN, r"a reads 8\d.* W; its limit is 25 W"),
    ("hangs", trace({POWER: frozen_at(8.123)}), CHANGE, "power reads 8.123 W 601 times, at idle and at work"),
]


@pytest.mark.parametrize(("readings", "name", "said"), [row[1:] for row in IMPLAUSIBLE], ids=[row[0] for row in IMPLAUSIBLE])
def test_what_cannot_be_fails_with_its_numbers(readings: Trace, name: str, said: str) -> None:
    found = judged(readings)
    assert found[name].status == "failed"
    assert re.search(said, found[name].detail), found[name].detail


PLAUSIBLE = {
    "power": trace({POWER: load}),
    "counter": trace({COUNTER: joules}),
    "both": trace({COUNTER: joules, BESIDE: load}),
    "coarse counter": trace({replace(COUNTER, lsb=3.6e6): lambda t: joules(t) // 3.6 * 3.6}),
    "coarse power": trace({replace(POWER, lsb=1e6): lambda t: np.rint(load(t))}),
    "renewed each second": trace({replace(COUNTER, update_period_s=1.0): lambda t: joules(np.floor(t))}),
}


@pytest.mark.parametrize("kind", PLAUSIBLE)
def test_good_sensors_of_every_kind_pass(kind: str) -> None:
    found = judged(PLAUSIBLE[kind])
    assert list(found) == list(NAMES)
    assert {check.status for check in found.values()} <= {"passed", "skipped"}, found


def test_steps_that_hide_the_load_are_a_warning_only() -> None:
    """8 W in steps of 0.1 W: 1.25 %, as much as a board may change."""
    check = judged(trace({replace(POWER, lsb=1e5): frozen_at(8.0)}))[CHANGE]
    assert (check.status, "in steps of 0.1 W" in check.detail) == ("warned", True)


def test_rails_above_the_rail_that_has_them_and_packages_above_psys() -> None:
    """A Jetson's parts add up to 8 W inside 4.5 W. Psys counts 5 W under load, its package 8 W; at idle psys has more."""
    rails = trace(
        {
            Channel("VDD_IN", "power", 1e-3, "module", contains=("CPU", "SOC")): lambda t: 0.56 * load(t),
            Channel("CPU", "power", 1e-3, "cpu"): lambda t: 0.8 * load(t),
            Channel("SOC", "power", 1e-3, "soc"): lambda t: 0.2 * load(t),
        },
        meter=None,
    )
    check = judged(rails)[PARTS]
    assert check.status == "failed"
    assert "CPU + SOC read 7.9" in check.detail
    psys = trace(
        {
            Channel("psys", "counter", 1e-6, "board", "board", contains=("package-0",)): lambda t: (
                joules(np.minimum(t, 9)) + 5 * t
            ),
            Channel("package-0", "counter", 1e-6, "processor"): joules,
        },
        meter=None,
    )
    assert "package-0 read 7.9" in judged(psys)[PARTS].detail


def test_a_boards_sensor_above_the_meter_in_front_of_it() -> None:
    own = trace({Channel("package-0", "counter", 1e-6, "processor"): joules}, meter=None, source="rapl")
    check = judged(trace({POWER: lambda t: load(t) / 2}), own)[PARTS]
    assert check.status == "failed"
    assert "rapl on a reads 7.9" in check.detail
    assert judged(trace({POWER: lambda t: load(t) * 1.2}), own)[PARTS].status == "passed"


def test_a_class_that_nobody_stated_warns_up_to_the_largest_server() -> None:
    """A hostfile without classes gets the cluster's: a server then draws more than a mini PC and is no error."""
    stand_in = {"a": HostLimit(36.0, "x86-mini-pc", False)}
    assert judged(trace({POWER: lambda t: 40 * load(t)}), limits=stand_in)[WITHIN].status == "warned"
    assert judged(trace({POWER: lambda t: 4000 * load(t)}), limits=stand_in)[WITHIN].status == "failed"
    assert judged(trace({POWER: load}), limits={})[WITHIN].status == "skipped"


def test_limits_add_up_behind_a_meter() -> None:
    """A host and a switch of 30 W; with a switch of unknown power nothing can be said."""
    behind = trace({POWER: lambda t: 5 * load(t)})
    assert judged(behind)[WITHIN].status == "failed"
    assert judged(behind, others=(OtherPart("switch", 30.0, "sheet", ("m",)),))[WITHIN].status == "passed"
    assert judged(behind, others=(OtherPart("switch", None, "", ("m",)),))[WITHIN].status == "skipped"


def test_a_counter_that_jumps_across_64_bits_is_named() -> None:
    """The difference of two 64-bit integers may not fit one."""
    far = trace({COUNTER: joules})
    raw = far.raw.copy()
    raw[300:] = -(2**62)
    raw[:300] = 2**62 + 5
    assert "jumps by more than 64 bits" in judged(replace(far, raw=raw))[THROUGH].detail


def test_modelled_energy_is_not_judged() -> None:
    modelled = trace({replace(COUNTER, baseline_W=1.0): frozen_at(0.0)}, kind="modelled", meter=None)
    assert {check.status for check in judged(modelled).values()} == {"skipped"}
