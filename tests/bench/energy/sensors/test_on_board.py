"""The sources of a host itself, on the directory trees in ``tests/boards``, and on stand-ins for what is no file."""

from __future__ import annotations

import errno
import importlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bench.common.user_error import UserError
from bench.energy.sensor_base.source import Place, Source, meters, on_board, open_for_reading
from bench.energy.sensor_base.source_choice import open_meter, select
from bench.energy.sensors.jetson import sensor_settings
from bench.joules.channel import EVERYTHING
from tests.bench.energy.board_trees import BOARDS, STAND_INS, TESTS, Opener, copy, opened, refusal, total, values, watts


@pytest.mark.parametrize(
    ("board", "source"),
    [
        *[(f"jetson-{name}", "jetson") for name in ["nano", "tx2", "xavier-nx", "agx-xavier", "orin-nano", "agx-orin", "thor"]],
        *[(f"x86-{name}", "rapl") for name in ["desktop", "server", "multi-die", "mmio"]],
        ("raspberry-pi-5", "pi5"),
    ],
)
def test_auto_finds_each_board_its_source(board: str, source: str) -> None:
    found, left_out = select(["auto"], Place(BOARDS / board))
    assert [one.source.name for one in found] == [source]
    assert all("\n" not in left["why"] for left in left_out)
    found[0].source.close()


# Files that stop working, for every source that keeps them open


@pytest.mark.parametrize(("name", "board"), [("rapl", "x86-server"), ("jetson", "jetson-nano"), ("jetson", "jetson-agx-orin")])
@pytest.mark.parametrize(("what", "error"), [("/proc/self/mem", OSError), ("/dev/null", ValueError)])
def test_a_source_that_fails_while_it_is_read_says_so(name: str, board: str, what: str, error: type[Exception]) -> None:
    opener = Opener()
    with opened(name, BOARDS / board, opener) as source:
        source.read()
        opener.turn_into(what)
        with pytest.raises(error):
            source.read()


# Jetson


@pytest.mark.parametrize(
    ("board", "raw", "whole", "power_W", "level"),
    [
        ("nano", {"POM_5V_IN": 2506, "POM_5V_GPU": 122, "POM_5V_CPU": 574}, ["POM_5V_IN"], 2.506, "package"),
        (
            "tx2",
            {"VDD_IN": 3366, "VDD_SYS_CPU": 611, "VDD_SYS_DDR": 939, "VDD_SYS_GPU": 152, "VDD_SYS_SOC": 458,
             "VDD_4V0_WIFI": 19},
            ["VDD_IN"], 3.366, "package",
        ),
        ("xavier-nx", {"VDD_IN": 4465664, "VDD_CPU_GPU_CV": 1076544, "VDD_SOC": 1114624}, ["VDD_IN"], 4.465664, "package"),
        (
            "agx-xavier",
            {"GPU": 763, "CPU": 916, "SOC": 1832, "CV": 0, "VDDRQ": 458, "SYS5V": 2755},
            ["GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V"], 6.724, "package",
        ),
        ("orin-nano", {"VDD_IN": 4699392, "VDD_CPU_GPU_CV": 686528, "VDD_SOC": 1537024}, ["VDD_IN"], 4.699392, "package"),
        (
            "agx-orin",
            {"VDD_GPU_SOC": 3064320, "VDD_CPU_CV": 1149600, "VIN_SYS_5V0": 4868640, "VDDQ_VDD2_1V8AO": 1092960},
            ["VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"], 9.08256, "package",
        ),
        (
            "thor",
            {"VIN": 23057200, "VDD_GPU": 0, "VDD_CPU_SOC_MSS": 6501888, "VIN_SYS_5V0": 6519072},
            ["VIN"], 23.0572, "board",
        ),
    ],
)  # fmt: skip
def test_jetson_rails_by_their_labels(board: str, raw: dict[str, int], whole: list[str], power_W: float, level: str) -> None:
    """Millivolts times milliamperes, or milliwatts of the old driver, or microwatts of the INA238; the rest is inside."""
    with opened("jetson", BOARDS / f"jetson-{board}") as source:
        assert values(source) == raw
        assert total(source) == whole
        assert watts(source) == pytest.approx(power_W)
        assert {c.level for c in source.channels if c.id in whole} == {level}
        assert {c.level for c in source.channels if c.id not in whole} <= {"component"}
        assert {c.kind for c in source.channels} == {"power"}
        assert {c.accuracy for c in source.channels} == {None}


