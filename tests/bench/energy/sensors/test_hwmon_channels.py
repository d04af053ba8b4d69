"""Every channel of a chip: labels bind, the right wire is read, several without a name are refused with what they read."""

from __future__ import annotations

import errno
import math
import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bench.common.user_error import UserError
from bench.energy.sensor_base.channel_binding import bind, stem
from bench.energy.sensor_base.hwmon_chips import find_chips
from bench.energy.sensor_base.source import Opener as Open
from bench.energy.sensor_base.source import Place, Source, open_for_reading
from bench.energy.sensor_base.source_choice import open_meter
from tests.bench.energy.board_trees import Opener
from tests.bench.energy.chip_trees import KINDS, chip_tree

pytestmark = pytest.mark.machine


def meter(root: Path, opener: Open = open_for_reading, **settings: Any) -> Source:
    return open_meter("bench", {"source": "hwmon", **settings}, Place(root, opener=opener)).source


def read(root: Path, **settings: Any) -> tuple[str, float]:
    """Kind of the channel that counts, and its joules or watts."""
    with closing(meter(root, **settings)) as source:
        (channel,) = source.channels
        return channel.kind, source.read()[0] * channel.scale


def why(root: Path, opener: Open = open_for_reading, **settings: Any) -> str:
    with pytest.raises(UserError) as error:
        meter(root, opener, **settings)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("kind", "settings", "measured"),
    [
        ("ina3221-of-boards", {"address": "jetson-a"}, ("power", 23.58976)),
        ("ina3221-of-boards", {"address": "JETSON-C"}, ("power", 16.71296)),
        ("ina3221-of-boards", {"address": "1-0040", "sum": ["jetson-a", "jetson-c"]}, ("power", 40.30272)),
        ("ina3221-of-boards", {"address": "ina3221 1-0041", "channel": "Switch"}, ("power", 4.94296)),
        ("ina3221-of-boards", {"address": "1-0041", "channel": "in2*curr2"}, ("power", 1.156608)),
        ("ina3221-of-boards", {"address": "ina3221", "sum": ["jetson-c", "switch"]}, ("power", 21.65592)),
        ("regulator", {"address": "TPS546D24"}, ("power", 27.2855)),
        ("power-supply", {"address": "dps850", "channel": "pin"}, ("power", 185.5)),
        ("power-supply", {"address": "PIN"}, ("power", 185.5)),
        ("power-supply", {"address": "dps850", "channel": "vout2"}, ("power", 6.012)),
        ("power-supply", {"address": "dps850", "sum": ["pout1", "vout2"]}, ("power", 168.512)),
        ("two-phase-inputs", {"address": "xdpe12284", "sum": ["in1*curr1", "in1*curr2"]}, ("power", 66.055)),
        ("two-phase-inputs", {"address": "xdpe12284", "channel": "vout2"}, ("power", 16.47)),
        ("x-gene", {"address": "apm_xgene", "channel": "cpu power"}, ("power", 72.48)),
        ("x-gene", {"address": "apm_xgene", "sum": ["CPU power", "IO power"]}, ("power", 73.0)),
        ("scmi", {"address": "scmi_sensors", "channel": "POWER_SYSTEM"}, ("power", 21.45)),
        ("scmi", {"address": "scmi_sensors", "channel": "energy_big"}, ("counter", 884.120339)),
        ("scmi", {"address": "scmi_sensors", "channel": "power2"}, ("power", 8.12)),
        ("scmi", {"address": "scmi_sensors", "channel": "in1*curr1"}, ("power", 8.11512)),
        ("grace", {"address": "Grace Power Socket 1"}, ("power", 201.25)),
        ("grace", {"address": "power_meter", "sum": ["Module Power Socket 0", "module power socket 1"]}, ("power", 1011.0)),
        ("amdgpu", {"address": "amdgpu"}, ("power", 18.042)),
        ("amdgpu-of-both", {"address": "PPT"}, ("power", 101.0)),
        ("xe", {"address": "xe", "channel": "card"}, ("counter", 73415.520233)),
        ("zenergy", {"address": "zenergy", "sum": ["Esocket0", "esocket1"]}, ("counter", 98306.217186)),
        ("power-beside-cores", {"address": "soc_energy", "channel": "power1"}, ("power", 60.25)),
        ("power-beside-cores", {"address": "core 1"}, ("counter", 1013.754996)),
        ("no-labels", {"address": "adc128", "channel": "in3*curr2"}, ("power", 4.634)),
        ("ltc2990", {"address": "ltc2990", "sum": ["in1*curr1", "in3*curr2"]}, ("power", 10.75994)),
        ("adm1177", {"address": "2-005a"}, ("power", 10.860982)),
    ],
)
def test_the_channel_that_is_asked_for_is_read(
    kind: str, settings: dict[str, Any], measured: tuple[str, float], tmp_path: Path
) -> None:
    """By hand from the files: mV times mA is microwatts."""
    found = read(chip_tree(tmp_path, kind), **settings)
    assert found[0] == measured[0]
    assert found[1] == pytest.approx(measured[1], rel=1e-9)


