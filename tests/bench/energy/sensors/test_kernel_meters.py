"""Powercap zones of others and power supplies, as directory trees; and readers and parsers under random input."""

from __future__ import annotations

import contextlib
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.energy.sampling.sampler_process import MOST_RAW, Reader
from bench.energy.sensor_base import source as sources
from bench.energy.sensor_base.external_meter import exact, micro, step
from bench.energy.sensor_base.jetson_rails import arrange
from bench.energy.sensor_base.rapl_zones import find_zones
from bench.energy.sensor_base.source import Place, Source, SourceUnavailable
from bench.energy.sensor_base.source_choice import OpenedSource
from bench.energy.sensors.jtop import _powers_mW
from bench.energy.sensors.shelly import Shelly
from bench.energy.transport.http_json import Digest, Login
from bench.energy.transport.line_stream import ColumnTable
from bench.joules.channel import Channel

pytestmark = pytest.mark.machine

ERRORS = (SourceUnavailable, OSError, ValueError)
"""What a source may raise: the first when it is opened, the others for a failed reading."""


def files(folder: Path, **values: Any) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in values.items():
        (folder / name).write_text(f"{value}\n")


def meter(root: Path, kind: str, **entry: Any) -> Source:
    return sources.meters()[kind].open(Place(root, settings={"source": kind, **entry}))


def read(root: Path, kind: str, **entry: Any) -> tuple[str, float]:
    with closing(meter(root, kind, **entry)) as source:
        return source.channels[0].kind, source.read()[0] * source.channels[0].scale


@pytest.fixture
def zones(tmp_path: Path) -> Path:
    tree = tmp_path / "sys/class/powercap"
    files(tree / "arm-scmi")
    files(tree / "arm-scmi:0", name="PLATFORM", power_uw=21_450_000, max_power_range_uw=40_000_000)
    files(tree / "arm-scmi:0:0", name="CLUSTER_BIG", power_uw=8_120_000)
    files(tree / "arm-scmi:0:1", name="CLUSTER_LITTLE", power_uw=1_260_000)
    files(tree / "dtpm:0", name="soc", power_uw=5_000_000)
    files(tree / "socwatch:0", name="soc-total", energy_uj=7_000_000, max_energy_range_uj=999_999_999)
    return tmp_path


def test_powercap_zones_of_other_names(zones: Path) -> None:
    assert read(zones, "powercap", address="platform") == ("power", pytest.approx(21.45))
    assert read(zones, "powercap", address="arm-scmi:0:1") == ("power", pytest.approx(1.26))
    assert read(zones, "powercap", address="arm-scmi", sum=["cluster_big", "CLUSTER_LITTLE"]) == ("power", pytest.approx(9.38))
    with closing(meter(zones, "powercap", address="soc-total")) as source:
        assert source.channels[0].modulus == 1_000_000_000
        assert source.read() == [7_000_000]
    with closing(meter(zones, "powercap", address="dtpm")) as source:
        assert "modelled by the kernel" in source.channels[0].scope


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"address": "arm-scmi"}, r"names 3 zones of powercap; there are PLATFORM \(arm-scmi:0\) 21.45 W"),
        ({"address": "intel-rapl"}, "names no zones of powercap"),
        ({"address": "arm-scmi", "sum": ["PLATFORM", "CLUSTER_BIG"]}, "is inside another of its zones"),
        ({"address": "arm-scmi", "sum": []}, "is no list of channels"),
        ({"address": "", "sum": ["soc", "soc-total"]}, "have a counter and a power"),
    ],
)
def test_powercap_refusals(entry: dict[str, Any], said: str, zones: Path) -> None:
    with pytest.raises(SourceUnavailable, match=said):
        meter(zones, "powercap", **entry)


def test_power_supply_of_a_battery_and_of_a_chip(tmp_path: Path) -> None:
    tree = tmp_path / "sys/class/power_supply"
    files(
        tree / "BAT0",
        type="Battery",
        status="Discharging",
        voltage_now=11_520_000,
        current_now=-1_250_000,
        energy_now=41_000_000,
    )
    files(tree / "axp20x-usb", type="USB", online=1, power_now=4_321_000)
    files(tree / "AC", type="Mains", online=1)
    assert read(tmp_path, "power_supply", address="bat0") == ("power", pytest.approx(14.4))
    assert read(tmp_path, "power_supply", address="axp20x-usb") == ("power", pytest.approx(4.321))
    with closing(meter(tmp_path, "power_supply", address="BAT0")) as source:
        files(tree / "BAT0", status="Charging")
        with pytest.raises(ValueError, match="is Charging: a battery's power"):
            source.read()
    for entry, said in (
        ({"address": "BAT0"}, "is Charging"),
        ({"address": "AC"}, "neither power_now nor voltage_now and current_now"),
        ({"address": "BAT1"}, r"none of the supplies AC \(Mains\), BAT0 \(Battery\), axp20x-usb \(USB\)"),
    ):
        with pytest.raises(SourceUnavailable, match=said):
            meter(tmp_path, "power_supply", **entry)


# Random input: a value or one error class


WEIRD = st.sampled_from(
    ["9.9E37", "9.91E37", "nan", "inf", "-inf", "-1", "1e400", "1e-400", "1e99999999", "", "0x10", "٣", "1_0", "-0"]
)
NUMBERS = st.one_of(WEIRD, st.integers(-(2**80), 2**80).map(str), st.floats().map(str), st.text(max_size=12))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8) | WEIRD,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["rail", "tot", "name", "power", "cur", "VDD_IN", "apower", "aenergy", "total"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)
QUIET = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@QUIET
@given(NUMBERS | JSON)
def test_any_number_is_exact_or_refused(value: Any) -> None:
    try:
        number = exact(value)
    except ValueError:
        return
    assert isinstance(micro(number), int)
    assert step(number, 9) >= 1


