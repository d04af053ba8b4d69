"""Meters as they are: redirects, null readings, several channels; real servers with recorded replies."""

from __future__ import annotations

import copy
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from bench.energy.sensor_base.source import Source, SourceUnavailable
from tests.bench.energy.sensors.conftest import Open, Serve
from tests.project import ROOT
from tests.stand_ins.web import recorded, shelly, tree

pytestmark = pytest.mark.machine


def values(source: Source) -> dict[str, float]:
    """Watts and joules of one reading."""
    raw = source.read()
    return {channel.id: value * channel.scale for channel, value in zip(source.channels, raw, strict=True)}


# Redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed_once_and_polls_stay_one_request(status: int, serve: Serve, reach: Open) -> None:
    plug = shelly(recorded("shelly-plus-plug-s"))
    meter = serve(lambda target: plug(target[3:]) if target.startswith("/v2") else (status, f"/v2{target}"))
    source = reach("shelly", address=meter.url)
    assert values(source)["power"] == pytest.approx(5.8)
    meter.requests.clear()
    source.read()
    assert meter.requests == ["/v2/rpc/Switch.GetStatus?id=0"]


def test_a_redirect_to_another_server_is_followed_without_a_password_only(
    serve: Serve, reach: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = serve(tree(recorded("redfish-environment")))
    elsewhere = other.url.replace("127.0.0.1", "localhost")
    first = serve(lambda target: (308, f"{elsewhere}{target}"))
    assert values(reach("redfish", address=first.url))["power"] == pytest.approx(374.6)
    monkeypatch.setenv("CONTROLLER", "secret")
    other.requests.clear()
    with pytest.raises(SourceUnavailable, match=r"redirects to http://localhost:\d+, where no password is sent"):
        reach("redfish", address=first.url, user="monitor", password_env="CONTROLLER")
    assert other.requests == []


@pytest.mark.parametrize(
    ("location", "said"),
    [("", "answers 302"), ("/shelly", "answers 302"), ("ftp://a/b", "is no address"), ("http://[", "is no address")],
)
def test_redirects_that_lead_nowhere(location: str, said: str, serve: Serve, reach: Open) -> None:
    meter = serve(lambda target: (302, location))
    with pytest.raises(SourceUnavailable, match=said):
        reach("shelly", address=meter.url)
    assert len(meter.requests) < 10


# Redfish: null falls through to the next place


CHASSIS = "/redfish/v1/Chassis/1U"
SUPPLIES = f"{CHASSIS}/PowerSubsystem/PowerSupplies"


def controller() -> dict[str, Any]:
    """A controller with all four places; each has another reading, so that it shows which one was taken."""
    sensors = {"TotalPower": 402.5, "CPU0Power": 120.0, "Fan1": 5200.0}
    return {
        **recorded("redfish-environment"),
        f"{CHASSIS}/PowerSubsystem": {"Id": "PowerSubsystem", "PowerSupplies": {"@odata.id": SUPPLIES}},
        SUPPLIES: {"Members": [{"@odata.id": f"{SUPPLIES}/Bay{n}"} for n in (1, 2, 3)]},
        **{
            f"{SUPPLIES}/Bay{n}": {"Status": {"State": state}, "Metrics": {"@odata.id": f"{SUPPLIES}/Bay{n}/Metrics"}}
            for n, state in ((1, "Enabled"), (2, "Enabled"), (3, "Absent"))
        },
        **{f"{SUPPLIES}/Bay{n}/Metrics": {"InputPowerWatts": {"Reading": watts}} for n, watts in ((1, 190.5), (2, 200.0))},
        f"{CHASSIS}/Sensors": {"Members": [{"@odata.id": f"{CHASSIS}/Sensors/{name}"} for name in sensors]},
        **{
            f"{CHASSIS}/Sensors/{name}": {"ReadingType": "Rotational" if name == "Fan1" else "Power", "Reading": value}
            for name, value in sensors.items()
        },
        f"{CHASSIS}/Power": {"PowerControl": [{"PowerConsumedWatts": 377, "PowerMetrics": {"IntervalInMin": 1}}]},
    }


def without(resources: dict[str, Any], *places: str) -> dict[str, Any]:
    """As controllers show what they do not know: a reading that is null, or a resource that is not there."""
    left = copy.deepcopy(resources)
    for place in places:
        if place == "EnvironmentMetrics":
            left[f"{CHASSIS}/EnvironmentMetrics"]["PowerWatts"]["Reading"] = None
        elif place == "PowerSubsystem":
            left[f"{SUPPLIES}/Bay2/Metrics"]["InputPowerWatts"]["Reading"] = None
        elif place == "Sensors":
            left[f"{CHASSIS}/Sensors/TotalPower"]["Reading"] = None
            left[f"{CHASSIS}/Sensors/CPU0Power"]["ReadingType"] = "Temperature"
        else:
            del left[f"{CHASSIS}/{place}"]
    return left


@pytest.mark.parametrize(
    ("gone", "watts", "place"),
    [
        ((), 374.6, "EnvironmentMetrics"),
        (("EnvironmentMetrics",), 390.5, "PowerSubsystem"),
        (("EnvironmentMetrics", "PowerSubsystem"), 402.5, "sensor TotalPower"),
        (("EnvironmentMetrics", "PowerSubsystem", "Sensors"), 377.0, "Power"),
    ],
)
def test_redfish_takes_the_next_place_where_a_reading_is_null(
    gone: tuple[str, ...], watts: float, place: str, serve: Serve, reach: Open
) -> None:
    source = reach("redfish", address=serve(tree(without(controller(), *gone))).url)
    assert values(source)["power"] == pytest.approx(watts)
    assert f"by {place}" in source.channels[0].scope


def test_redfish_takes_the_next_place_where_one_reads_0(serve: Serve, reach: Open) -> None:
    resources = controller()
    resources[f"{CHASSIS}/EnvironmentMetrics"]["PowerWatts"]["Reading"] = 0
    assert values(reach("redfish", address=serve(tree(resources)).url))["power"] == pytest.approx(390.5)


def test_redfish_says_of_each_place_why_it_has_nothing(serve: Serve, reach: Open) -> None:
    resources = without(controller(), "EnvironmentMetrics", "PowerSubsystem", "Sensors", "Power")
    with pytest.raises(SourceUnavailable) as error:
        reach("redfish", address=serve(tree(resources)).url)
    for part in ("no PowerWatts.Reading", "no InputPowerWatts.Reading", "no power sensor in it", "1U/Power answers 404"):
        assert part in str(error.value)


def test_redfish_several_power_sensors_are_listed_and_one_can_be_named(serve: Serve, reach: Open) -> None:
    resources = without(controller(), "EnvironmentMetrics", "PowerSubsystem", "Power")
    resources[f"{CHASSIS}/Sensors"]["Members"][0]["@odata.id"] = f"{CHASSIS}/Sensors/GPU0Power"
    resources[f"{CHASSIS}/Sensors/GPU0Power"] = resources.pop(f"{CHASSIS}/Sensors/TotalPower")
    url = serve(tree(resources)).url
    with pytest.raises(
        SourceUnavailable, match=r"power sensors GPU0Power 402.5 W, CPU0Power 120.0 W; give sensor: one of them"
    ):
        reach("redfish", address=url)
    assert values(reach("redfish", address=url, sensor="GPU0Power"))["power"] == pytest.approx(402.5)
    with pytest.raises(SourceUnavailable, match="no sensor Total; there are GPU0Power, CPU0Power, Fan1"):
        reach("redfish", address=url, sensor="Total")
    with pytest.raises(SourceUnavailable, match="a sensor of Rotational, not of Power"):
        reach("redfish", address=url, sensor="Fan1")


# Several channels


def two_switches() -> dict[str, Any]:
    """A relay with two channels, as /rpc/Shelly.GetStatus lists them."""
    device = recorded("shelly-plus-plug-s")
    first = device["status"]["switch:0"]
    second = copy.deepcopy(first) | {"id": 1, "apower": 11.4}
    second["aenergy"]["total"] = 100.5
    device["status"]["switch:1"] = second
    return device  # type: ignore[no-any-return]


def test_shelly_with_two_channels_wants_a_name(serve: Serve, reach: Open) -> None:
    url = serve(shelly(two_switches())).url
    with pytest.raises(SourceUnavailable, match=r"has 2 channels: switch 0 5.8 W, switch 1 11.4 W; give channel"):
        reach("shelly", address=url)
    assert values(reach("shelly", address=url, channel=1))["power"] == pytest.approx(11.4)
    for both in ({"channel": "all"}, {"sum": [0, 1]}):
        source = reach("shelly", address=url, **both)
        read = values(source)
        assert read["power"] == pytest.approx(17.2)
        assert read["energy"] == pytest.approx((4821.307 + 100.5) * 3600)
        assert "switch 0 + 1" in source.channels[0].scope
    for wrong, said in (
        ({"channel": 2}, "channel: 2 is none of switch 0 5.8 W"),
        ({"sum": [0, 0]}, "names a channel twice"),
        ({"sum": 1}, r"is no list of channels; write it like \[0, 1\]"),
        ({"sum": [0], "channel": 1}, "exclude each other"),
    ):
        with pytest.raises(SourceUnavailable, match=said):
            reach("shelly", address=url, **wrong)


def test_shelly_finds_the_only_component_and_reads_three_phases(serve: Serve, reach: Open) -> None:
    """Without ``component``, the only kind that measures; a three-phase meter's sum is its component em."""
    assert values(reach("shelly", address=serve(shelly(recorded("shelly-pm-mini"))).url))["power"] == pytest.approx(24.1)
    three = recorded("shelly-pro-em")
    three["status"] = {
        "em:0": {"id": 0, "a_act_power": 10.1, "b_act_power": 20.2, "c_act_power": 0.0, "total_act_power": 30.3},
        "emdata:0": {"id": 0, "total_act": 512.25, "total_act_ret": 0.0},
    }
    assert values(reach("shelly", address=serve(shelly(three)).url)) == pytest.approx({"power": 30.3, "energy": 512.25 * 3600})
    mixed = two_switches()
    mixed["status"]["em1:0"] = {"id": 0, "act_power": 3.0}
    with pytest.raises(
        SourceUnavailable, match=r"several components that measure: switch 0 5.8 W, switch 1 11.4 W, em1 0 3.0 W"
    ):
        reach("shelly", address=serve(shelly(mixed)).url)


def test_shelly_without_a_counter_counts_by_its_power_and_faults_are_no_reading(serve: Serve, reach: Open) -> None:
    device = recorded("shelly-plus-plug-s")
    del device["status"]["switch:0"]["aenergy"]
    source = reach("shelly", address=serve(shelly(device)).url)
    assert values(source) == pytest.approx({"power": 5.8})
    device["status"]["switch:0"]["errors"] = ["power_meter"]
    with pytest.raises(ValueError, match=r"reports .*power_meter"):
        source.read()


def test_tasmota_sums_the_channels_that_are_asked_for(serve: Serve, reach: Open) -> None:
    split = {"StatusSNS": {"ENERGY": {"Power": [10.5, 20.25, 30], "Total": [1.1, 2.2, 3.3]}}}
    url = serve(lambda target: split).url
    assert values(reach("tasmota", address=url, sum=[1, 3])) == pytest.approx({"power": 40.5, "energy": 4.4 * 3.6e6})
    with pytest.raises(SourceUnavailable, match=r"has 3 channels; .*\(1 10.5 W, 2 20.25 W, 3 30 W\)"):
        reach("tasmota", address=url)
    shared = {"StatusSNS": {"ENERGY": {"Power": [10.5, 20.25], "Total": 3.3}}}
    url = serve(lambda target: shared).url
    assert values(reach("tasmota", address=url, sum=[2, 1])) == pytest.approx({"power": 30.75, "energy": 3.3 * 3.6e6})
    assert values(reach("tasmota", address=url, channel=2)) == pytest.approx({"power": 20.25})  # Total has both


# Programs that write lines


FNIRSI = """
import sys, time
print()
print("timestamp sample_in_packet voltage_V current_A dp_V dn_V temp_C_ema energy_Ws capacity_As")
time.sleep(0.8)  # the device is looked for, and its first packet thrown away
energy, begin = 0.0, time.time()
while True:
    for n in range(4):
        energy += 5.1 * 1.2 * 0.01
        print(f"{time.time():.3f} {n} 5.10000 1.20000 0.600 0.600 31.000 {energy:.6f} {energy / 5.1:.6f}")
    time.sleep(0.04)
"""
"""Writes as fnirsi_logger.py does: an empty line, a header, four lines a packet, and no flush."""
DOCUMENTED = {
    "separator": " ",
    "columns": {"voltage_V": "voltage_V", "current_A": "current_A", "energy_J": "energy_Ws"},
    "level": "board",
    "period_s": 0.1,
}


def test_the_documented_usb_logger_opens_though_it_starts_slowly_and_never_flushes(reach: Open, tmp_path: Path) -> None:
    """Its start takes longer than three periods, and its output is less than a pipe's block for a second."""
    (tmp_path / "logger.py").write_text(FNIRSI)
    page = (ROOT / "docs/how-to/energy-meters.md").read_text()
    assert "columns: {voltage_V: voltage_V, current_A: current_A, energy_J: energy_Ws}" in page
    source = reach("lines", command=[sys.executable, str(tmp_path / "logger.py")], **DOCUMENTED)
    first = values(source)
    time.sleep(0.4)
    second = values(source)
    assert first["power"] == pytest.approx(6.12)
    assert second["energy"] > first["energy"]
    assert source.channels[0].update_period_s == 0.1
    assert "blocks" not in source.channels[0].scope


BLOCKS = """
import sys, time
n = 0
while True:
    time.sleep(0.5)
    for _ in range(50):
        n += 1
        sys.stdout.write(f"{n},6.12,{n * 0.0612:.4f}\\n")
    sys.stdout.flush()
"""


def test_lines_that_come_in_blocks_are_recognised(reach: Open, tmp_path: Path) -> None:
    """A writer that buffers by itself: no terminal helps. The renewal is the time between two blocks."""
    (tmp_path / "blocks.py").write_text(BLOCKS)
    command = [sys.executable, str(tmp_path / "blocks.py")]
    source = reach("lines", command=command, columns={"power_W": 2, "energy_J": 3}, period_s=0.1)
    assert "lines come in blocks every" in source.channels[0].scope
    assert source.channels[0].update_period_s >= 0.4
    for _ in range(8):  # no gap between two blocks
        assert values(source)["power"] == pytest.approx(6.12)
        time.sleep(0.1)
    with pytest.raises(SourceUnavailable, match=r"lines come in blocks every .* later than timeout_s: 0.3"):
        reach("lines", command=command, columns={"power_W": 2}, period_s=0.1, timeout_s=0.3)


def test_a_program_may_write_into_a_pipe_and_its_end_is_said(reach: Open) -> None:
    command = [sys.executable, "-c", "import os; print(os.isatty(1)); print('7.5', flush=True); import time; time.sleep(60)"]
    for terminal in (True, False):
        source = reach("lines", command=command, columns={"power_W": 1}, period_s=0.2, terminal=terminal)
        assert values(source)["power"] == pytest.approx(7.5)
        assert source.stream.process is not None  # type: ignore[attr-defined]
    for terminal in (True, False):
        command = [sys.executable, "-c", "import sys; sys.stderr.write('no device'); sys.exit(3)"]
        with pytest.raises(SourceUnavailable, match=r"the program ended with code 3 no device"):
            reach("lines", command=command, columns={"power_W": 1}, terminal=terminal)
    with pytest.raises(SourceUnavailable, match=r"no new line with numbers for 1 s.*start_timeout_s if it starts slowly"):
        reach("lines", command=["sleep", "60"], columns={"power_W": 1}, period_s=0.1, start_timeout_s=1)


# Any JSON


NETIO = {
    "Agent": {"Model": "PowerBOX 4KE", "NumOutputs": 4},
    "Outputs": [{"ID": 1, "State": 1, "Load": 13, "Energy": 1346, "PowerFactor": 0.6}],
}
SHELLY_1 = {
    "relays": [{"ison": True}],
    "meters": [{"power": 8.52, "is_valid": True, "counters": [8.5], "total": 14422}],
    "uptime": 1,
}
HOME = {"entity_id": "sensor.rack_power", "state": "8.5", "attributes": {"unit_of_measurement": "W", "a.b": [{"c": "0.25"}]}}


@pytest.mark.parametrize(
    ("reply", "entry", "read"),
    [
        (
            NETIO,
            {"path": "Outputs[0].Load", "unit": "W", "energy_path": "Outputs[0].Energy", "energy_unit": "Wh"},
            (13.0, 1346 * 3600.0),
        ),
        (
            SHELLY_1,
            {"path": "meters[0].power", "unit": "W", "energy_path": "meters[0].total", "energy_unit": "Wmin"},
            (8.52, 14422 * 60.0),
        ),
        (HOME, {"path": "state", "unit": "W"}, (8.5, None)),
        (HOME, {"path": 'attributes["a.b"][0].c', "unit": "kW"}, (250.0, None)),
        ([{"mW": 8123}], {"path": "[0].mW", "unit": "mW"}, (8.123, None)),
        ({"e": 3000.125}, {"path": "e", "unit": "kWh"}, (None, 3000.125 * 3.6e6)),  # above 2,562 kWh, too
    ],
)
def test_http_takes_the_number_at_its_path(
    reply: Any, entry: dict[str, Any], read: tuple[float | None, float | None], serve: Serve, reach: Open
) -> None:
    found = values(reach("http", url=f"{serve(lambda target: reply).url}/any?x=1", **entry))
    assert (found.get("power"), found.get("energy")) == (read[0] and pytest.approx(read[0]), read[1] and pytest.approx(read[1]))


def test_http_steps_and_what_counts(serve: Serve, reach: Open) -> None:
    """A counter with steps of 3600 J is a cross-check; the power counts, in steps of its last digit."""
    entry = {"path": "Outputs[0].Load", "unit": "W", "energy_path": "Outputs[0].Energy", "energy_unit": "Wh"}
    source = reach("http", url=serve(lambda target: NETIO).url, **entry)
    assert [channel.id for channel in source.channels] == ["power", "energy"]
    assert [channel.scale * channel.lsb for channel in source.channels] == pytest.approx([1.0, 3600.0])


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"path": "state"}, "with unit: None does not say what is read; give both, the unit one of mW, W, kW, J"),
        ({"path": "state", "unit": "VA"}, "unit: VA does not say"),
        ({"path": "state", "unit": "W", "energy_path": "e", "energy_unit": "W"}, "energy_unit: W does not say"),
        ({"path": "state", "unit": "J", "energy_path": "e", "energy_unit": "J"}, "are two counters"),
        ({}, "path and unit are not given"),
        ({"path": "a[", "unit": "W"}, r"a\[ is no path; write it like a.b\[0\]"),
        ({"path": "attributes.friendly", "unit": "W"}, "no attributes.friendly in the reply"),
        ({"path": "entity_id", "unit": "W"}, "'sensor.rack_power' is no number"),
        ({"path": "state", "unit": "W", "token_env": "NO_SUCH"}, r"variable NO_SUCH \(token_env\) is not set"),
    ],
)
def test_http_entries_that_do_not_say_what_is_read(entry: dict[str, Any], said: str, serve: Serve, reach: Open) -> None:
    with pytest.raises(SourceUnavailable, match=said):
        reach("http", url=serve(lambda target: HOME).url, **entry)


