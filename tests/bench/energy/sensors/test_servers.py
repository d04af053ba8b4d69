"""A server's own readings: IPMI DCMI by a stand-in program, Cray's counters as a tree, AMD's GPUs by a stand-in library."""

from __future__ import annotations

import contextlib
import stat
import sys
import types
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.energy.sensor_base import source as sources
from bench.energy.sensor_base.source import Place, Source, SourceUnavailable
from bench.energy.sensors import pm_counters
from bench.energy.sensors.ipmi import watts_of

pytestmark = pytest.mark.machine


# IPMI DCMI


REPLY = """
    Instantaneous power reading:                   212 Watts
    Minimum during sampling period:                 50 Watts
    Maximum during sampling period:                406 Watts
    Average power reading over sample period:      208 Watts
    IPMI timestamp:                           12/01/26 03:03:09 UTC
    Sampling period:                          00000001 Seconds.
    Power reading state is:                   activated

"""
PROGRAM = """#!/bin/sh
echo "$*" >> {folder}/words
echo "$IPMI_PASSWORD" >> {folder}/secrets
cat {folder}/complaint >&2
cat {folder}/reply
exit $(cat {folder}/code)
"""


class IpmiTool:
    """A root with the program, and the device of a host that has a controller."""

    def __init__(self, folder: Path) -> None:
        self.root = folder
        self.says(REPLY)
        for path in (folder / "usr/bin", folder / "dev"):
            path.mkdir(parents=True)
        (folder / "dev/ipmi0").touch()
        program = folder / "usr/bin/ipmitool"
        program.write_text(PROGRAM.format(folder=folder))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)

    def says(self, reply: str, complaint: str = "", code: int = 0) -> None:
        for name, text in (("reply", reply), ("complaint", complaint), ("code", str(code))):
            (self.root / name).write_text(text)

    def lines(self, name: str) -> list[str]:
        return (self.root / name).read_text().splitlines()


@pytest.fixture
def ipmitool(tmp_path: Path) -> IpmiTool:
    return IpmiTool(tmp_path)


def meter(root: Path, **entry: Any) -> Source:
    return sources.meters()["ipmi"].open(Place(root, settings={"source": "ipmi", **entry}))


def test_ipmi_reads_the_instantaneous_power_of_this_host(ipmitool: IpmiTool) -> None:
    with closing(meter(ipmitool.root, address="local")) as source:
        assert source.read() == [212_000_000]
        assert source.channels[0].scale * source.channels[0].lsb == 1.0
        assert source.channels[0].level == "wall"
    assert set(ipmitool.lines("words")) == {"dcmi power reading"}