def test_jetson_steps_and_update_periods(tmp_path: Path) -> None:
    """40 uV over the shunt at the rail's voltage; the period is the sensor's, or three channels of 2.2 ms."""
    with opened("jetson", BOARDS / "jetson-orin-nano") as source:
        assert source.channels[0].lsb == pytest.approx(5064 * 8)  # mV * mA
        assert source.channels[0].update_period_s == 7e-3
    with opened("jetson", BOARDS / "jetson-agx-orin") as source:
        assert source.channels[0].lsb == pytest.approx(19152 * 20)
    with opened("jetson", BOARDS / "jetson-nano") as source:
        assert source.channels[0].lsb == pytest.approx(5136 * 8e-3)  # mW
        assert source.channels[0].update_period_s == pytest.approx(6.6e-3)
    root = copy("jetson-orin-nano", tmp_path)
    sensor = root / "sys/class/hwmon/hwmon1"
    (sensor / "update_interval").unlink()
    (sensor / "samples").write_text("16\n")
    with opened("jetson", root) as source:
        assert source.channels[0].update_period_s == pytest.approx(16 * 6.6e-3)


def test_jetson_settings_for_the_record() -> None:
    assert sensor_settings(BOARDS / "jetson-orin-nano") == {
        "1-0040": {
            "driver": "ina3221", "update_interval_ms": 7, "samples": 1,
            "shunt_uohm": {"shunt1": 5000, "shunt2": 5000, "shunt3": 5000},
        }
    }  # fmt: skip
    assert sensor_settings(BOARDS / "jetson-nano") == {
        "6-0040": {"driver": "ina3221x", "update_interval_ms": None, "samples": None, "shunt_uohm": {}}
    }
    assert sensor_settings(BOARDS / "x86-desktop") == {}


def test_jetson_folders_may_be_numbered_anew(tmp_path: Path) -> None:
    root = copy("jetson-agx-orin", tmp_path)
    for old, new in (("hwmon3", "hwmon7"), ("hwmon4", "hwmon3")):
        folder = next(root.glob(f"sys/devices/platform/bus@0/*/*/*/hwmon/{old}"))
        folder.rename(folder.with_name(new))
    with opened("jetson", root) as source, opened("jetson", BOARDS / "jetson-agx-orin") as before:
        assert values(source) == values(before)


def test_jetson_an_added_sensor_is_no_part_of_it(tmp_path: Path) -> None:
    """An INA238 that somebody wired to an Orin looks like Thor's input sensor; a second VDD_IN would count twice."""
    root = copy("jetson-orin-nano", tmp_path)
    added = root / "sys/bus/i2c/drivers/ina238/7-0045/hwmon/hwmon9"
    added.mkdir(parents=True)
    (added / "power1_input").write_text("50000000\n")
    with opened("jetson", root) as source:
        assert total(source) == ["VDD_IN"]
    shutil.copytree(root / "sys/bus/i2c/drivers/ina3221/1-0040", root / "sys/bus/i2c/drivers/ina3221/7-0041", symlinks=True)
    assert "VDD_IN, VDD_CPU_GPU_CV, VDD_SOC is there more than once" in refusal("jetson", root)


def test_jetson_a_sum_with_a_rail_missing_is_refused(tmp_path: Path) -> None:
    root = copy("jetson-agx-orin", tmp_path)
    (root / "sys/class/hwmon/hwmon3/in3_label").unlink()
    assert "of AGX Orin, VIN_SYS_5V0 is missing" in refusal("jetson", root)
    (root / "sys/bus/i2c/drivers/ina3221/1-0040").unlink()
    assert "those of no known Jetson; use a meter" in refusal("jetson", root)
    assert "no Jetson with a power sensor" in refusal("jetson", BOARDS / "x86-desktop")


