"""DC meters through their makers' packages: stand-ins with the calls that are used, and the ways in which they fail."""

from __future__ import annotations

import sys
import threading
import time
import types
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.energy.sensor_base.source import Source, SourceUnavailable
from bench.energy.sensors.joulescope import Joulescope
from bench.energy.sensors.otii import Otii
from bench.energy.sensors.ppk2 import Ppk2
from bench.joules.channel import Channel
from tests.bench.energy.sensors.conftest import Open

pytestmark = pytest.mark.machine

ERRORS = (SourceUnavailable, OSError, ValueError)


def values(source: Source) -> dict[str, float]:
    raw = source.read()
    return {channel.id: value * channel.scale for channel, value in zip(source.channels, raw, strict=True)}


def module(patch: pytest.MonkeyPatch, name: str, **members: Any) -> types.ModuleType:
    for depth in range(1, name.count(".") + 1):
        parent = ".".join(name.split(".")[:depth])
        patch.setitem(sys.modules, parent, types.ModuleType(parent))
    made = types.ModuleType(name)
    vars(made).update(members)
    patch.setitem(sys.modules, name, made)
    return made


@pytest.mark.parametrize(
    ("kind", "name", "package"),
    [
        ("joulescope", "joulescope", "joulescope"),
        ("otii", "otii_tcp_client.otii_client", "otii_tcp_client"),
        ("ppk2", "ppk2_api.ppk2_api", "ppk2-api"),
    ],
)
def test_a_package_that_is_missing_is_named(
    kind: str, name: str, package: str, reach: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    module(monkeypatch, name)
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(SourceUnavailable, match=rf"{package} cannot be imported .*; pip install edgejoule\[{kind}\]"):
        reach(kind, address="any", voltage_V=5)


# Joulescope


def statistics(joules: Any, watts: Any, unit: str = "J") -> dict[str, Any]:
    return {
        "time": {"delta": {"value": 0.5, "units": "s"}},
        "signals": {"power": {"avg": {"value": watts, "units": "W"}}, "voltage": {"avg": {"value": 5.1, "units": "V"}}},
        "accumulators": {"energy": {"value": joules, "units": unit}, "charge": {"value": 1.0, "units": "C"}},
    }


class Scope:
    """An instrument that sends statistics every 50 ms: 8.5 W from 0 J."""

    def __init__(self, name: str, make: Callable[[int], Any]) -> None:
        self.name, self.make, self.is_open = name, make, False
        self.ending = threading.Event()

    def __str__(self) -> str:
        return self.name

    def open(self) -> None:
        self.is_open = True

    def statistics_callback_register(self, callback: Callable[[Any], None], source: str) -> None:
        def run() -> None:
            for n in range(1, 1000):
                if self.ending.wait(0.05):
                    return
                callback(self.make(n))

        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()

    def statistics_callback_unregister(self, callback: Callable[[Any], None], source: str) -> None:
        self.ending.set()
        self.thread.join()

    def close(self) -> None:
        self.is_open = False


@pytest.fixture
def scopes(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Scope]]:
    several = [Scope("JS220-000415", lambda n: statistics(n * 4.25, 8.5))]
    module(monkeypatch, "joulescope", scan=lambda config: several)
    yield several
    assert not any(one.is_open for one in several)


def test_joulescope_counts_by_its_accumulator_and_each_statistics_is_one_reading(scopes: list[Scope], reach: Open) -> None:
    source = reach("joulescope", address="any")
    readings = [(values(source), source.taken_ns) for _ in range(4)]
    counts = [reading["energy"] / 4.25 for reading, _ in readings]
    assert counts == sorted({round(count) for count in counts})
    assert all(reading["power"] == pytest.approx(8.5) for reading, _ in readings)
    assert len({taken_ns for _, taken_ns in readings}) == 4
    assert [channel.id for channel in source.channels] == ["energy", "power"]
    assert source.channels[0].level == "board"
    assert "power supply losses before the meter" in source.not_measured
    source.close()


