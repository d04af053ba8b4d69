"""Meters that publish by MQTT, with a real broker; and the times of messages, by the device's clock."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.cluster.board_files import load_board
from bench.energy.sampling.host_identity import HostIdentity
from bench.energy.sampling.inventory_meters import read_meters
from bench.energy.sampling.sampler import Sampler
from bench.energy.sensor_base.source import Source, SourceUnavailable
from bench.energy.transport.message_times import MessageTimes, stamp_of
from bench.joules.energy_curve import curve_of
from bench.joules.integration import energy
from tests.bench.energy.sensors.conftest import Open
from tests.project import ROOT
from tests.stand_ins.daemon import Broker, free_port

pytestmark = pytest.mark.machine

TASMOTA = {"Time": "2026-12-01T03:15:42", "ENERGY": {"Total": 12.345, "Power": 8, "ApparentPower": 11, "Factor": 0.73}}
SHELLY = {"id": 0, "output": True, "apower": 8.5, "voltage": 231.2, "aenergy": {"total": 4821.307, "minute_ts": 1796094942}}
ZIGBEE = {"power": 8.52, "energy": 12.34, "linkquality": 120, "last_seen": "2026-12-01T03:15:42.250Z", "state": "ON"}


class Device(threading.Thread):
    """Publishes what ``message`` gives, every ``every_s``; or when it is asked."""

    def __init__(self, broker: Broker, topic: str, message: Callable[[], Any], every_s: float = 0.1, **login: str) -> None:
        super().__init__(daemon=True)
        import paho.mqtt.client as mqtt

        self.topic, self.message, self.every_s = topic, message, every_s
        self.asked: list[str] = []
        self.ending = threading.Event()
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        if login:
            self.client.username_pw_set(login["user"], login["password"])
        self.client.on_message = self._answer
        self.client.on_connect = lambda client, *rest: client.subscribe("cmnd/plug/STATUS")
        self.client.connect("127.0.0.1", broker.port)
        self.client.loop_start()
        self.start()

    def _answer(self, client: Any, data: Any, message: Any) -> None:
        self.asked.append(message.payload.decode())
        self.publish()

    def publish(self, retain: bool = False) -> None:
        said = self.message()
        self.client.publish(self.topic, said if isinstance(said, (str, bytes)) else json.dumps(said), retain=retain)

    def run(self) -> None:
        while self.every_s and not self.ending.wait(self.every_s):
            self.publish()

    def close(self) -> None:
        self.ending.set()
        self.client.disconnect()
        self.client.loop_stop()


Publish = Callable[..., Device]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    one = Broker(tmp_path / "broker")
    yield one
    one.dies()


@pytest.fixture
def publish(broker: Broker) -> Iterator[Publish]:
    devices: list[Device] = []

    def start(topic: str, message: Callable[[], Any], every_s: float = 0.1) -> Device:
        devices.append(Device(broker, topic, message, every_s))
        return devices[-1]

    yield start
    for device in devices:
        device.close()


def values(source: Source) -> dict[str, float]:
    raw = source.read()
    return {channel.id: value * channel.scale for channel, value in zip(source.channels, raw, strict=True)}


@pytest.mark.parametrize(
    ("topic", "message", "entry", "read"),
    [
        (
            "tele/plug/SENSOR",
            TASMOTA,
            {"path": "ENERGY.Power", "unit": "W", "energy_path": "ENERGY.Total", "energy_unit": "kWh"},
            {"power": 8.0, "energy": 12.345 * 3.6e6},
        ),
        (
            "shelly/status/switch:0",
            SHELLY,
            {"path": "apower", "unit": "W", "energy_path": "aenergy.total", "energy_unit": "Wh"},
            {"power": 8.5, "energy": 4821.307 * 3600},
        ),
        ("zigbee2mqtt/plug", ZIGBEE, {"path": "power", "unit": "W"}, {"power": 8.52}),
        ("shellies/plug/relay/0/power", "8.52", {"unit": "W"}, {"power": 8.52}),
        ("pdu/outlet", {"deciwatt": 85}, {"path": "deciwatt", "unit": "W", "scale": 0.1}, {"power": 8.5}),
    ],
)
def test_the_number_of_each_message_is_a_reading(
    topic: str, message: Any, entry: dict[str, Any], read: dict[str, float], broker: Broker, publish: Publish, reach: Open
) -> None:
    publish(topic, lambda: message)
    source = reach("mqtt", address=broker.address, topic=topic, period_s=0.1, **entry)
    assert values(source) == pytest.approx(read)
    assert topic in source.channels[0].scope
    assert all(channel.update_period_s == 0.1 for channel in source.channels)


def test_a_reading_waits_for_the_next_message_and_has_its_time(broker: Broker, publish: Publish, reach: Open) -> None:
    """Each message once, at its arrival: a value that is not renewed makes no readings."""
    count = iter(range(10, 1000))
    publish("plug", lambda: str(next(count)), every_s=0.2)
    source = reach("mqtt", address=broker.address, topic="plug", unit="W", period_s=0.2)
    readings = [(values(source)["power"], source.taken_ns) for _ in range(5)]
    assert len({watts for watts, _ in readings}) == 5
    times = [taken_ns for _, taken_ns in readings]
    assert times == sorted(times)
    assert times[-1] <= time.monotonic_ns()  # type: ignore[operator]


def test_a_message_that_the_broker_kept_is_no_reading(broker: Broker, publish: Publish, reach: Open) -> None:
    device = publish("plug", lambda: "7.25", every_s=0)
    device.publish(retain=True)
    with pytest.raises(SourceUnavailable, match=r"no message of plug for 1 s; the broker keeps an old one: '7.25'"):
        reach("mqtt", address=broker.address, topic="plug", unit="W", period_s=0.1, start_timeout_s=1)


def test_a_device_that_is_asked_answers_each_reading(broker: Broker, publish: Publish, reach: Open) -> None:
    """Tasmota's telemetry comes every 300 s; Status 10 comes when it is asked for."""
    device = publish("stat/plug/STATUS10", lambda: {"StatusSNS": TASMOTA}, every_s=0)
    entry = {"topic": "stat/plug/STATUS10", "request": "cmnd/plug/STATUS", "payload": 10, "period_s": 0.2}
    source = reach("mqtt", address=broker.address, path="StatusSNS.ENERGY.Power", unit="W", **entry)
    assert [values(source)["power"] for _ in range(3)] == [8.0] * 3
    assert device.asked == ["10"] * 3