def test_jetson_refusals_name_the_rail() -> None:
    for number in (errno.EACCES, errno.ENODATA, errno.EIO):
        why = refusal("jetson", BOARDS / "jetson-orin-nano", Opener({"curr1_input": number}))
        assert why.startswith("rail VDD_IN, ")
        assert os.strerror(number) in why
        assert f"errno {number}" in why
        assert "energy.source=jtop" in why


def test_jetson_a_part_that_cannot_be_read_leaves_the_total(tmp_path: Path) -> None:
    """The total contains the part's energy; a rail of a sum is needed."""
    with opened("jetson", BOARDS / "jetson-orin-nano", Opener({"curr2_input": errno.ENODATA})) as source:
        assert list(values(source)) == ["VDD_IN", "VDD_SOC"]
        assert total(source) == ["VDD_IN"]
        assert source.channels[0].contains == ("VDD_SOC",)
        assert "VDD_CPU_GPU_CV left out" in source.channels[0].scope
        assert f"errno {errno.ENODATA}" in source.channels[0].scope
    root = copy("jetson-orin-nano", tmp_path)
    (root / "sys/class/hwmon/hwmon1/in3_input").write_text("")
    with opened("jetson", root) as source:
        assert list(values(source)) == ["VDD_IN", "VDD_CPU_GPU_CV"]
        assert "in3_input holds nothing instead of a whole number" in source.channels[0].scope
    said = refusal("jetson", BOARDS / "jetson-agx-orin", Opener({"hwmon3/curr3_input": errno.EIO}))
    assert said.startswith("rail VIN_SYS_5V0, ")


# jtop