def test_http_sends_a_token_and_an_unavailable_state_is_no_reading(
    serve: Serve, reach: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME_TOKEN", "long-lived")
    state = dict(HOME)
    meter = serve(lambda target: state)
    seen: list[str | None] = []
    monkeypatch.setattr(meter, "allows", lambda uri, given: seen.append(given) or given == "Bearer long-lived")
    monkeypatch.setattr(meter, "challenge", lambda: "Bearer")
    source = reach("http", url=f"{meter.url}/api/states/sensor.rack_power", path="state", unit="W", token_env="HOME_TOKEN")
    assert values(source)["power"] == pytest.approx(8.5)
    assert set(seen) == {"Bearer long-lived"}
    state["state"] = "unavailable"
    with pytest.raises(ValueError, match="'unavailable' is no number"):
        source.read()
    monkeypatch.setenv("HOME_TOKEN", "wrong")
    with pytest.raises(SourceUnavailable, match="refuses the token of token_env"):
        reach("http", url=meter.url, path="state", unit="W", token_env="HOME_TOKEN")


def test_lines_of_a_counter_above_2562_kwh_fit_into_a_reading(reach: Open) -> None:
    """9.3e9 J are more nanojoules than 64 bits hold."""
    command = [sys.executable, "-c", "import time; print('2600000.5', flush=True); time.sleep(60)"]
    source = reach("lines", command=command, columns={"energy_Wh": 1}, period_s=0.5)
    assert source.read()[0] < 2**63
    assert values(source)["energy"] == pytest.approx(2600000.5 * 3600, rel=1e-12)
    assert source.channels[0].scale * source.channels[0].lsb == pytest.approx(360.0)