CONTENT = st.binary(max_size=30) | NUMBERS.map(lambda text: text.encode(errors="replace")) | st.just(b"ina3221")
CHIP_FILES = (
    *("name", "power1_input", "power1_average", "power1_label", "in1_input", "in1_label", "curr1_input", "energy1_input"),
    *("energy1_enable", "curr1_fault", "update_interval", "shunt_resistor", "shunt1_resistor"),
)
ZONE_NAMES = ("intel-rapl:0", "intel-rapl:x", "intel-rapl:", "intel-rapl:0:0", "intel-rapl-mmio:0")


@QUIET
@given(contents=st.dictionaries(st.sampled_from(CHIP_FILES), CONTENT, max_size=8))
def test_any_chip_is_read_or_refused(contents: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.mktemp("chip")
    folder = root / "sys/class/hwmon/hwmon0"
    folder.mkdir(parents=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    with contextlib.suppress(*ERRORS), closing(meter(root, "hwmon", address="hwmon0")) as source:
        assert all(isinstance(value, int) for value in source.read())


@QUIET
@given(
    contents=st.dictionaries(st.sampled_from(["name", "energy_uj", "max_energy_range_uj"]), CONTENT, max_size=3),
    name=st.sampled_from(ZONE_NAMES),
)
def test_any_zone_is_described_or_refused(
    contents: dict[str, bytes], name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("zone")
    folder = root / "sys/class/powercap" / name
    folder.mkdir(parents=True)
    for file, content in contents.items():
        (folder / file).write_bytes(content)
    with contextlib.suppress(*ERRORS):
        find_zones(root)
    with contextlib.suppress(*ERRORS):
        sources.on_board()["rapl"].open(Place(root)).close()


@QUIET
@given(
    st.text(max_size=60),
    st.sampled_from([{"power_W": 1}, {"power_W": "W"}, {"voltage_V": 1, "current_A": 2}, {"energy_Wh": 3}]),
)
def test_any_line_has_numbers_or_none(line: str, columns: dict[str, Any]) -> None:
    table = ColumnTable({"columns": columns})
    for text in (line, "W,x", "9.9E37,1e400,nan", line):
        numbers = table.parse(text)
        assert numbers is None or all(value.is_finite() for value in numbers.values())


@QUIET
@given(JSON, st.lists(st.text(max_size=10), max_size=4))
def test_any_reply_of_jtop_and_any_labels_end_in_one_class(reply: Any, labels: list[str]) -> None:
    class Client:
        power = reply

    with contextlib.suppress(*ERRORS, LookupError, TypeError):  # all of them become OSError in read
        _powers_mW(Client())
    with contextlib.suppress(SourceUnavailable):
        arrange(labels)


@QUIET
@given(JSON)
def test_any_reply_of_a_shelly_is_a_reading_or_none(reply: Any) -> None:
    class Client:
        def get(self, path: str) -> Any:
            return reply

    from bench.energy.sensors.shelly import COMPONENTS

    channels = (Channel("power", "power", 1e-6, "x"), Channel("energy", "counter", 1e-6, "x"))
    source = Shelly(Client(), COMPONENTS["switch"], (0,), channels)  # type: ignore[arg-type]
    try:
        assert all(isinstance(value, int) for value in source.read())
    except ERRORS:
        return


@QUIET
@given(
    st.lists(
        st.text(max_size=60) | st.just('Digest realm="a", nonce=') | st.just("Digest =,=") | st.just('Digest realm=""'),
        max_size=3,
    )
)
def test_any_challenge_is_answered_or_not(headers: list[str]) -> None:
    digest = Digest(Login("digest", "admin", "secret"))
    digest.accept([header.replace("\n", " ") for header in headers])


class Moody(Source):
    """Gives what the test says, one after the other: numbers beyond 64 bits, too many values, every kind of error."""

    name, kind, rank, sensor = "moody", "measured", 1, "moody"
    channels = (Channel("power", "power", 1e-6, "x"), Channel("energy", "counter", 1e-6, "x"))

    def __init__(self, answers: list[Any]) -> None:
        self.answers = answers

    @classmethod
    def open(cls, place: Place) -> Source:
        raise SourceUnavailable("never")

    def read(self) -> list[int]:
        answer = self.answers.pop(0) if self.answers else [1, 2]
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[no-any-return]

    def close(self) -> None: ...


def test_whatever_a_source_does_the_thread_lives_and_times_and_values_stay_aligned() -> None:
    bad: list[Any] = [
        [3, 2**63],
        [-(2**63) - 1, 4],
        [micro(exact("9.9e29")), 0],
        [5],
        [5, 6, 7],
        [None, 1],
        ["8", 1],
        [1.5, 2],
        OSError("gone"),
        OverflowError("too large"),
        RecursionError("deep"),
        KeyError("power"),
    ]
    source = Moody([[1, 2], *bad, [MOST_RAW, -1]])
    reader = Reader(OpenedSource(source), 0.002, lambda: source.open(Place(Path("/"))))
    reader.start()
    threading.Event().wait(0.5)
    assert reader.is_alive()
    reader.stopping.set()
    reader.join(5)
    assert reader.errors == len(bad)
    assert len(reader.data) % reader.width == 0
    rows = [list(reader.data[n : n + reader.width]) for n in range(0, len(reader.data), reader.width)]
    assert [MOST_RAW, -1] in [row[2:] for row in rows]
    assert all(row[2:] in ([1, 2], [MOST_RAW, -1]) for row in rows)
    assert all(before <= after for before, after, *_ in rows)
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)
