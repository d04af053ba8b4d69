"""Every reader under input that nobody means: it ends in whole numbers of 64 bits or in its error class, never in another."""

from __future__ import annotations

import contextlib
import json
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bench.energy.sensor_base import source as sources
from bench.energy.sensor_base.external_meter import Meter, exact
from bench.energy.sensor_base.source import Place, Source, SourceUnavailable
from bench.energy.sensors import scpi
from bench.energy.sensors.mqtt import Mqtt
from bench.energy.sensors.pi5 import parse
from bench.energy.transport.json_path import keys_of, parse_json
from bench.energy.transport.snmp_agent import _number
from tests.stand_ins.bytes_server import BytesServer
from tests.stand_ins.plug import LegacyPlug
from tests.stand_ins.web import WebMeter, recorded

pytestmark = pytest.mark.machine

ERRORS = (OSError, ValueError)
"""What a reading may raise; opening raises SourceUnavailable alone."""
NUMBERS = st.sampled_from([9.9e37, 9.91e37, float("nan"), float("inf"), -float("inf"), 2**63, 2**80, -1, 0, "9.91E37", "1e400"])
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NAMES = st.sampled_from(
    [
        *(
            "StatusSNS",
            "ENERGY",
            "StatusPWR",
            "Power",
            "Total",
            "gen",
            "type",
            "apower",
            "aenergy",
            "total",
            "Members",
            "@odata.id",
        ),
        *("PowerWatts", "Reading", "EnergykWh", "PowerControl", "PowerConsumedWatts", "a", "b", "switch:0", "ReadingType"),
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**90), 2**90) | st.floats() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=15,
)
QUIET = settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def opened_or_refused(kind: str, root: Path = Path("/"), **entry: Any) -> None:
    """Opens a source or meter and reads it twice."""
    known = {**sources.on_board(), **sources.meters()}
    try:
        source = known[kind].open(Place(root, settings={"source": kind, **entry}))
    except SourceUnavailable:
        return
    try:
        read_or_refused(source)
        read_or_refused(source)
    finally:
        source.close()


def read_or_refused(source: Source) -> None:
    try:
        raw = source.read()
    except ERRORS:
        return
    assert len(raw) == len(source.channels)
    assert all(isinstance(value, int) for value in raw)
    if isinstance(source, Meter):  # of the others, the sampler refuses more than 64 bits
        assert all(-(2**63) <= value < 2**63 for value in raw)


@QUIET
@given(st.lists(st.lists(st.integers(0, 9), max_size=3) | st.integers(0, 1), min_size=3, max_size=3) | JSON)
def test_a_list_is_no_number(value: Any) -> None:
    """Decimal makes a number of [0, [1, 2], 3]."""
    try:
        exact(value)
    except ValueError:
        return
    assert isinstance(value, (int, float, str))


# By HTTP


@pytest.fixture(scope="module")
def web() -> Iterator[WebMeter]:
    one = WebMeter(lambda target: None)
    yield one
    one.dies()


@pytest.fixture(scope="module")
def raw() -> Iterator[BytesServer]:
    one = BytesServer()
    yield one
    one.dies()


HTTP_METERS: dict[str, Callable[[str], dict[str, Any]]] = {
    "tasmota": lambda url: {"address": url},
    "shelly": lambda url: {"address": url},
    "redfish": lambda url: {"address": url},
    "http": lambda url: {"url": f"{url}/a", "path": "a.b", "unit": "W", "energy_path": "a.a", "energy_unit": "Wh"},
}
LIKELY: dict[str, Callable[[Any, Any], Any]] = {
    "tasmota": lambda one, two: {"StatusSNS": {"ENERGY": {"Power": one, "Total": two}}},
    "shelly": lambda one, two: {"gen": 2, "apower": one, "aenergy": {"total": two}, "errors": None},
    "redfish": lambda one, two: {
        "Members": [{"@odata.id": "/redfish/v1/Chassis/1"}],
        "PowerWatts": {"Reading": one},
        "EnergykWh": {"Reading": two},
        "PowerControl": [{"PowerConsumedWatts": two}],
    },
    "http": lambda one, two: {"a": {"b": one, "a": two}},
}


@QUIET
@pytest.mark.parametrize("kind", sorted(HTTP_METERS))
@given(reply=JSON | TEXT, one=JSON, two=JSON, likely=st.booleans())
def test_any_reply_by_http_is_a_reading_or_refused(
    kind: str, reply: Any, one: Any, two: Any, likely: bool, web: WebMeter
) -> None:
    sent = LIKELY[kind](one, two) if likely else reply
    web.answer = lambda target: sent if isinstance(sent, str) else json.dumps(sent)
    opened_or_refused(kind, **HTTP_METERS[kind](web.url))