def test_a_broker_that_goes_is_a_gap_and_comes_back(broker: Broker, publish: Publish, reach: Open) -> None:
    publish("plug", lambda: "8.5")
    source = reach("mqtt", address=broker.address, topic="plug", unit="W", period_s=0.1, timeout_s=0.5)
    assert values(source)["power"] == 8.5
    broker.dies()
    time.sleep(0.3)
    with pytest.raises(OSError, match="has closed the connection"):
        [source.read() for _ in range(20)]
    broker.returns()
    deadline_s = time.monotonic() + 20
    while time.monotonic() < deadline_s:
        try:
            assert values(source)["power"] == 8.5
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("no reading after the broker came back")


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"topic": "plug/+"}, "is no topic of one device"),
        ({}, "is no topic of one device"),
        ({"topic": "plug", "unit": "VA"}, "unit: VA does not say what is read"),
        ({"topic": "plug", "path": "ENERGY.Watts", "unit": "W"}, "no ENERGY.Watts in the reply .*; check path"),
        ({"topic": "plug", "path": "Time", "unit": "W"}, "is no number; check path"),
        ({"topic": "plug", "unit": "W"}, "is no number; check path"),
        ({"topic": "plug", "path": "ENERGY.Power", "unit": "W", "time_path": "When"}, None),
        ({"topic": "silence", "unit": "W", "start_timeout_s": 0.5}, "no message of silence for 0.5 s; check topic"),
        ({"topic": "plug", "unit": "W", "scale": 0}, "scale: 0 would make every reading 0"),
    ],
)
def test_entries_that_do_not_say_what_is_read(
    entry: dict[str, Any], said: str | None, broker: Broker, publish: Publish, reach: Open
) -> None:
    publish("plug", lambda: TASMOTA)
    entry = {"period_s": 0.1, "unit": "W", **entry}
    if said is None:
        source = reach("mqtt", address=broker.address, **entry)
        with pytest.raises(ValueError, match="no When in the reply"):
            source.read()
        return
    with pytest.raises(SourceUnavailable, match=said):
        reach("mqtt", address=broker.address, **entry)


def test_a_broker_that_is_not_there_or_wants_a_password(tmp_path: Path, reach: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SourceUnavailable, match=r"the broker 127.0.0.1:\d+ cannot be reached .*Connection refused"):
        reach("mqtt", address=f"127.0.0.1:{free_port()}", topic="plug", unit="W")
    for address in ("http://127.0.0.1", "mqtt://", "mqtt://me:secret@127.0.0.1", "mqtt://[", "127.0.0.1:x"):
        with pytest.raises(SourceUnavailable, match="is no broker; write it like mqtt://"):
            reach("mqtt", address=address, topic="plug", unit="W")
    guarded = Broker(tmp_path / "guarded", "meter", "right")
    device = Device(guarded, "plug", lambda: "8.5", user="meter", password="right")
    try:
        with pytest.raises(SourceUnavailable, match=r"refuses us .*; check user, password_env and topic"):
            reach("mqtt", address=guarded.address, topic="plug", unit="W")
        monkeypatch.setenv("BROKER", "right")
        entry = {"topic": "plug", "unit": "W", "user": "meter", "password_env": "BROKER", "period_s": 0.1}
        assert values(reach("mqtt", address=guarded.address, **entry))["power"] == 8.5
    finally:
        device.close()
        guarded.dies()