def test_ipmi_of_a_controller_has_its_password_in_the_environment_only(
    ipmitool: IpmiTool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONTROLLER", "secret")
    (ipmitool.root / "dev/ipmi0").unlink()
    with closing(meter(ipmitool.root, address="192.0.2.9", user="monitor", password_env="CONTROLLER")) as source:
        assert source.read() == [212_000_000]
    assert set(ipmitool.lines("words")) == {"-I lanplus -H 192.0.2.9 -N 1 -R 2 -U monitor -E dcmi power reading"}
    assert set(ipmitool.lines("secrets")) == {"secret"}


@pytest.mark.parametrize(
    ("reply", "complaint", "code", "said"),
    [
        (REPLY.replace("212", "  0"), "", 0, "reads 0 W, which a running server never takes"),
        (REPLY.replace("activated", "deactivated"), "", 0, "the power reading is deactivated; activate it"),
        (REPLY.replace("212 Watts", "723 BTU/hr"), "", 0, "is in 'BTU/hr', not in watts"),
        ("", "", 0, "no power reading in ''"),
        ("", "DCMI request failed because: Invalid command (c1)", 1, r"DCMI request failed because: Invalid command \(c1\)"),
        ("", "", 3, "exit code 3; root may read it"),
    ],
)
def test_ipmi_that_has_no_reading_says_why(reply: str, complaint: str, code: int, said: str, ipmitool: IpmiTool) -> None:
    ipmitool.says(reply, complaint, code)
    with pytest.raises(SourceUnavailable, match=said):
        meter(ipmitool.root, address="local")


def test_ipmi_that_is_not_there_is_said_in_one_line(ipmitool: IpmiTool) -> None:
    (ipmitool.root / "dev/ipmi0").unlink()
    with pytest.raises(SourceUnavailable, match=r"dev/ipmi0 does not exist: .* `sudo modprobe ipmi_si ipmi_devintf`"):
        meter(ipmitool.root, address="local")
    with pytest.raises(SourceUnavailable, match="is no controller; give local"):
        meter(ipmitool.root, address="--version")
    (ipmitool.root / "usr/bin/ipmitool").unlink()
    with pytest.raises(SourceUnavailable, match="ipmitool is not installed; install it"):
        meter(ipmitool.root, address="local")


def test_ipmi_that_fails_later_is_a_gap(ipmitool: IpmiTool) -> None:
    with closing(meter(ipmitool.root, address="local")) as source:
        ipmitool.says("", "Error: Unable to establish IPMI v2 / RMCP+ session", 1)
        with pytest.raises(OSError, match="Unable to establish"):
            source.read()
        ipmitool.says(REPLY.replace("212", "9.91E37"))
        with pytest.raises(ValueError, match="no number that a meter can mean"):
            source.read()


@given(st.text(max_size=80) | st.builds("Instantaneous power reading: {} {}".format, st.text(max_size=12), st.just("Watts")))
def test_any_reply_of_ipmitool_has_watts_or_none(reply: str) -> None:
    try:
        assert watts_of(reply).is_finite()
    except ValueError:
        return


# Cray's counters


COUNTERS = {
    "energy": "123456789 J 1796094942123456 us",
    "power": "512 W 1796094942123456 us",
    "cpu_energy": "45678901 J 1796094942123456 us",
    "memory_energy": "12345678 J 1796094942123456 us",
    "accel0_energy": "30000000 J 1796094942123456 us",
    "accel1_energy": "31000000 J 1796094942123456 us",
    "accel_energy": "61000000 J 1796094942123456 us",
    "freshness": "987654",
    "generation": "12",
    "raw_scan_hz": "10",
    "version": "3",
}


def cray(root: Path, **changed: str | None) -> Path:
    folder = root / "sys/cray/pm_counters"
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in {**COUNTERS, **changed}.items():
        if text is None:
            (folder / name).unlink(missing_ok=True)
        else:
            (folder / name).write_text(f"{text}\n")
    return root


def node(root: Path) -> Source:
    return sources.on_board()["pm_counters"].open(Place(root))


def test_a_cray_node_counts_once_and_its_parts_are_inside(tmp_path: Path) -> None:
    with closing(node(cray(tmp_path))) as source:
        assert [channel.id for channel in source.channels] == ["node", "accel0", "accel1", "cpu", "memory"]
        assert source.read() == [123456789, 30000000, 31000000, 45678901, 12345678]
        assert source.channels[0].level == "board"
        assert source.channels[0].contains == ("*",)
        assert {channel.update_period_s for channel in source.channels} == {0.1}
    with closing(node(cray(tmp_path, accel0_energy=None, accel1_energy=None, energy="55"))) as source:  # no time, one GPU
        assert [channel.id for channel in source.channels] == ["node", "accel", "cpu", "memory"]
        assert source.read()[0] == 55


def test_counters_that_are_not_renewed_are_no_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 0.5, 2.6, 2.7])
    monkeypatch.setattr(pm_counters.time, "monotonic", lambda: next(clock))
    with closing(node(cray(tmp_path))) as source:
        assert source.read()[0] == 123456789
        with pytest.raises(OSError, match=r"freshness stands at 987654 for 2.6 s: the counters are old"):
            source.read()
        cray(tmp_path, freshness="987655", energy="123456790 J 1 us")
        assert source.read()[0] == 123456790


def test_counters_that_change_while_they_are_read_are_read_again(tmp_path: Path) -> None:
    """A renewal between two files would pair numbers of two moments."""
    with closing(node(cray(tmp_path))) as source:
        numbers = iter(["1", "2"])
        read = source._number  # type: ignore[attr-defined]

        def number(index: int) -> int:
            value = read(index)
            if index == 0:
                cray(tmp_path, freshness=next(numbers, "2"))
            return int(value)

        source._number = number  # type: ignore[attr-defined]
        assert source.read()[0] == 123456789


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"energy": None}, "no Cray node"),
        ({"freshness": None}, "freshness"),
        ({"energy": "N/A"}, "energy holds 'N/A.* instead of a number of joules"),
        ({"energy": "12 W 5 us"}, "instead of a number of joules"),
        ({"cpu_energy": ""}, "instead of a number of joules"),
    ],
)
def test_a_node_without_counters_says_so(changed: dict[str, str | None], said: str, tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match=said):
        node(cray(tmp_path, **changed))