def test_joulescope_of_several_one_is_named(scopes: list[Scope], reach: Open) -> None:
    scopes.append(Scope("JS110-002001", lambda n: statistics(n, 1.0)))
    with pytest.raises(SourceUnavailable, match="is 2 of the instruments JS220-000415, JS110-002001; give one's serial number"):
        reach("joulescope", address="any")
    assert values(reach("joulescope", address="002001"))["power"] == pytest.approx(1.0)
    with pytest.raises(SourceUnavailable, match="is none of the instruments"):
        reach("joulescope", address="7")
    for one in scopes:
        one.ending.set()
        one.is_open = False


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (statistics(float("nan"), 8.5), "'nan' is no number"),
        (statistics(1.0, float("inf")), "'inf' is no number"),
        (statistics(1.0, 8.5, "Wh"), "energy is in 'Wh', not in J"),
        ({}, "no accumulators.energy.units in the reply"),
        (statistics(1e30, 1.0), "is no number that a meter can mean"),
    ],
)
def test_joulescope_statistics_that_are_none(sent: Any, said: str, reach: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    one = Scope("JS220-000415", lambda n: sent)
    module(monkeypatch, "joulescope", scan=lambda config: [one])
    if said.endswith("can mean") and sent["accumulators"]["energy"]["value"] == 1e30:
        source = reach("joulescope", address="any")
        with pytest.raises(ValueError, match="which no meter can mean"):
            source.read()
        return
    with pytest.raises(SourceUnavailable, match=said):
        reach("joulescope", address="any")
    assert not one.is_open


# Otii


class OtiiError(Exception):
    """As the package's: no OSError."""


class Arc:
    def __init__(self, name: str, **channels: Any) -> None:
        self.name, self.channels = name, channels

    def get_value(self, channel: str) -> Any:
        if channel not in self.channels:
            raise OtiiError(f'arc_get_value Error: "Not supported" {channel}')
        return self.channels[channel]


class OtiiServer:
    """Both the client and the server of the package."""

    def __init__(self, *devices: Arc) -> None:
        self.devices, self.connected, self.place = list(devices), 0, ("", 0)

    def connect(self, *, host: str, port: int, try_for_seconds: int) -> OtiiServer:
        self.connected, self.place = self.connected + 1, (host, port)
        return self

    def get_devices(self) -> list[Arc]:
        return self.devices

    def disconnect(self) -> None:
        self.connected -= 1


def otii(patch: pytest.MonkeyPatch, *devices: Arc) -> OtiiServer:
    server = OtiiServer(*devices)
    module(patch, "otii_tcp_client.otii_client", OtiiClient=lambda: server)
    return server


def test_otii_reads_volts_times_amperes(reach: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    server = otii(monkeypatch, Arc("Arc 1", mv=5.1, mc=1.25))
    source = reach("otii", address="192.0.2.20")
    assert values(source) == {"power": pytest.approx(6.375)}
    assert server.place == ("192.0.2.20", 1905)
    server.devices[0].channels.pop("mc")
    with pytest.raises(OSError, match="Not supported"):
        source.read()
    for wrong in (float("nan"), None, "9.91E37", True):
        server.devices[0].channels["mc"] = wrong
        with pytest.raises(ValueError, match="is no number"):
            source.read()
    source.close()
    assert server.connected == 0


def test_otii_devices_and_servers_that_are_not_there(reach: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    server = otii(monkeypatch, Arc("Arc 1", mv=5.1, mc=1.0), Arc("Ace 2", mv=3.3, mc=1.0))
    with pytest.raises(SourceUnavailable, match="not one of the devices Arc 1, Ace 2; give one"):
        reach("otii", address="192.0.2.20:1905")
    assert values(reach("otii", address="192.0.2.20", channel="ace 2")) == {"power": pytest.approx(3.3)}
    with pytest.raises(SourceUnavailable, match="is no server; write it like"):
        reach("otii", address="192.0.2.20:x")
    assert server.connected == 1
    monkeypatch.setattr(server, "get_devices", lambda: 1 / 0)
    with pytest.raises(SourceUnavailable, match="division by zero; check that it runs, its licence"):
        reach("otii", address="192.0.2.20")
    assert server.connected == 1


# PPK2


class Kit:
    """Samples at 100 kHz of the given microamperes, of which ``kept`` come."""

    def __init__(self, microamperes: Any = 250_000.0, kept: float = 1.0) -> None:
        self.microamperes, self.kept, self.calls = microamperes, kept, list[Any]()
        self.ser = types.SimpleNamespace(close=lambda: self.calls.append("closed"))
        self.last_s = time.monotonic()

    def __call__(self, port: str, **options: Any) -> Kit:
        self.calls.append(port)
        return self

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *words: self.calls.append((name, *words))

    def get_data(self) -> bytes:
        now_s = time.monotonic()
        begin_s, self.last_s = self.last_s, now_s
        return bytes(int((now_s - begin_s) * 100_000 * self.kept))

    def get_samples(self, data: bytes) -> tuple[list[Any], list[int]]:
        return [self.microamperes] * len(data), []


def test_ppk2_reads_the_mean_current_times_the_voltage(reach: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    kit = Kit()
    module(monkeypatch, "ppk2_api.ppk2_api", PPK2_MP=kit)
    source = reach("ppk2", address="/dev/ttyACM0", voltage_V=5)
    time.sleep(0.05)
    assert values(source) == {"power": pytest.approx(1.25)}
    assert ("use_ampere_meter",) in kit.calls
    assert not any("toggle_DUT_power" in call for call in kit.calls)
    assert "at 5 V (by your word)" in source.channels[0].scope
    fed = reach("ppk2", address="/dev/ttyACM0", voltage_V=3.3, mode="source")
    assert {("use_source_meter",), ("set_source_voltage", 3300), ("toggle_DUT_power", "ON")} <= set(kit.calls)
    fed.close()
    assert kit.calls[-1] == "closed"


def test_ppk2_samples_that_are_lost_or_none_are_no_reading(reach: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    kit = Kit()
    module(monkeypatch, "ppk2_api.ppk2_api", PPK2_MP=kit)
    source = reach("ppk2", address="/dev/ttyACM0", voltage_V=5)
    kit.kept = 0.0
    time.sleep(0.01)
    with pytest.raises(OSError, match="no samples since the last reading"):
        source.read()
    kit.kept = 0.5
    time.sleep(1.0)
    with pytest.raises(OSError, match=r"\d+ % of the samples are lost: this host is too slow"):
        source.read()
    kit.kept = 1.0
    for wrong in (float("nan"), float("inf"), "x", None):
        kit.microamperes = wrong
        time.sleep(0.01)
        with pytest.raises((OSError, ValueError), match=r"is no number|unsupported operand|no samples"):
            source.read()


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({}, "voltage_V: None is none of it; give volts from 0.8 to 5"),
        ({"voltage_V": 12}, "voltage_V: 12 is none of it"),
        ({"voltage_V": "nan"}, "voltage_V: nan is none of it"),
        ({"voltage_V": 5, "mode": "sink"}, "mode: sink is unknown; use ampere or source"),
    ],
)
def test_ppk2_entries_that_cannot_be(entry: dict[str, Any], said: str, reach: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    module(monkeypatch, "ppk2_api.ppk2_api", PPK2_MP=Kit())
    with pytest.raises(SourceUnavailable, match=said):
        reach("ppk2", address="/dev/ttyACM0", **entry)


# Any reply


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**90), 2**90) | st.floats() | st.text(max_size=8) | st.just("9.91E37"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["accumulators", "energy", "signals", "power", "avg", "value", "units"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)
QUIET = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
CHANNELS = (Channel("energy", "counter", 1e-9, "x"), Channel("power", "power", 1e-9, "x"))


def read_or_refused(source: Source) -> None:
    try:
        raw = source.read()
    except ERRORS:
        return
    assert all(isinstance(value, int) and -(2**63) <= value < 2**63 for value in raw)


@QUIET
@given(JSON, JSON, JSON)
def test_any_statistics_samples_and_values_are_a_reading_or_refused(first: Any, second: Any, third: Any) -> None:
    scope = Joulescope(None, CHANNELS)
    for sent in (first, statistics(second, third)):
        scope._take(sent)
        read_or_refused(scope)
    read_or_refused(Otii(None, Arc("Arc", mv=first, mc=second), CHANNELS[1:]))
    kit = Kit(first)
    kit.last_s -= 0.001
    source = Ppk2(kit, Decimal(5), CHANNELS[1:])
    read_or_refused(source)