# Times of messages


@pytest.mark.parametrize(
    ("value", "stamp"),
    [
        ("1970-01-01T00:00:01", (10**9, 10**9)),
        ("1970-01-01T00:00:01.250Z", (1_250_000_000, 10**6)),
        ("1970-01-01T01:00:01,5+01:00", (1_500_000_000, 10**8)),
        (1796094942, (1796094942 * 10**9, 10**9)),
        (1796094942.25, (1796094942250 * 10**6, 10**7)),
        (1796094942250, (1796094942250 * 10**6, 10**6)),
    ],
)
def test_times_as_devices_write_them(value: Any, stamp: tuple[int, int]) -> None:
    assert stamp_of(value) == stamp


@given(st.text(max_size=30) | st.floats() | st.integers() | st.none() | st.binary(max_size=12) | st.lists(st.integers()))
def test_any_time_is_understood_or_refused(value: Any) -> None:
    try:
        stamp_ns, resolution_ns = stamp_of(value)
    except ValueError:
        return
    assert isinstance(stamp_ns, int)
    assert resolution_ns >= 1


def test_a_message_that_was_held_up_counts_at_its_own_time() -> None:
    """The device's clock is an hour off; the third message takes 0.8 s longer than the others."""
    times, ms = MessageTimes(), 10**6
    delays_ms = [20, 22, 820, 21]
    taken = [times.taken_ns((1000 * n + delay) * ms, ((3_600_000 + 1000 * n) * ms, ms)) for n, delay in enumerate(delays_ms)]
    assert [round(one / ms) for one in taken] == [20, 1020, 2020, 3020]


def test_whole_seconds_leave_a_message_at_its_arrival_unless_it_is_later_than_its_second() -> None:
    times, ms = MessageTimes(), 10**6
    assert times.taken_ns(1_300 * ms, (1000 * ms, 1000 * ms)) == 1_300 * ms
    assert times.taken_ns(2_700 * ms, (2000 * ms, 1000 * ms)) == 2_700 * ms
    assert times.taken_ns(5_900 * ms, (3000 * ms, 1000 * ms)) == 4_300 * ms


def test_a_clock_that_is_set_back_is_followed() -> None:
    times, ms = MessageTimes(), 10**6
    times.taken_ns(1_000 * ms, (9_000_000 * ms, ms))
    assert times.taken_ns(2_000 * ms, (5_000 * ms, ms)) == 2_000 * ms
    assert times.taken_ns(3_500 * ms, (6_000 * ms, ms)) == 3_000 * ms


@given(st.lists(st.tuples(st.integers(0, 10**12), st.integers(-(10**18), 10**18), st.sampled_from([1, 10**6, 10**9]))))
def test_no_message_is_taken_after_it_came(messages: list[tuple[int, int, int]]) -> None:
    times = MessageTimes()
    for arrival_ns, stamp_ns, resolution_ns in messages:
        assert times.taken_ns(arrival_ns, (stamp_ns, resolution_ns)) <= arrival_ns


def test_messages_through_the_sampler_process_make_joules(broker: Broker, publish: Publish) -> None:
    """100 W from a device that publishes five times a second: each message one row, at the time when it came."""
    begin = time.monotonic()
    publish("plug", lambda: {"power": 100, "energy": (time.monotonic() - begin) * 100}, every_s=0.2)
    block = {"source": "mqtt", "address": broker.address, "topic": "plug", "path": "power", "unit": "W", "period_s": 0.2}
    entry = read_meters({"plug": {**block, "energy_path": "energy", "energy_unit": "J"}}, ["pi-1"])
    sampler = Sampler([], load_board("raspberry-pi-4", ROOT / "conf/board"), "/", None, entry, metered=True)
    sampler.start()
    first_s = time.monotonic()
    time.sleep(2.5)
    last_s = time.monotonic()
    (trace,) = sampler.stop(HostIdentity("pi", "boot", "raspberry-pi-4", "pi-1"), {"plug": ["pi-1"]}, {})
    times = trace.t_after_ns.tolist()
    assert times == sorted(set(times))
    assert times[-1] >= last_s * 1e9  # the reader waited for the message after the window
    assert len({row[0] for row in trace.raw.tolist()}) == len(times)
    read = energy(curve_of(trace, lambda t_ns: t_ns / 1e9), first_s, last_s)
    assert read.quality == "good"
    assert abs(read.joules - 100 * (last_s - first_s)) <= 3 * read.uncertainty_J
