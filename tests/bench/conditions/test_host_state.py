"""How hosts stood before and after: read from real trees of a Jetson, a Raspberry Pi and an x86 machine, and judged."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from bench.conditions import host_checks
from bench.conditions.environment import collect_host
from bench.conditions.host_state import collect as collect_state
from bench.record import checks
from bench.record.environment_record import HostRecord
from bench.record.record_file import validator
from tests.bench.power_modes.machine_trees import POLICY, machine
from tests.records import make_record

JETSON, PI, X86 = "jetson-orin-nano", "raspberry-pi-4", "x86-mini-pc"
HWMON = "sys/class/hwmon/hwmon3"
THERMAL = "sys/class/thermal"


@pytest.fixture(params=[JETSON, PI, X86])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return machine(request.param, tmp_path / request.param)


def put(root: Path, name: str, value: object) -> None:
    (root / name).write_text(f"{value}\n")


def collect(root: Path) -> dict[str, Any]:
    """The state of a machine as records have it."""
    return collect_state(root).to_dict()


def typed(*hosts: dict[str, Any]) -> list[HostRecord]:
    """Hosts of a record as checks read them."""
    return [HostRecord.from_dict(one) for one in hosts]


def host(root: Path, **changes: object) -> dict[str, Any]:
    """A host of a record, with ``changes`` of its files (``/`` written ``__``) between its two states."""
    before = collect(root)
    for name, value in changes.items():
        put(root, name.replace("__", "/"), value)
    return {"host": root.name, "board": root.name, "before": before, "after": collect(root), "mode": None}


def test_states_are_what_the_schema_says(root: Path) -> None:
    record = make_record()
    record["environment"]["hosts"] = [{**collect_host(root.name, root.name, root).to_dict(), **host(root)}]
    assert list(validator().iter_errors(record)) == []
    record["environment"]["hosts"][0]["after"]["throttle"] = "none"
    with pytest.raises(jsonschema.ValidationError):
        validator().validate(record)


def test_a_machine_that_tells_nothing_is_no_error(tmp_path: Path) -> None:
    state = collect(tmp_path)
    assert {key: value for key, value in state.items() if value} == {}
    record = make_record()
    record["environment"]["hosts"] = [{"host": "h", "board": None, "before": state, "after": state, "mode": None}]
    assert list(validator().iter_errors(record)) == []
    assert {check.status for check in host_checks.host_checks(typed(*record["environment"]["hosts"]))} == {"skipped"}


def test_jetson(tmp_path: Path) -> None:
    state = collect(machine(JETSON, tmp_path / "root"))
    assert state["nvpmodel"] == {"id": 0, "name": "15W"}
    assert state["jetson_clocks"] is False
    assert [zone["type"] for zone in state["temperatures"]] == ["cpu-thermal", "gpu-thermal", "tj-thermal"]  # cv0 is off
    assert state["temperatures"][0]["limit_C"] == 99.0
    assert state["devfreq"][0]["max_Hz"] == 624_750_000
    assert [policy["policy"] for policy in state["cpufreq"]] == ["policy0", "policy4"]
    counters = {"oc1_event_cnt": 0, "oc2_event_cnt": 0, "oc3_event_cnt": 12}
    assert state["throttle"] == {"now": [], "since_boot": [], "counters": counters}  # fan and hot surface slow nothing down
    assert (state["clock_source"], state["uptime_s"], state["load_1min"]) == ("arch_sys_counter", 812.4, 0.42)


def test_raspberry_pi(tmp_path: Path) -> None:
    root = machine(PI, tmp_path / "root")
    assert collect(root)["throttle"] == {"now": [], "since_boot": [], "counters": {}}
    assert collect(root)["temperatures"][0]["limit_C"] == 80.0
    assert collect_host("h", None, root).throttled is False
    put(root, "var/throttled", "throttled=0x50005")
    assert collect(root)["throttle"] == {
        "now": ["under-voltage", "throttled"], "since_boot": ["under-voltage", "throttled"], "counters": {},
    }  # fmt: skip
    assert collect_host("h", None, root).throttled is True
    put(root, "var/throttled", "VCHI initialization failed")
    put(root, "sys/class/hwmon/hwmon1/in0_lcrit_alarm", 1)
    assert (collect(root)["throttle"] or {})["now"] == ["under-voltage (kernel)"]


def test_x86(tmp_path: Path) -> None:
    state = collect(machine(X86, tmp_path / "root"))
    assert state["throttle"] == {
        "now": [], "since_boot": [], "counters": {"core_throttle_count": 6, "package_throttle_count": 10},
    }  # fmt: skip
    assert state["supplies"] == [{"name": "ADP1", "type": "Mains", "online": True}]
    assert {limit["zone"]: limit["limit_W"] for limit in state["power_limits"]} == {
        "intel-rapl:0": 15.0,
        "intel-rapl-mmio:0": 15.0,
    }
    assert [zone["limit_C"] for zone in state["temperatures"]] == [119.0, None]
    assert (state["nvpmodel"], state["jetson_clocks"], state["clock_source"]) == (None, None, "tsc")


def test_a_quiet_run_passes_everything(root: Path) -> None:
    found = {check.name: check.status for check in host_checks.host_checks(typed(host(root)))}
    assert found.pop("frequency held") == "skipped"  # all three follow the load
    assert found.pop("power mode restored") == "skipped"
    assert set(found.values()) == {"passed"}


THROTTLED = [
    (JETSON, {f"{HWMON}/oc3_event_cnt": 191}, "oc3_event_cnt grew by 179"),
    (JETSON, {f"{THERMAL}/cooling_device2/cur_state": 1}, "cooling device cpu-throttle-alert at 1 at the end"),
    (JETSON, {f"{THERMAL}/cooling_device4/cur_state": 3}, "cooling device devfreq-17000000.gpu at 3 at the end"),
    (PI, {"var/throttled": "throttled=0x20000"}, "frequency capped during the run"),
    (
        PI,
        {"var/throttled": "throttled=0x80008"},
        "soft temperature limit at the end; {host}: soft temperature limit during the run",
    ),
    (X86, {"sys/devices/system/cpu/cpu1/thermal_throttle/package_throttle_count": 6}, "package_throttle_count grew by 1"),
    (X86, {f"{THERMAL}/cooling_device0/cur_state": 2}, "cooling device Processor at 2 at the end"),
]


@pytest.mark.parametrize(("tree", "changes", "detail"), THROTTLED, ids=[detail for _, _, detail in THROTTLED])
def test_throttling_makes_a_point_invalid(tree: str, changes: dict[str, object], detail: str, tmp_path: Path) -> None:
    found = host(machine(tree, tmp_path / tree), **changes)
    check = host_checks.throttling(typed(found))
    assert (check.status, check.detail) == ("failed", f"{tree}: {detail.format(host=tree)}")
    status, reason = checks.overall([check])
    assert status == "invalid"
    assert (reason or "").startswith(f"no throttling: {tree}: ")


@pytest.mark.parametrize(
    ("tree", "changes"),
    [
        (JETSON, {f"{THERMAL}/cooling_device1/cur_state": 9, f"{THERMAL}/cooling_device3/cur_state": 0}),  # fan, warm case
        (X86, {f"{THERMAL}/cooling_device2/cur_state": 0, f"{THERMAL}/cooling_device3/cur_state": 20}),  # idle injection off
    ],
)
def test_what_slows_nothing_down_is_no_throttling(tree: str, changes: dict[str, object], tmp_path: Path) -> None:
    assert host_checks.throttling(typed(host(machine(tree, tmp_path / tree), **changes))).status == "passed"


def test_throttling_before_the_run_and_bits_that_cannot_show_more(tmp_path: Path) -> None:
    root = machine(PI, tmp_path / PI)
    put(root, "var/throttled", "throttled=0x50000")
    check = host_checks.throttling(typed(host(root)))
    assert check.status == "warned"
    assert check.detail.startswith(f"since boot, before this run: {PI}: under-voltage, throttled; whether it happened again")
    put(root, "var/throttled", "throttled=0x50001")
    check = host_checks.throttling(typed(host(root, var__throttled="throttled=0x50000")))
    assert (check.status, check.detail) == ("failed", f"{PI}: under-voltage before")


MOVED = [
    (PI, {f"{POLICY.format(0)}/scaling_governor": "powersave"}, "policy0 governor ondemand before, powersave after"),
    (PI, {f"{POLICY.format(0)}/scaling_max_freq": 600000}, "policy0 max_Hz 1500000000 before, 600000000 after"),
    (JETSON, {"var/lib/nvpmodel/status": "pmode:0001"}, "nvpmodel 15W before, 7W after"),
    (JETSON, {"sys/class/devfreq/17000000.gpu/max_freq": 306000000}, "17000000.gpu max_Hz 624750000 before, 306000000 after"),
    (
        X86,
        {"sys/class/powercap/intel-rapl:0/constraint_0_power_limit_uw": 10000000},
        "intel-rapl:0 limit_W 15.0 before, 10.0 after",
    ),
]


@pytest.mark.parametrize(("tree", "changes", "detail"), MOVED, ids=[detail for _, _, detail in MOVED])
def test_a_power_mode_that_changed_under_the_run(tree: str, changes: dict[str, object], detail: str, tmp_path: Path) -> None:
    check = host_checks.mode_held(typed(host(machine(tree, tmp_path / tree), **changes)))
    assert (check.status, check.detail) == ("failed", f"{tree}: {detail}")


def test_cores_that_went_off_are_named(tmp_path: Path) -> None:
    root = machine(JETSON, tmp_path / JETSON)
    found = host(root)
    found["after"]["cpufreq"].pop()
    check = host_checks.mode_held(typed(found))
    assert check.status == "failed"
    assert "policy4 governor schedutil before, not there after" in check.detail


def test_temperature_warns_of_a_rise_and_of_the_limit(tmp_path: Path) -> None:
    zone = f"{THERMAL}/thermal_zone0/temp"
    root = machine(PI, tmp_path / PI)
    assert host_checks.temperature(typed(host(root, **{zone: 58_600}))).status == "passed"
    put(root, zone, 50_000)
    check = host_checks.temperature(typed(host(root, **{zone: 60_500})))
    assert (check.status, check.detail) == ("warned", f"{PI} cpu-thermal rose from 50.0 to 60.5 C")
    put(root, zone, 74_500)
    check = host_checks.temperature(typed(host(root, **{zone: 75_500})))
    assert (check.status, check.detail) == ("warned", f"{PI} cpu-thermal at 75.5 C, limit 80.0 C")


def test_frequencies_are_compared_where_they_do_not_follow_the_load(tmp_path: Path) -> None:
    root = machine(X86, tmp_path / X86)
    for number in range(2):
        put(root, f"{POLICY.format(number)}/scaling_governor", "performance")
        put(root, f"{POLICY.format(number)}/scaling_cur_freq", 2_900_000)
    slower = {f"{POLICY.format(number)}/scaling_cur_freq": 2_700_000 for number in range(2)}
    assert host_checks.frequency_held(typed(host(root))).status == "passed"
    check = host_checks.frequency_held(typed(host(root, **slower)))
    assert (check.status, check.detail) == ("warned", f"{X86}: 2900 MHz before, 2700 MHz after")
    jetson = machine(JETSON, tmp_path / JETSON)
    assert (
        host_checks.frequency_held(typed(host(jetson, **{f"{POLICY.format(0)}/scaling_cur_freq": 115_200}))).status == "skipped"
    )


def test_a_mode_that_was_not_restored_is_told(tmp_path: Path) -> None:
    found = host(machine(PI, tmp_path / PI))
    mode = {"power_mode": "slow", "emulated": False, "set": [], "recovered": None, "restored": True, "problem": None}
    assert host_checks.mode_restored(typed({**found, "mode": mode})).detail == f"{PI} was slow"
    problem = "not restored, set back by hand as root: echo ondemand > /sys/x"
    check = host_checks.mode_restored(typed({**found, "mode": {**mode, "restored": False, "problem": problem}}))
    assert (check.status, check.detail) == ("warned", f"{PI}: {problem}")


@pytest.mark.parametrize(
    ("factor", "smoke", "status"),
    [
        (1.0, False, "passed"), (1.04, False, "passed"), (0.94, False, "warned"), (1.06, False, "warned"),
        (1.25, False, "failed"), (0.75, False, "failed"), (1.25, True, "warned"),
    ],
)  # fmt: skip
def test_step_times_that_drift(factor: float, smoke: bool, status: str) -> None:
    """Steps become slower evenly over the window; single slow ones do not count."""
    count = 30
    # The middles of the first and the last third lie two thirds of the window apart.
    steps = [0.5 * (1 + (factor - 1) * (place - 4.5) / 20) for place in range(count)]
    steps[3], steps[25] = 5.0, 4.0
    assert checks.step_time_stable(steps, smoke).status == status
    assert checks.step_time_stable(copy.copy(steps[:8]), smoke).status == "skipped"
