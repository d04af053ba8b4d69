"""perun's HDF5. The files are made here after the layout of perun 0.9 (``perun/io/hdf5.py``), none is a copy."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis.imports.formats import perun
from analysis.imports.log import civil_times
from analysis.imports.log.log_format import read_log
from analysis.imports.log.meter_log import LogOptions
from bench.common.user_error import UserError
from tests.analysis.imports.logged_studies import STARTED, check_of, only, point, run, write_study
from tests.analysis.imports.test_any_file import perun_json

h5py = pytest.importorskip("h5py", reason="h5py is of the extra 'import'")

UTC = LogOptions(zone=civil_times.zone_of("UTC"))
APP, MULTI_RUN, RUN, NODE, GROUP, SENSOR = range(1, 7)
RANGE_UJ = 262_143_328_850


def node_of(parent: Any, name: str, kind: int, **attributes: Any) -> Any:
    group = parent.create_group(name)
    group.attrs["type"] = kind
    for key, value in attributes.items():
        group.attrs[key] = value
    group.create_group("metrics")
    return group.create_group("nodes")


def data_set(group: Any, name: str, values: np.ndarray, unit: str, mag: float, most: float) -> None:  # type: ignore[type-arg]
    found = group.create_dataset(name, data=values)
    about = {"unit": unit, "mag": mag, "dtype": str(values.dtype), "valid_min": 0, "valid_max": most, "fill": most}
    for key, value in about.items():
        found.attrs[key] = value


def sensor(parent: Any, name: str, device: str, seconds: np.ndarray, values: np.ndarray, unit: str, mag: float) -> Any:  # type: ignore[type-arg]
    """``values`` in units of ``mag``; a counter has, as of perun 0.7, watts beside it that are not to be used."""
    nodes = node_of(parent, name, SENSOR, device_type=device)
    raw = nodes.parent.create_group("raw_data")
    data_set(raw, "timesteps", seconds, "s", 1.0, 3e38)
    if unit == "J":
        data_set(raw, "values", np.full(len(values), 77.0, np.float32), "W", 1.0, 3e38)
        data_set(raw, "alt_values", values, "J", mag, RANGE_UJ)
    else:
        data_set(raw, "values", values, unit, mag, 3e38)
    return raw


Sensors = Callable[[Any, np.ndarray], None]  # type: ignore[type-arg]


def rapl_and_gpu(node: Any, seconds: np.ndarray) -> None:  # type: ignore[type-arg]
    """8 W of a package whose counter wraps, 1 W of memory, 1 W of GPU; beside them a share of processor time."""
    cpu = node_of(node, "cpu", GROUP, device_type="cpu")
    uJ = (RANGE_UJ - 400e6 + 8e6 * seconds.astype(np.float64)) % RANGE_UJ
    sensor(cpu, "cpu_0_package-0", "cpu", seconds, uJ.astype(np.uint64), "J", 1e-6)
    sensor(cpu, "CPU_USAGE_0", "cpu", seconds, np.full(len(seconds), 50.0), "%", 1.0)
    ram = node_of(node, "ram", GROUP, device_type="ram")
    sensor(ram, "ram_0_dram", "ram", seconds, (1e6 * seconds).astype(np.uint64), "J", 1e-6)
    gpu = node_of(node, "gpu", GROUP, device_type="gpu")
    sensor(gpu, "CUDA:0_POWER", "gpu", seconds, np.full(len(seconds), 1000, np.uint32), "W", 1e-3)


def write_perun(
    path: Path, nodes: Mapping[str, Sensors] | None = None, last_s: float = 100, rounds: Sequence[str] = ("0",)
) -> Path:
    """An execution that perun began 7 s before the run and 2 s before its own first reading, one reading a second."""
    begun = (STARTED - timedelta(seconds=7)).replace(tzinfo=None).isoformat()
    seconds = np.arange(0, last_s + 1, dtype=np.float32)
    with h5py.File(path, "w") as file:
        app = node_of(file, "train", APP, creation_dt=begun, last_execution_dt=begun)
        execution = node_of(app, begun, MULTI_RUN, execution_dt=begun, n_runs=str(len(rounds)))
        for name in rounds:
            one = node_of(execution, name, RUN)
            for node, sensors in (nodes or {"pi-1.lan": rapl_and_gpu}).items():
                sensors(node_of(one, node, NODE, mpi_ranks="[0]"), seconds)
    return path


def test_counters_are_read_and_not_the_watts_made_of_them(tmp_path: Path) -> None:
    log = perun.read(write_perun(tmp_path / "train.hdf5"), UTC)
    (found,) = log.readings
    assert {channel.id: (channel.kind, channel.modulus) for channel in found.channels} == {
        "cpu_0_package-0": ("counter", RANGE_UJ),
        "ram_0_dram": ("counter", RANGE_UJ),
        "CUDA:0_POWER": ("power", None),
    }
    begin_ns, _ = civil_times.started_ns((STARTED - timedelta(seconds=7)).isoformat())
    assert found.t_ns[:3].tolist() == [begin_ns, begin_ns + 10**9, begin_ns + 2 * 10**9]
    assert [channel.lsb for channel in found.channels] == pytest.approx([1, 1000, 1])
    assert found.raw[5].tolist() == [RANGE_UJ - 360_000_000, 1_000_000, 5_000_000]


def test_older_files_have_the_counter_alone(tmp_path: Path) -> None:
    """Before perun 0.7 the values of a sensor were its counter."""

    def old(node: Any, seconds: np.ndarray) -> None:  # type: ignore[type-arg]
        raw = sensor(node_of(node, "cpu", GROUP, device_type="cpu"), "cpu_0_package-0", "cpu", seconds, seconds, "W", 1.0)
        del raw["values"]
        data_set(raw, "values", (3e6 * seconds).astype(np.uint64), "J", 1e-6, RANGE_UJ)

    (found,) = perun.read(write_perun(tmp_path / "train.hdf5", {"pi-1": old}), UTC).readings
    assert (found.channels[0].kind, found.raw[4].tolist()) == ("counter", [12_000_000])


def test_an_imported_point(tmp_path: Path) -> None:
    """The first reading was 2 s after perun's start, so 5 s before the run; 10 W for 60 s through a wrap of the counter."""
    study = write_study(tmp_path / "s", [point("single", hosts=["pi-1"])])
    assert run(write_perun(tmp_path / "train.hdf5"), study, tmp_path / "new", "--time-zone", "UTC", "--offset-s", "2") == 0
    record = only(tmp_path / "new")
    energy = record["energy"]
    assert (energy["kind"], energy["source"], energy["coverage"]["levels"]) == ("measured", "perun", ["package"])
    assert energy["total_J"] == pytest.approx(600, rel=1e-6)
    assert energy["by_host"][0]["meter"] == "pi-1.lan"
    assert check_of(record, "power covers every host")["status"] == "passed"