@pytest.fixture
def jtop(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The stand-in in place of jetson-stats."""
    monkeypatch.syspath_prepend(str(STAND_INS))
    monkeypatch.delitem(sys.modules, "jtop", raising=False)
    stand_in = importlib.import_module("jtop")
    yield stand_in
    assert stand_in.OPEN == []
    sys.modules.pop("jtop", None)


@pytest.mark.parametrize("board", ["jetson-nano", "jetson-orin-nano", "jetson-agx-orin", "jetson-thor"])
def test_jtop_gives_the_rails_of_jetson(jtop: Any, board: str) -> None:
    """jetson-stats cuts each rail to a milliwatt; its own sum for AGX Orin counts VDDQ_VDD2_1V8AO twice."""
    jtop.BOARD = board
    with opened("jtop", Path("/")) as source, opened("jetson", BOARDS / board) as sensors:
        assert total(source) == total(sensors)
        assert [(c.id, c.level, c.contains) for c in source.channels] == [(c.id, c.level, c.contains) for c in sensors.channels]
        scales = {c.id: c.scale for c in sensors.channels}
        assert values(source) == {name: int(raw * scales[name] * 1e3 + 1e-9) for name, raw in values(sensors).items()}
        assert {(c.kind, c.scale, c.update_period_s) for c in source.channels} == {("power", 1e-3, 1.0)}
        assert source.period_s >= 0.5


@pytest.mark.parametrize(
    ("reply", "whole", "powers_mW"),
    [
        ("nano-3", ["POM_5V_IN"], {"POM_5V_IN": 2506, "POM_5V_GPU": 122, "POM_5V_CPU": 574}),
        ("xavier-nx-3", ["VDD_IN"], {"VDD_IN": 4699, "VDD_CPU_GPU_CV": 686, "VDD_SOC": 1537}),
        ("agx-xavier-3", ["GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V"], {"GPU": 310, "SYS5V": 1500, "CV": 0}),
        *(
            (reply, ["VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"], {"VIN_SYS_5V0": 3000, "VDDQ_VDD2_1V8AO": 500})
            for reply in ("agx-orin-3", "agx-orin-4.0")
        ),
    ],
)
def test_jtop_of_versions_before_4_1(jtop: Any, reply: str, whole: list[str], powers_mW: dict[str, int]) -> None:
    """They cut the names short, give ``(total, rails)`` and take VIN_SYS_5V0 of an AGX Orin for its total."""
    jtop.BOARD = reply
    with opened("jtop", Path("/")) as source:
        assert total(source) == whole
        assert powers_mW.items() <= values(source).items()


def test_jtop_rails_without_a_power_leave_the_others(jtop: Any) -> None:
    """Supplies of USB-C sockets are among the rails, some without a power; a reply of another form is refused."""
    with opened("jtop", Path("/")) as source:
        jtop.OPEN[0]._stats["power"]["rail"]["ucsi-source-psy-1"] = {"type": "USB", "online": False}
        assert set(values(source)) == {"VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC"}
        jtop.OPEN[0]._stats["power"] = {"rails": []}
        with pytest.raises(OSError, match="no rail in the reply of jtop"):
            source.read()


def test_jtop_is_asked_no_faster_than_it_bears(jtop: Any) -> None:
    with opened("jtop", Path("/")):
        assert jtop.OPEN[0].interval_user >= 0.5


def test_jtop_refusals(jtop: Any) -> None:
    service = "The jtop.service is not active. Please run:\nsudo jtop --install-service"
    for fault, said in (
        (jtop.JtopException(service), "The jtop.service is not active. Please run: sudo jtop --install-service"),
        (jtop.JtopException("Mismatch version jtop service: [4.3.2] and client: [7.2.2]. Please run:\n\nsudo jtop"), "4.3.2"),
        (jtop.JtopException("I can't access jtop.service.\nPlease logout or reboot this board."), "the group jtop"),
        (PermissionError(errno.EACCES, "Permission denied"), "the group jtop"),
        (EOFError(), "EOFError"),
    ):
        jtop.FAULT = fault
        assert said in refusal("jtop", Path("/"))
    assert "not the tree" in refusal("jtop", BOARDS / "jetson-nano")


def test_jtop_without_jetson_stats_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jtop", None)
    assert "`pip install jetson-stats`" in refusal("jtop", Path("/"))


def test_jtop_that_fails_is_an_error_of_the_reading(jtop: Any) -> None:
    with opened("jtop", Path("/")) as source:
        client = jtop.OPEN[0]
        client._stats["power"]["rail"].pop("VDD_SOC")
        with pytest.raises(OSError, match="VDD_SOC"):
            source.read()
        client._error = jtop.JtopException("Lost connection with jtop server")
        with pytest.raises(OSError, match="Lost connection"):
            source.read()
        client._error, client._running = None, False
        with pytest.raises(OSError, match="has ended"):
            source.read()


# NVML


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a libnvidia-ml.so.1 made from ``stand_ins/nvml.c``."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed; it makes the stand-in for the NVIDIA driver's library")
    pytest.importorskip("pynvml", reason="nvidia-ml-py is not installed")
    folder = tmp_path_factory.mktemp("nvml")
    command = [
        "gcc",
        "-Wall",
        "-Werror",
        "-shared",
        "-fPIC",
        "-o",
        str(folder / "libnvidia-ml.so.1"),
        str(STAND_INS / "nvml.c"),
    ]
    subprocess.run(command, check=True)
    return folder


NVML = """
import json, sys
from dataclasses import asdict
from pathlib import Path
from bench.energy.sensor_base.source import Place, SourceUnavailable
from bench.energy.sensors.nvml import Nvml
try:
    source = Nvml.open(Place(Path("/")))
except SourceUnavailable as why:
    sys.exit(json.dumps(str(why)))
found = {"channels": [asdict(channel) for channel in source.channels], "raw": source.read()}
if len(sys.argv) > 1:
    Path(sys.argv[1]).touch()
    try:
        source.read()
    except OSError as error:
        found["error"] = str(error)
source.close()
print(json.dumps(found))
"""


def nvml(library: Path, can: str, lost: Path | None = None) -> Any:
    """What the source finds in a process with the stand-in: its channels and readings, or why there are none."""
    environment = {**os.environ, "LD_LIBRARY_PATH": str(library), "NVML_STAND_IN": can}
    if lost is not None:
        environment["NVML_STAND_IN_LOST"] = str(lost)
    command = [sys.executable, "-c", NVML, *([str(lost)] if lost else [])]
    done = subprocess.run(command, capture_output=True, text=True, cwd=TESTS.parent, env=environment, check=False)
    return json.loads(done.stderr if done.returncode else done.stdout)


@pytest.mark.parametrize(
    ("can", "kind", "raw", "period_s"),
    [
        ("energy", "counter", [1234567, 98765432109876], 0.1),
        ("instant", "power", [71234, 345678], 0.1),
        ("mean", "power", [65000, 300000], 1.0),
    ],
)
def test_nvml_takes_the_best_reading_there_is(library: Path, can: str, kind: str, raw: list[int], period_s: float) -> None:
    found = nvml(library, can)
    assert found["raw"] == raw
    for channel in found["channels"]:
        assert (channel["kind"], channel["scale"], channel["level"]) == (kind, 1e-3, "package")
        assert channel["update_period_s"] == period_s
        assert channel["contains"] == []
    assert [channel["id"] for channel in found["channels"]] == ["gpu-0", "gpu-1"]
    assert found["channels"][0]["scope"] == "NVIDIA L4, GPU-0a2b"
    assert "25 % of the time" in found["channels"][1]["scope"]  # an H100


def test_nvml_on_a_jetson_names_the_source_to_use(library: Path) -> None:
    assert nvml(library, "jetson") == "Orin (nvgpu) has no power reading (Not Supported); on a Jetson use energy.source=jetson"


def test_nvml_a_gpu_that_is_lost_is_an_error_of_the_reading(library: Path, tmp_path: Path) -> None:
    assert nvml(library, "energy", tmp_path / "lost")["error"] == "NVML: GPU is lost"


def test_nvml_without_driver_or_package_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "libnvidia-ml.so.1").write_text("no library")
    assert nvml(tmp_path, "energy").startswith("NVML does not start: NVML Shared Library Not Found")
    assert "not the tree" in refusal("nvml", BOARDS / "x86-desktop")
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert "`pip install nvidia-ml-py`" in refusal("nvml", Path("/"))


# Raspberry Pi 5


def test_pi5_sums_its_rails() -> None:
    """Volts times amperes of the recorded reply; VDD_CORE is 10.87674 A at 0.8974594 V."""
    with opened("pi5", BOARDS / "raspberry-pi-5") as source:
        found = values(source)
        assert found["VDD_CORE"] == round(10.87674 * 0.8974594 * 1e6) == 9761433
        assert found["HDMI"] == 69341
        assert len(found) == 13  # EXT5V and BATT have no current
        assert found["pmic"] == 10799894
        assert found["pmic"] == pytest.approx(sum(raw for name, raw in found.items() if name != "pmic"), abs=6)
        assert total(source) == ["pmic"]
        assert source.channels[0].level == "package"
        assert "not the board's input" in source.channels[0].scope
        assert source.channels[0].lsb == pytest.approx(8.93e-3 * 0.8974594 * 1e6)
        assert {c.update_period_s for c in source.channels} == {0.1}
        assert any("5 V" in what for what in source.not_measured)


def vcgencmd(root: Path, script: str) -> None:
    (root / "usr/bin/vcgencmd").write_text(f"#!/bin/sh\n{script}\n")


def test_pi5_replies_that_are_not_understood(tmp_path: Path) -> None:
    root = copy("raspberry-pi-5", tmp_path)
    with opened("pi5", root) as source:
        for script, error in (
            ("echo 'VDD_CORE_A current(7)=lots'", "'VDD_CORE_A current(7)=lots' is no voltage and no current"),
            ("echo 'VDD_CORE_A current(7)=1.5V'", "is no voltage and no current"),
            ("echo 'VDD_CORE_A current(7)=1.50000000A'", "no voltage of VDD_CORE"),
            ("echo 'EXT5V_V volt(24)=5.06788000V'", "no current of any rail"),
            ("", "no current of any rail"),
            ("echo 'HDMI_A current(22)=0.01A'; echo 'HDMI_V volt(23)=5.0V'", "now has the rails HDMI"),
        ):
            vcgencmd(root, script)
            with pytest.raises(ValueError, match=error.replace("(", r"\(").replace(")", r"\)")):
                source.read()
        vcgencmd(root, "echo VCHI initialization failed >&2; exit 255")
        with pytest.raises(OSError, match="VCHI initialization failed"):
            source.read()
        (root / "usr/bin/vcgencmd").unlink()
        with pytest.raises(FileNotFoundError):
            source.read()


def test_pi5_refusals(tmp_path: Path) -> None:
    root = copy("raspberry-pi-5", tmp_path)
    vcgencmd(root, "echo VCHI initialization failed >&2; exit 255")
    why = refusal("pi5", root)
    assert "VCHI initialization failed" in why
    assert "group video" in why
    vcgencmd(root, "echo 'error=1 error_msg=\"Command not registered\"'")  # a Pi 4
    assert "only a Pi 5 has it" in refusal("pi5", root)
    assert "not a Raspberry Pi" in refusal("pi5", BOARDS / "x86-desktop")


# Chips wired to a host


def chip(settings: dict[str, Any], opener: Callable[[Path], int] = open_for_reading) -> Source:
    place = Place(BOARDS / "x86-ina228", opener=opener)
    return open_meter("bench", {"source": "hwmon", **settings}, place).source


@pytest.mark.parametrize(
    ("address", "kind", "raw", "lsb", "period_s"),
    [
        ("ina228 1-0045", "counter", 884120339200, 1.0, 0.0505),
        ("1-0040", "power", 16950000, 6250.0, 0.035),  # 62.5 uW * ohm over 10 mOhm
        ("ina219", "power", 16900000, 10000.0, 1.1e-3),  # 200 uW * ohm over 20 mOhm
        ("ina260", "power", 5062 * 880, 5137.9221, 0.0505),  # 1 mA at 5.062 V and 1 mV at 0.88 A: the files' last digits
    ],
)
def test_hwmon_reads_the_chip_that_the_settings_name(address: str, kind: str, raw: int, lsb: float, period_s: float) -> None:
    with closing(chip({"address": address, "scope": "two boards"})) as source:
        (channel,) = source.channels
        assert source.read() == [raw]
        assert (channel.kind, channel.scale, channel.level) == (kind, 1e-6, "board")
        assert channel.contains == (EVERYTHING,)
        assert channel.lsb == pytest.approx(lsb)
        assert channel.update_period_s == pytest.approx(period_s, rel=1e-3)
        assert channel.scope.startswith("two boards (ina2")
        assert channel.accuracy is None


def test_hwmon_is_a_meter_with_its_level_and_accuracy() -> None:
    assert "hwmon" in meters()
    assert "hwmon" not in on_board()
    with closing(chip({"address": "1-0045", "level": "wall", "accuracy": 0.002})) as source:
        assert (source.channels[0].level, source.channels[0].accuracy) == ("wall", 0.002)


def test_hwmon_refusals_say_which_chips_there_are() -> None:
    for settings, opener, said in (
        ({"address": "ina226 9-0040"}, None, "none of the chips coretemp coretemp.0, ina228 1-0045, ina226 1-0040"),
        ({}, None, "'' names none"),
        ({"address": "coretemp"}, None, "measures neither energy nor power"),
        ({"address": "ina228", "level": "rack"}, None, "level: rack is unknown; use board, wall or package"),
        ({"address": "ina228"}, Opener({"energy1_input": errno.EACCES}), "Permission denied"),
        ({"address": "ina228"}, Opener({"energy1_input": errno.EIO}), "Input/output error"),
    ):
        with pytest.raises(UserError, match="meter bench") as error:
            chip(settings, opener or open_for_reading)
        assert said in str(error.value)
        assert "\n" not in str(error.value)


def test_hwmon_a_name_of_two_chips_is_not_enough(tmp_path: Path) -> None:
    root = copy("x86-ina228", tmp_path)
    (root / "sys/class/hwmon/hwmon3/name").write_text("ina226\n")
    with pytest.raises(UserError, match="'ina226' names several of the chips"):
        open_meter("bench", {"source": "hwmon", "address": "ina226"}, Place(root))
    open_meter("bench", {"source": "hwmon", "address": "ina226 1-0041"}, Place(root)).source.close()


def test_hwmon_that_fails_while_it_is_read() -> None:
    for what, kind in (("/proc/self/mem", OSError), ("/dev/null", ValueError)):
        opener = Opener()
        with closing(chip({"address": "ina260"}, opener)) as source:
            opener.turn_into(what)
            with pytest.raises(kind):
                source.read()