@QUIET
@pytest.mark.parametrize("kind", sorted(HTTP_METERS))
@given(
    body=st.binary(max_size=60),
    status=st.sampled_from([b"200 OK", b"302 Found", b"401 No", b"999", b"\xff"]),
    framed=st.booleans(),
)
def test_any_bytes_of_a_web_server_are_a_reading_or_refused(
    kind: str, body: bytes, status: bytes, framed: bool, raw: BytesServer
) -> None:
    head = b"HTTP/1.1 %s\r\nLocation: %s\r\nContent-Length: %d\r\n\r\n" % (status, body[:20].replace(b"\n", b""), len(body))
    raw.answer = head + body if framed else body
    opened_or_refused(kind, **HTTP_METERS[kind](f"http://127.0.0.1:{raw.port}"))


@QUIET
@given(TEXT | st.binary(max_size=30), TEXT)
def test_any_json_and_any_path(text: Any, path: str) -> None:
    with contextlib.suppress(ValueError):
        parse_json(text)
    with contextlib.suppress(SourceUnavailable):
        assert all(isinstance(key, (int, str)) for key in keys_of("path", path))


# By other networks


@QUIET
@given(st.sampled_from(["power_mw", "total_wh", "power", "total", "err_code"]), JSON)
def test_any_reply_of_a_kasa_plug_is_a_reading_or_refused(key: str, value: Any) -> None:
    device = recorded("kasa-hs110")
    emeter = device.get("emeter", {})
    (emeter.get("get_realtime", emeter))[key] = json.loads(json.dumps(value, allow_nan=False)) if _plain(value) else None
    plug = LegacyPlug(device)
    try:
        opened_or_refused("kasa", address="127.0.0.1", port=plug.port)
    finally:
        plug.dies()


def _plain(value: Any) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("kind", ["modbus", "kasa"])
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(answer=st.binary(min_size=1, max_size=40))
def test_any_bytes_of_a_device_are_a_reading_or_refused(kind: str, answer: bytes, raw: BytesServer) -> None:
    raw.answer = answer
    entry = {"address": f"127.0.0.1:{raw.port}", "register": 0, "unit": "W"} if kind == "modbus" else {"address": "127.0.0.1"}
    opened_or_refused(kind, **entry, **({} if kind == "modbus" else {"port": raw.port}))


class AnyTopic:
    """A topic with messages of the test's; the rest is the reader's own."""

    topic, where = "plug", "127.0.0.1:1883"

    def __init__(self, *payloads: bytes) -> None:
        self.payloads = list(payloads)

    def next(self, seen: int, timeout_s: float) -> tuple[tuple[bytes, int], int]:
        if seen >= len(self.payloads):
            raise OSError("no message")
        return (self.payloads[seen], seen + 1), seen + 1

    def close(self) -> None: ...


MESSAGES = st.binary(max_size=40) | JSON.map(lambda value: json.dumps(value).encode())
ENTRIES = st.sampled_from(
    [
        {"unit": "W"},
        {"path": "a", "unit": "W", "time_path": "b"},
        {"path": "a.b", "unit": "kWh", "scale": "-1e3"},
        {"path": "Power", "unit": "W", "energy_path": "Total", "energy_unit": "kWh"},
    ]
)


@QUIET
@given(st.lists(MESSAGES, min_size=1, max_size=4), ENTRIES)
def test_any_message_is_a_reading_or_refused(payloads: list[bytes], entry: dict[str, Any]) -> None:
    source = Mqtt(AnyTopic(*payloads), entry)  # type: ignore[arg-type]
    try:
        source._begin()
    except ERRORS:
        return
    for _ in payloads:
        read_or_refused(source)


@QUIET
@given(TEXT)
def test_any_object_of_an_agent_is_a_number_or_refused(text: str) -> None:
    value = types.SimpleNamespace(prettyPrint=lambda: text)
    with contextlib.suppress(ValueError):
        assert _number("1.3.6", value).is_finite()


# Instruments


class AnyInstrument:
    """Answers each query with the next of the test's texts."""

    def __init__(self, answers: list[Any]) -> None:
        self.answers = answers

    def query(self, query: str) -> Any:
        answer = self.answers.pop(0) if self.answers else ""
        if isinstance(answer, Exception):
            raise answer
        return answer

    def write(self, command: str) -> None: ...

    def close(self) -> None: ...


ANSWERS = st.sampled_from(["9.9E37", "9.91E37", "NAN", "INF", "STAR", "RES", "0", "-1", "6.3000E+01", "0.1", "1E400", ""])


@QUIET
@given(
    st.lists(ANSWERS | TEXT | st.sampled_from([RuntimeError("bus"), KeyError("x"), UnicodeError("y")]), max_size=16),
    st.sampled_from([{}, {"dialect": "generic", "query": "MEAS:POW?"}]),
)
def test_any_answer_of_an_analyser_is_a_reading_or_refused(answers: list[Any], entry: dict[str, Any]) -> None:
    class Manager:
        def __init__(self, library: str) -> None: ...

        def open_resource(self, resource: str, **options: Any) -> AnyInstrument:
            return AnyInstrument(list(answers))

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "pyvisa", types.SimpleNamespace(ResourceManager=Manager))
        opened_or_refused("scpi", resource="TCPIP::192.0.2.60::INSTR", **entry)
    assert scpi.LONGEST_UPDATE_S > 0


# Of the host itself