def test_nodes_of_one_file(tmp_path: Path) -> None:
    study = write_study(tmp_path / "s", [point()])
    log = write_perun(tmp_path / "train.hdf5", {"node0": rapl_and_gpu, "node1": rapl_and_gpu, "login": rapl_and_gpu})
    words = ("--column", "node0=pi-1", "--column", "node1=pi-2", "--time-zone", "UTC", "--offset-s", "2")
    assert run(log, study, tmp_path / "new", *words) == 0
    assert only(tmp_path / "new")["energy"]["total_J"] == pytest.approx(1200, rel=1e-6)


def test_nothing_counts_twice(tmp_path: Path) -> None:
    """A socket has its CPU and its input and output inside; a module's sensor does not say what it has."""

    def grace(node: Any, seconds: np.ndarray) -> None:  # type: ignore[type-arg]
        for name, device, watts in (
            ("grace_power_socket_0", "socket", 9),
            ("cpu_power_socket_0", "cpu", 6),
            ("sysio", "sysio", 2),
        ):
            group = node_of(node, device, GROUP, device_type=device)
            sensor(group, name, device, seconds, np.full(len(seconds), watts * 10**6, np.int64), "W", 1e-6)
        group = node_of(node, "other", GROUP, device_type="other")
        sensor(group, "module_power_socket_0", "other", seconds, np.full(len(seconds), 20 * 10**6, np.int64), "W", 1e-6)

    study = write_study(tmp_path / "s", [point("single", hosts=["pi-1"])])
    log = write_perun(tmp_path / "train.hdf5", {"pi-1": grace})
    run(log, study, tmp_path / "new", "--time-zone", "UTC", "--offset-s", "2")
    energy = only(tmp_path / "new")["energy"]
    assert energy["total_J"] == pytest.approx(540)
    assert energy["left_out"][0]["source"] == "perun module_power_socket_0"


