"""The energy of a record from traces: nothing twice, nothing missing, nothing mixed without saying so."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bench.joules.channel import Calibration, Channel, Trace
from bench.joules.cover import Cover, find_cover
from bench.joules.energy_block import energy_block, step_joules
from bench.joules.metered_parts import EnergyContext
from bench.joules.timed_run import Run
from bench.record import checks
from bench.record.host_energy_record import CrossCheckRecord
from tests.bench.energy.simulator import S

SETTINGS: dict[str, Any] = {"source": "auto", "others": {}, "meters": {}, "carbon": {"g_per_kWh": None, "source": None}}


def counter(host: str, watts: float, name: str = "package", source: str = "rapl", **changes: Any) -> Trace:
    """12 s of a constant power, read every 10 ms."""
    t_ns = np.arange(0, 12 * S + 1, S // 100, dtype=np.int64)
    raw = (watts * t_ns / 1000).astype(np.int64).reshape(-1, 1)
    channel = Channel(name, "counter", 1e-6, name, level=changes.pop("level", "package"), contains=changes.pop("contains", ()))
    found = Trace(
        "board", f"boot-{host}", "x", source, "measured", 0.01, (channel,), t_ns, t_ns, raw, label=host, covers=(host,)
    )
    return replace(found, **changes)


def plug(name: str, watts: float, *hosts: str, reader: str = "a") -> Trace:
    trace = counter(reader, watts, "energy", "shelly", level="wall", contains=("*",))
    return replace(trace, meter=name, covers=hosts)


def run(*hosts: str) -> Run:
    """A rank on each host, computing for 10 s: 100 samples in 10 steps; idle 1 s before and after."""
    spans = {"forward": [(1.0, 5.0)], "backward": [(5.0, 11.0)]}
    return Run(
        windows=[(1.0, 11.0)],
        idle_windows=[(0.0, 1.0), (11.0, 12.0)],
        rank_host=dict(enumerate(hosts)),
        stretches=dict.fromkeys(range(len(hosts)), spans),
        samples=100,
        tokens=6400,
        steps=10,
    )


def block(traces: list[Trace], *hosts: str, **settings: Any) -> dict[str, Any]:
    context = EnergyContext.of({**SETTINGS, **settings})
    return energy_block(covered(traces, *hosts), traces, 0.0, run(*hosts), context).to_dict()


def covered(traces: list[Trace], *hosts: str) -> Cover:
    return find_cover(traces, hosts, lambda rank, ns: ns / 1e9)


def test_derived_figures_by_hand() -> None:
    """20 W for 10 s and 100 samples: 2 J and 0.1 s a sample, 20 J a step."""
    found = block([counter("a", 20.0)], "a", carbon={"g_per_kWh": 360.0, "source": "the supplier"})
    assert found["kind"] == "measured"
    assert found["total_J"] == pytest.approx(200)
    assert found["per_sample_J"] == pytest.approx(2.0)
    assert found["per_token_J"] == pytest.approx(200 / 6400)
    assert found["edp_Js"] == pytest.approx(0.2)
    assert found["ed2p_Js2"] == pytest.approx(0.02)
    assert found["samples_per_s_MJ"] == pytest.approx(10 / 20e-6)
    assert found["carbon"]["total_g"] == pytest.approx(0.02)
    assert found["carbon"]["per_sample_g"] == pytest.approx(2e-4)
    assert found["idle_W"] == pytest.approx(20)
    assert found["dynamic_J"] == pytest.approx(0, abs=1e-3)
    assert found["system_J"] == pytest.approx(200)


def test_sources_of_a_host_add_up_and_hosts_of_one_name_stay_apart() -> None:
    found = block([counter("a", 20.0), counter("a", 5.0, "gpu-0", "nvml"), counter("b", 7.0)], "a", "b")
    assert [(h["host"], round(h["total_J"])) for h in found["by_host"]] == [("a", 250), ("b", 70)]
    assert found["total_J"] == pytest.approx(320)
    assert found["source"] == "nvml+rapl"


def test_a_meter_has_its_host_and_the_boards_sensor_is_a_check() -> None:
    found = block([counter("a", 15.0), plug("p", 20.0, "a")], "a")
    assert found["total_J"] == pytest.approx(200)
    assert found["by_host"][0]["meter"] == "p"
    (row,) = found["cross_checks"]
    assert (row["source"], row["against"], row["same_sensor"]) == ("rapl", "p", False)
    assert row["ratio"] == pytest.approx(0.75)
    assert checks.cross_checks([CrossCheckRecord.from_dict(row) for row in found["cross_checks"]]).status == "skipped"


def test_one_meter_for_several_hosts_is_one_part() -> None:
    """Shares of ranks are still told: each has half of it."""
    found = block([plug("strip", 30.0, "a", "b", "idle")], "a", "b")
    (host,) = found["by_host"]
    assert host["host"] == "a + b"
    assert found["total_J"] == pytest.approx(300)
    assert [row["compute_J"] for row in found["by_rank"]] == pytest.approx([150, 150])
    assert {p["phase"]: round(p["joules"]) for p in found["phases"] if p["joules"] > 0.5} == {"forward": 120, "backward": 180}
    assert found["coverage"]["also_measured"] == ["idle"]
    assert checks.participants(found["coverage"]["also_measured"]).status == "warned"


def test_a_missing_host_makes_no_smaller_total() -> None:
    found = block([counter("a", 20.0)], "a", "b")
    assert found["coverage"]["missing"] == ["b"]
    assert [found[key] for key in ("total_J", "per_sample_J", "edp_Js", "system_J", "by_phase")] == [None] * 5
    assert found["attribution"]["why"] == "no readings of b"
    check = checks.energy_quality(
        found["kind"], found["coverage"]["missing"], {h["host"]: h["quality"] for h in found["by_host"]}
    )
    assert (check.status, check.detail) == ("failed", "b: no readings")
    assert step_joules(covered([counter("a", 20.0)], "a", "b"), [[1.0, 2.0]]) is None


def test_no_readings_at_all_fail_where_energy_was_asked_for() -> None:
    asked, unasked = block([], "a"), block([], "a", source="none")
    assert checks.energy_quality("none", asked["coverage"]["missing"], {}).status == "failed"
    assert checks.energy_quality("none", unasked["coverage"]["missing"], {}).status == "skipped"


def test_one_modelled_host_makes_the_total_modelled_and_levels_are_told() -> None:
    found = block([plug("p", 20.0, "a"), counter("b", 7.0, kind="modelled", level="board")], "a", "b")
    assert found["kind"] == "modelled"
    assert found["coverage"]["levels"] == ["board", "wall"]
    assert checks.one_level(found["coverage"]["levels"]).status == "warned"


def modelled(host: str, watts: float, board: str) -> Trace:
    trace = counter(host, watts, kind="modelled", source="modelled", board=board)
    return replace(trace, channels=(replace(trace.channels[0], model_u=0.3),))


def test_a_models_error_is_one_of_all_boards_of_a_class_and_apart_between_classes() -> None:
    """Two Pis at 10 W and a Nano at 5 W for 10 s: 0.3 x 200 J of one error, 0.3 x 50 J of another."""
    found = block([modelled("a", 10.0, "pi"), modelled("b", 10.0, "pi"), modelled("c", 5.0, "nano")], "a", "b", "c")
    assert found["model_J"] == pytest.approx((60.0**2 + 15.0**2) ** 0.5, rel=1e-6)
    assert found["systematic_J"] == found["model_J"]
    assert found["uncertainty_J"] == pytest.approx((found["random_J"] ** 2 + found["model_J"] ** 2) ** 0.5)
    assert [host["modelled_as"] for host in found["by_host"]] == ["pi", "pi", "nano"]
    assert found["dynamic_uncertainty_J"] < 0.1 * found["uncertainty_J"]  # all of it is idle, whose coefficient cancels
    assert block([counter("a", 20.0)], "a").get("model_J") is None


def test_a_sensor_read_two_ways_is_compared() -> None:
    """5 % apart is a warning, equal is not; neither changes the total."""
    for factor, status in ((1.0, "passed"), (1.05, "warned")):
        second = counter("a", 20.0 * factor, source="pyjoules", check_of="rapl")
        found = block([counter("a", 20.0), second], "a")
        assert found["total_J"] == pytest.approx(200)
        assert checks.cross_checks([CrossCheckRecord.from_dict(row) for row in found["cross_checks"]]).status == status


@pytest.mark.parametrize(
    ("traces", "others", "meters", "kind", "joules", "system"),
    [
        ([], {"switch": {"power_W": 6.5, "source": "data sheet"}}, {}, "estimated", 65.0, 265.0),
        ([], {"switch": {"power_W": None}}, {}, "missing", None, None),
        ([plug("q", 5.0)], {"switch": {"power_W": None}}, {"q": {"includes": ["switch"]}}, "measured", 50.0, 250.0),
    ],
)
def test_switches_are_measured_estimated_or_missing(
    traces: list[Trace], others: Any, meters: Any, kind: str, joules: float | None, system: float | None
) -> None:
    found = block([counter("a", 20.0), *traces], "a", others=others, meters=meters)
    (other,) = found["others"]
    assert (other["kind"], other["joules"]) == (kind, None if joules is None else pytest.approx(joules))
    assert found["total_J"] == pytest.approx(200)
    assert found["system_J"] == (None if system is None else pytest.approx(system))


def test_a_switch_on_the_boards_meter_counts_once() -> None:
    found = block([plug("strip", 30.0, "a")], "a", others={"switch": {}}, meters={"strip": {"includes": ["switch"]}})
    assert found["others"][0]["kind"] == "in total"
    assert found["system_J"] == pytest.approx(300)


def test_a_calibration_is_applied_and_told() -> None:
    calibration = Calibration(1.1, 0.5, 0.01, 0.05, 0.0, "wt310", "wall", "2026-01-01")
    found = block([counter("a", 20.0, calibration=calibration)], "a")
    assert found["total_J"] == pytest.approx(225)
    assert found["systematic_J"] == pytest.approx(np.hypot(200 * 0.01, 10 * 0.05), rel=1e-3)
    assert found["by_host"][0]["calibration"]["against"] == "wt310"


def test_steps_have_the_joules_of_all_hosts() -> None:
    found = step_joules(covered([counter("a", 20.0), counter("b", 7.0)], "a", "b"), [[1.0, 2.0, 4.0], [5.0, 6.0]])
    assert found == pytest.approx([27.0, 54.0, 27.0])


def test_a_cover_never_counts_a_host_twice() -> None:
    found = covered([counter("a", 1.0), plug("p", 2.0, "a"), counter("b", 3.0)], "a", "b")
    assert [part.hosts for part in found.parts] == [("a",), ("b",)]
    assert [curve.trace.source for part in found.parts for curve in part.curves] == ["shelly", "rapl"]


def test_a_calibrated_sensor_has_its_whole_host() -> None:
    """Calibrated against the wall, it contains what a second sensor of the host has, and sits at the wall."""
    calibration = Calibration(2.0, 0.0, 0.01, 0.0, 0.0, "plug", "wall", "2026-01-01")
    found = block([counter("a", 20.0, calibration=calibration), counter("a", 5.0, "gpu-0", "nvml")], "a")
    assert found["total_J"] == pytest.approx(400)
    assert found["coverage"]["levels"] == ["wall"]
    assert [(row["source"], row["against"]) for row in found["cross_checks"]] == [("nvml", "rapl")]


def test_a_source_at_the_node_s_input_contains_the_other_sources_of_its_host() -> None:
    """Cray's counters have processors and GPUs: their own sources beside them would count twice."""
    node = counter("a", 500.0, "node", "pm_counters", contains=("*",), level="board")
    traces = [node, counter("a", 200.0), counter("a", 150.0, "gpu-0", "amdsmi"), counter("b", 30.0)]
    found = covered(traces, "a", "b")
    assert [[curve.trace.source for curve in part.curves] for part in found.parts] == [["pm_counters"], ["rapl"]]
    assert [curve.trace.source for curve, _ in found.checks] == ["rapl", "amdsmi"]
    assert found.in_total(node) == ["node"]
    assert found.in_total(traces[1]) == []