LINES = st.builds(
    "     {}_{} {}(7)={}{}".format,
    st.sampled_from(["VDD_CORE", "3V3_DAC", "x"]),
    *[
        st.sampled_from(words)
        for words in (["A", "V"], ["current", "volt"], ["0.75012000", "9" * 400 + ".0", "nan", "-1.0", "٣.٣"], ["A", "V"])
    ],
)


@QUIET
@given(st.lists(LINES | TEXT, max_size=6))
def test_any_reply_of_vcgencmd_has_rails_or_none(lines: list[str]) -> None:
    try:
        rails = parse("\n".join(lines))
    except ValueError:
        return
    assert all(rail.amperes.is_finite() and rail.volts.is_finite() for rail in rails.values())


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(reply=st.binary(max_size=80) | st.lists(LINES, max_size=4).map(lambda lines: "\n".join(lines).encode()))
def test_any_bytes_of_vcgencmd_are_a_reading_or_refused(reply: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.mktemp("pi")
    (root / "usr/bin").mkdir(parents=True)
    (root / "reply").write_bytes(reply)
    program = root / "usr/bin/vcgencmd"
    program.write_text(f"#!/bin/sh\ncat {root / 'reply'}\n")
    program.chmod(0o755)
    opened_or_refused("pi5", root)


class NvmlError(Exception):
    """As the library's: no OSError."""


@QUIET
@example(answers=[1, 0, "a GPU", "uuid", NvmlError("no"), AttributeError("old"), 8500, None])
@example(answers=[1, 0, UnicodeError("name"), "uuid", 1, 1, 1, 1])
@given(
    answers=st.lists(
        JSON | st.sampled_from([NvmlError("lost"), AttributeError("old"), UnicodeError("name")]), min_size=8, max_size=8
    )
)
def test_any_answer_of_nvml_is_a_reading_or_refused(answers: list[Any]) -> None:
    def say(number: int) -> Callable[..., Any]:
        def call(*words: Any) -> Any:
            if isinstance(answers[number], Exception):
                raise answers[number]
            return answers[number]

        return call

    calls = ("Count", "HandleByIndex", "Name", "UUID", "TotalEnergyConsumption", "FieldValues", "PowerUsage")
    library = types.SimpleNamespace(
        NVMLError=NvmlError,
        NVML_FI_DEV_POWER_INSTANT=186,
        nvmlInit=lambda: None,
        nvmlShutdown=lambda: None,
        **{f"nvmlDeviceGet{name}": say(number) for number, name in enumerate(calls)},
    )
    library.nvmlDeviceGetCount = lambda: 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "pynvml", library)
        opened_or_refused("nvml")


CONTENT = st.binary(max_size=24) | st.sampled_from(
    [
        b"0",
        b"1",
        b"0-99999999999",
        b"5-2",
        b"event=0x02",
        b"event=99999999999999999999999",
        b"Joules",
        b"2.3e-10",
        b"nan",
        b"inf",
        b"1e400",
        b"",
    ]
)


@QUIET
@example(contents={"events/energy-pkg": b"event=99999999999999999999999"})
@example(contents={"events/energy-pkg.scale": b"nan"})
@example(contents={"cpumask": b"0-99999999999"})
@given(
    contents=st.dictionaries(
        st.sampled_from(["type", "cpumask", "events/energy-pkg", "events/energy-pkg.unit", "events/energy-pkg.scale"]), CONTENT
    )
)
def test_any_pmu_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, contents: dict[str, bytes]) -> None:
    root = tmp_path_factory.mktemp("pmu")
    pmu = root / "sys/bus/event_source/devices/power"
    topology = root / "sys/devices/system/cpu/cpu0/topology"
    for folder in (pmu / "events", topology):
        folder.mkdir(parents=True)
    (topology / "physical_package_id").write_text("0\n")
    usual = {"type": b"1", "cpumask": b"0", "events/energy-pkg": b"event=0x02", "events/energy-pkg.unit": b"Joules"}
    for name, content in {**usual, "events/energy-pkg.scale": b"2.3e-10", **contents}.items():
        (pmu / name).write_bytes(content)
    opened_or_refused("perf", root)


@QUIET
@given(name=st.binary(max_size=12) | st.just(b"package-0"), before=CONTENT | st.just(b"123456"), after=CONTENT)
def test_any_zone_is_read_by_pyjoules_or_refused(
    name: bytes, before: bytes, after: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    pytest.importorskip("pyJoules", reason="pyJoules is not installed")
    root = tmp_path_factory.mktemp("zones")
    zone = root / "sys/class/powercap/intel-rapl/intel-rapl:0"
    zone.mkdir(parents=True)
    (root / "sys/class/powercap/intel-rapl:0").symlink_to("intel-rapl/intel-rapl:0")
    for file, content in (("name", name), ("energy_uj", before), ("max_energy_range_uj", b"262143328850")):
        (zone / file).write_bytes(content)
    try:
        source = sources.on_board()["pyjoules"].open(Place(root))
    except SourceUnavailable:
        return
    (zone / "energy_uj").write_bytes(after)
    read_or_refused(source)
    source.close()