def test_a_node_sensor_has_everything(tmp_path: Path) -> None:
    def whole(node: Any, seconds: np.ndarray) -> None:  # type: ignore[type-arg]
        rapl_and_gpu(node, seconds)
        sensor(node, "board", "node", seconds, np.full(len(seconds), 15_000, np.int64), "W", 1e-3)

    study = write_study(tmp_path / "s", [point("single", hosts=["pi-1"])])
    log = write_perun(tmp_path / "train.hdf5", {"pi-1": whole})
    run(log, study, tmp_path / "new", "--time-zone", "UTC", "--offset-s", "2", "--level", "board")
    assert only(tmp_path / "new")["energy"]["total_J"] == pytest.approx(900)


def test_only_the_first_round_can_be_placed(tmp_path: Path) -> None:
    log = perun.read(write_perun(tmp_path / "train.hdf5", rounds=("0", "1")), UTC)
    assert len(log.readings) == 1
    assert log.unused[0].startswith("round 1 of 2026-03-01T11:59:53")


def test_the_first_reading_must_be_told(tmp_path: Path) -> None:
    study = write_study(tmp_path / "s", [point("single", hosts=["pi-1"])])
    log = write_perun(tmp_path / "train.hdf5")
    with pytest.raises(UserError, match="perun tells when it was started, not when it took its first reading"):
        run(log, study, tmp_path / "new", "--time-zone", "UTC")
    with pytest.raises(UserError, match=r"execution_dt of .*: times such as 2026-03-01T11:59:53\.\d+ have no time zone"):
        run(log, study, tmp_path / "new", "--offset-s", "2")


def _only_usage(node: Any, seconds: np.ndarray) -> None:  # type: ignore[type-arg]
    sensor(node_of(node, "cpu", GROUP, device_type="cpu"), "CPU_USAGE_0", "cpu", seconds, seconds, "%", 1.0)


def _negative(node: Any, seconds: np.ndarray) -> None:  # type: ignore[type-arg]
    sensor(node_of(node, "gpu", GROUP, device_type="gpu"), "CUDA:0_POWER", "gpu", seconds, -seconds, "W", 1e-3)


def test_bad_files_give_one_line(tmp_path: Path) -> None:
    text = tmp_path / "log.hdf5"
    text.write_text("time,power\n")
    with pytest.raises(UserError, match=r"log\.hdf5 cannot be read as HDF5 \(.*\); give perun's \.hdf5 file$"):
        perun.read(text, UTC)
    foreign = tmp_path / "foreign.hdf5"
    with h5py.File(foreign, "w") as file:
        file.create_dataset("power", data=[1.0])
    with pytest.raises(UserError, match="is HDF5, but no file of perun: its top has power, not one application"):
        perun.read(foreign, UTC)
    with pytest.raises(UserError, match=r"has no node pi-2; nodes are pi-1\.lan"):
        perun.read(write_perun(tmp_path / "a.hdf5"), LogOptions(zone=UTC.zone, columns=("pi-2",)))
    with pytest.raises(UserError, match="node x has no sensor of power or energy of its node, CPU, GPU or memory"):
        perun.read(write_perun(tmp_path / "b.hdf5", {"x": _only_usage}), UTC)
    with pytest.raises(UserError, match=r"sensor CUDA:0_POWER: row 2 has -0\.001 W; it must be a number and not negative"):
        perun.read(write_perun(tmp_path / "c.hdf5", {"x": _negative}), UTC)
    half = write_perun(tmp_path / "d.hdf5")
    with h5py.File(half, "a") as file:
        del next(iter(file["train/nodes"].values()))["nodes"]
    with pytest.raises(UserError, match=r"d\.hdf5 is of no version of perun that is known here: "):
        perun.read(half, UTC)