@given(content=st.binary(max_size=40) | st.sampled_from([b"9.91E37 J", b"nan", b"-1 J 3 us", b"18446744073709551615 J"]))
def test_any_counter_of_a_node_is_read_or_refused(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    root = cray(tmp_path_factory.mktemp("node"))
    (root / "sys/cray/pm_counters/energy").write_bytes(content)
    with contextlib.suppress(SourceUnavailable), closing(node(root)) as source:
        assert source.read()[0] >= 0


# AMD's GPUs


class SmiError(Exception):
    """As the library's: no OSError."""


class Smi(types.ModuleType):
    """The calls of amdsmi that are used, for GPUs as ``gpus`` describes them."""

    def __init__(self, *gpus: dict[str, Any]) -> None:
        super().__init__("amdsmi")
        self.gpus, self.running = list(gpus), 0

    def amdsmi_init(self) -> None:
        self.running += 1

    def amdsmi_shut_down(self) -> None:
        self.running -= 1

    def amdsmi_get_processor_handles(self) -> list[int]:
        return list(range(len(self.gpus)))

    def of(self, handle: int, key: str) -> Any:
        value = self.gpus[handle].get(key)
        if value is None:
            raise SmiError("Error code:\n\t2 | AMDSMI_STATUS_NOT_SUPPORTED - Feature not supported")
        return value

    def amdsmi_get_energy_count(self, handle: int) -> Any:
        return self.of(handle, "energy")

    def amdsmi_get_power_info(self, handle: int) -> Any:
        return self.of(handle, "power")

    def amdsmi_get_gpu_asic_info(self, handle: int) -> Any:
        return {"market_name": "a GPU"}

    def amdsmi_get_gpu_device_uuid(self, handle: int) -> str:
        return f"uuid-{handle}"


ENERGY = {"energy_accumulator": 1_000_000, "counter_resolution": 15.3, "timestamp": 1}
POWER = {"current_socket_power": 250, "average_socket_power": 240, "socket_power": 250}
OLD = {"current_socket_power": "N/A", "average_socket_power": 33}


@contextmanager
def gpus(monkeypatch: pytest.MonkeyPatch, *several: dict[str, Any]) -> Iterator[tuple[Source, Smi]]:
    smi = Smi(*several)
    monkeypatch.setitem(sys.modules, "amdsmi", smi)
    source = sources.on_board()["amdsmi"].open(Place(Path("/")))
    try:
        yield source, smi
    finally:
        source.close()
    assert smi.running == 0


def test_each_amd_gpu_has_the_best_reading_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    asleep = {"energy": {**ENERGY, "energy_accumulator": 0}, "power": OLD}
    several = ({"energy": ENERGY, "power": POWER}, {"power": POWER}, {"power": OLD}, asleep)
    with gpus(monkeypatch, *several) as (source, _):
        assert [channel.kind for channel in source.channels] == ["counter", "power", "power", "power"]
        joules, *watts = [raw * channel.scale for raw, channel in zip(source.read(), source.channels, strict=True)]
        assert joules == pytest.approx(15.3)
        assert watts == [250.0, 33.0, 33.0]
        assert "an average of the driver" in source.channels[2].scope
        assert "uuid-0" in source.channels[0].scope


def test_an_amd_gpu_that_is_lost_is_an_error_of_the_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    with gpus(monkeypatch, {"energy": dict(ENERGY)}) as (source, smi):
        smi.gpus[0] = {}
        with pytest.raises(OSError, match=r"AMD SMI: Error code: 2 \| AMDSMI_STATUS_NOT_SUPPORTED"):
            source.read()
        for wrong in (float("nan"), float("inf"), "N/A", None, True):
            smi.gpus[0] = {"energy": {**ENERGY, "energy_accumulator": wrong}}
            with pytest.raises(ValueError, match="is no number"):
                source.read()


def test_a_host_without_amd_gpus_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refusal(root: str = "/") -> str:
        with pytest.raises(SourceUnavailable) as error:
            sources.on_board()["amdsmi"].open(Place(Path(root)))
        return str(error.value)

    assert "not the tree" in refusal("/tmp")
    monkeypatch.setitem(sys.modules, "amdsmi", None)
    assert "amdsmi cannot be imported" in refusal()
    for smi, said in (
        (Smi(), "AMD SMI finds no GPU on this host"),
        (Smi({}), "has no power reading (Error code: 2"),
        (Smi({"energy": {**ENERGY, "counter_resolution": 0.0}}), "counter_resolution is 0 uJ"),
    ):
        monkeypatch.setitem(sys.modules, "amdsmi", smi)
        assert said in refusal()
        assert smi.running == 0


JSON = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.lists(st.integers(), max_size=2)


@given(reply=st.dictionaries(st.sampled_from([*ENERGY, *POWER, "power"]), JSON, max_size=5) | JSON)
def test_any_reply_of_amd_smi_is_a_reading_or_refused(reply: Any) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "amdsmi", Smi({"energy": reply, "power": reply}))
        try:
            source = sources.on_board()["amdsmi"].open(Place(Path("/")))
        except SourceUnavailable:
            return
        assert all(isinstance(value, int) for value in source.read())