@pytest.mark.parametrize(
    ("kind", "settings", "parts"),
    [
        (
            "ina3221-of-boards",
            {"address": "1-0040"},
            (
                "has 2 channels",
                "jetson-a (in1*curr1) 23.5898 W",
                "jetson-b off (in2_enable is 0)",
                "jetson-c (in3*curr3) 16.713",
            ),
        ),
        ("ina3221-of-boards", {"address": "jetson-b"}, ("jetson-b of ina3221 1-0040 measures nothing: in2_enable is 0",)),
        ("ina3221-of-boards", {"address": "1-0041"}, ("switch (in1*curr1) 4.94296 W", "in2*curr2 1.15661 W", "give channel")),
        ("ina3221-of-boards", {"address": "ina3221"}, ("names several of the chips ina3221 1-0040, ina3221 1-0041",)),
        ("ina3221-of-boards", {"address": "1-0040", "channel": "jetson-d"}, ("'jetson-d' names no channel", "jetson-a")),
        ("power-supply", {"address": "dps850"}, ("has 3 channels", "pin (power1) 185.5 W", "vout2 (in3*curr3) 6.012 W")),
        ("power-supply", {"address": "dps850", "sum": ["pin", "pout1"]}, ("pout1 is inside pin", "counts it twice")),
        ("x-gene", {"address": "apm_xgene"}, ("IO power (power1) 0.52 W", "CPU power (power2) 72.48 W")),
        ("grace", {"address": "power_meter"}, ("names several of", "Grace Power Socket 1 (power1) of ACPI000D:05 201.25 W")),
        (
            "grace",
            {"address": "power_meter", "sum": ["Grace Power Socket 0", "CPU Power Socket 0"]},
            ("CPU Power Socket 0 is inside Grace Power Socket 0",),
        ),
        ("zenergy", {"address": "zenergy"}, ("has 5 channels", "Esocket0 (energy4) 50275.1 J")),
        ("zenergy", {"address": "zenergy", "sum": ["Esocket0", "Ecore001"]}, ("Ecore001 is inside Esocket0",)),
        ("xe", {"address": "xe", "sum": ["card", "PKG"]}, ("pkg is inside card",)),
        ("scmi", {"address": "scmi_sensors", "sum": ["ENERGY_BIG", "POWER_SYSTEM"]}, ("POWER_SYSTEM has power only",)),
        ("power-beside-cores", {"address": "soc_energy"}, ("core 0 (energy1) 1013.75 J", "power1 60.25 W")),
        ("no-labels", {"address": "adc128"}, ("nothing says which of in1, in2, in3, in4, curr1, curr2 are of one wire",)),
        ("x-gene", {"address": "apm_xgene", "sum": []}, ("is no list of channels; write it like [a, b]",)),
        ("x-gene", {"address": "apm_xgene", "sum": "both"}, ("is no list of channels",)),
        ("x-gene", {"address": "apm_xgene", "sum": ["IO power", "io POWER"]}, ("names a channel twice",)),
        ("x-gene", {"address": "apm_xgene", "sum": ["IO power", "power1"]}, ("has a channel twice",)),
        ("x-gene", {"address": "apm_xgene", "sum": ["a"], "channel": "b"}, ("exclude each other",)),
        ("x-gene", {"address": "IO power", "channel": "CPU power"}, ("is a channel already",)),
    ],
)
def test_what_is_not_one_channel_is_refused_with_what_there_is(
    kind: str, settings: dict[str, Any], parts: tuple[str, ...], tmp_path: Path
) -> None:
    said = why(chip_tree(tmp_path, kind), **settings)
    for part in parts:
        assert part in said