def _json_values(tree: Any) -> dict[str, Any]:
    """The series of the one sensor of ``perun_json``."""
    for key in ("run", "0", "pi-1", "gpu", "GPU_POWER"):
        tree = tree["nodes"][0][key]
    series: dict[str, Any] = tree["raw_data"]
    return series


def test_json_is_read_as_hdf5_is(tmp_path: Path) -> None:
    path = tmp_path / "train.json"
    path.write_text(json.dumps(perun_json()))
    (found,) = read_log(path, None, UTC).readings
    assert (found.name, found.raw.ravel().tolist()) == ("pi-1", [8_000_000] * 5)
    begin_ns, _ = civil_times.started_ns("2026-03-01T11:59:53+00:00")
    assert found.t_ns.tolist() == [begin_ns + number * 10**9 for number in range(5)]
    for text, message in (
        ('[{"name": "a"}]', "is JSON, but no file of perun: its top has a list"),
        ("{", "cannot be read as JSON"),
    ):
        path.write_text(text)
        with pytest.raises(UserError, match=message):
            read_log(path, None, UTC)


@pytest.mark.parametrize(
    ("series", "message"),
    [
        ({"values": [8000] * 4}, r"sensor GPU_POWER has 4 values at 5 times; perun was ended before it had written all"),
        ({"values": [], "timesteps": []}, r"has 0 reading\(s\) with times that perun could have; energy needs two at least"),
        ({"values": [8000], "timesteps": [0]}, r"has 1 reading\(s\)"),
        ({"values": None}, r"node pi-1 has no sensor of power or energy"),
        ({"timesteps": None}, r"sensor GPU_POWER has values without times"),
        ({"values": [8000, 8000, None, 8000, 8000]}, r"row 3 has nan W; it must be a number and not negative"),
        ({"timesteps": [0, 1, 1, 2, 3]}, r"which is not after the row before"),
    ],
)
def test_series_that_are_missing_or_short_are_refused(tmp_path: Path, series: dict[str, Any], message: str) -> None:
    tree = perun_json()
    _json_values(tree).update(series)
    path = tmp_path / "train.json"
    path.write_text(json.dumps(tree))
    with pytest.raises(UserError, match=message) as raised:
        read_log(path, None, UTC)
    assert "\n" not in str(raised.value)


def test_a_short_series_among_others_gives_no_smaller_sum(tmp_path: Path) -> None:
    """In HDF5: the memory's counter ends after 10 readings; one whose series is gone altogether is named."""

    def short(node: Any, seconds: np.ndarray) -> None:  # type: ignore[type-arg]
        rapl_and_gpu(node, seconds)
        raw = node["ram/nodes/ram_0_dram/raw_data"]
        for name in ("timesteps", "alt_values", "values"):
            about, numbers = dict(raw[name].attrs), raw[name][:10]
            del raw[name]
            raw.create_dataset(name, data=numbers).attrs.update(about)

    with pytest.raises(
        UserError, match=r"sensors ram_0_dram and cpu_0_package-0 have different times \(10 and 101 readings\)|differ"
    ):
        perun.read(write_perun(tmp_path / "a.hdf5", {"pi-1": short}), UTC)
    path = write_perun(tmp_path / "b.hdf5")
    with h5py.File(path, "a") as file:
        node = next(iter(next(iter(file["train/nodes"].values()))["nodes/0/nodes"].values()))
        del node["nodes/ram/nodes/ram_0_dram/raw_data"]
    log = perun.read(path, UTC)
    assert log.notes == ("sensor ram_0_dram of pi-1.lan has no readings: it is in no total",)
    assert {"source": "perun ram_0_dram", "why": "it has no readings"} in log.readings[0].left_out


def test_without_h5py_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(UserError, match=r"h5py is not installed; pip install 'edgejoule\[import\]'$"):
        perun.read(tmp_path / "train.hdf5", UTC)