def test_volts_of_the_input_are_never_multiplied_with_amperes_of_the_output(tmp_path: Path) -> None:
    """12.078 V times 30.25 A would be 365 W of a regulator that gives 27 W; no binding of any kind has such a pair."""
    for kind in KINDS:
        for chip in find_chips(chip_tree(tmp_path / kind, kind)):
            for channel in bind(chip.name, chip.quantities):
                labels = [part.label for part in (channel.voltage, channel.current) if part is not None and part.label]
                assert len({stem(label).split(" ")[0] for label in labels}) <= 1, channel


def test_average_and_interval_are_said_and_are_the_renewal(tmp_path: Path) -> None:
    with closing(meter(chip_tree(tmp_path, "grace"), address="CPU Power Socket 0")) as source:
        assert source.channels[0].update_period_s == 0.05
        assert "average over 50 ms" in source.channels[0].scope
        assert source.channels[0].level == "package"


def test_steps_of_volts_times_amperes_follow_from_the_shunt(tmp_path: Path) -> None:
    """8 mV and 40 uV over 2 mOhm, which is 20 mA: 380 mW at 19 V; without a shunt 1 mV and 1 mA of the files."""
    root = chip_tree(tmp_path, "ina3221-of-boards")
    with closing(meter(root, address="jetson-a")) as source:
        assert source.channels[0].lsb == pytest.approx(math.hypot(19024 * 20, 1240 * 8))
        assert source.channels[0].update_period_s == 0.035
    with closing(meter(root, address="1-0040", sum=["jetson-a", "jetson-c"])) as source:
        steps = math.hypot(19024 * 20, 1240 * 8), math.hypot(18992 * 20, 880 * 8)
        assert source.channels[0].lsb == pytest.approx(math.hypot(*steps))
        assert "jetson-a (in1*curr1) + ina3221 1-0040: jetson-c (in3*curr3)" in source.channels[0].scope


@pytest.mark.parametrize("number", [errno.ENODATA, errno.EIO, errno.EACCES, errno.ENXIO])
def test_a_channel_that_cannot_be_read_names_its_file_and_the_error(number: int, tmp_path: Path) -> None:
    said = why(chip_tree(tmp_path, "x-gene"), Opener({"power2_input": number}), address="CPU power")
    assert "hwmon1/power2_input" in said
    assert f"errno {number}" in said
    listing = why(tmp_path, Opener({"power2_input": number}), address="apm_xgene")
    assert f"CPU power (power2) unreadable ({tmp_path}" in listing
    assert "IO power (power1) 0.52 W" in listing


def test_a_value_that_fails_while_it_is_read_names_its_file(tmp_path: Path) -> None:
    opener = Opener()
    with closing(meter(chip_tree(tmp_path, "regulator"), opener, address="tps546d24")) as source:
        opener.turn_into("/proc/self/mem")
        with pytest.raises(OSError, match=r"errno 5|Input/output error.*in2_input"):
            source.read()


def test_faulty_and_negative_values(tmp_path: Path) -> None:
    root = chip_tree(tmp_path, "ina3221-of-boards")
    folder = root / "sys/class/hwmon/hwmon0"
    (folder / "curr1_input").write_text("-1240\n")
    assert read(root, address="jetson-a")[1] == pytest.approx(-23.58976)  # the record's and the doctor's checks say it
    (folder / "curr1_fault").write_text("1\n")
    assert "curr1_fault is set" in why(root, address="jetson-a")


def test_two_channels_of_one_label_are_told_apart_by_their_files(tmp_path: Path) -> None:
    root = chip_tree(tmp_path, "x-gene")
    (root / "sys/class/hwmon/hwmon1/power1_label").write_text("CPU power\n")
    assert "names 2 channels" in why(root, address="apm_xgene", channel="CPU power")
    assert read(root, address="apm_xgene", channel="power1") == ("power", pytest.approx(0.52))


def test_hwmon_folders_may_be_numbered_anew(tmp_path: Path) -> None:
    root = chip_tree(tmp_path, "x-gene")
    (root / "sys/class/hwmon/hwmon1").rename(root / "sys/class/hwmon/hwmon9")
    assert read(root, address="apm_xgene", channel="CPU power")[1] == pytest.approx(72.48)
    shutil.rmtree(root / "sys/class/hwmon")
    assert "none of the chips (there are none)" in why(root, address="apm_xgene")
