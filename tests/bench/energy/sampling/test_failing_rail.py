"""A rail that fails during a run: a part of the total is named and gone from the trace, the total itself leaves a gap."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from bench.cluster.board_class import BoardClass
from bench.energy.sampling.host_identity import HostIdentity
from bench.energy.sampling.sampler import Sampler
from bench.energy.sensor_base.part_readings import PartReadings, without_failed_parts
from bench.joules.channel import Channel, cover
from tests.bench.energy.board_trees import copy

pytestmark = pytest.mark.machine

HOME = HostIdentity("h", "boot", "jetson-orin-nano", "board1")
RAIL = "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon1/curr{}_input"


def sampled(root: Path, rail: int) -> Any:
    """Readings of a tree in which a rail's current says nothing from the middle on."""
    sampler = Sampler(("jetson",), BoardClass("jetson-orin-nano"), str(root), 0.01)
    sampler.start()
    time.sleep(0.4)
    (root / RAIL.format(rail)).write_text("")
    time.sleep(0.4)
    (trace,) = sampler.stop(HOME, {}, {})
    return trace


def test_a_part_that_fails_leaves_the_total(tmp_path: Path) -> None:
    trace = sampled(copy("jetson-orin-nano", tmp_path), 3)
    assert [channel.id for channel in trace.channels] == ["VDD_IN", "VDD_CPU_GPU_CV"]
    assert trace.channels[0].contains == ("VDD_CPU_GPU_CV",)
    assert cover(trace.channels) == [0]
    assert (trace.raw == [4_699_392, 686_528]).all()
    assert trace.errors == 0
    (left_out,) = trace.left_out
    assert left_out["source"] == "jetson VDD_SOC"
    count, words = left_out["why"].split(" ", 1)
    assert 0 < int(count) < len(trace.raw)
    assert words == f"of {len(trace.raw)} readings of this part failed; the total does not need it"


def test_a_total_that_fails_leaves_a_gap(tmp_path: Path) -> None:
    trace = sampled(copy("jetson-orin-nano", tmp_path), 1)
    assert trace.errors > 0
    assert [channel.id for channel in trace.channels] == ["VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC"]
    assert trace.left_out == ()


def channel(name: str, *contains: str) -> Channel:
    return Channel(id=name, kind="power", scale=1e-3, scope="", contains=contains)


def test_what_a_failed_part_contains_is_still_inside() -> None:
    """Otherwise the part's own part would count beside the total."""
    channels = (channel("in", "cpu"), channel("cpu", "core", "cache"), channel("core"), channel("cache"))
    left, kept = without_failed_parts(channels, {"cpu": 3})
    assert kept == [0, 2, 3]
    assert left[0].contains == ("core", "cache")
    assert cover(left) == [0]


def test_only_parts_that_were_read_before_are_held() -> None:
    parts, values = PartReadings((channel("in", "cpu"), channel("cpu"))), iter((7, OSError(), 9))

    def read() -> int:
        value = next(values)
        if isinstance(value, OSError):
            raise value
        return value

    assert [parts.value("cpu", read) for _ in range(3)] == [7, 7, 9]
    assert parts.failures == {"cpu": 1}
    for name in ("in", "cpu"):
        fresh = PartReadings((channel("in", "cpu"), channel("cpu")))
        with pytest.raises(OSError, match="gone"):
            fresh.value(name, lambda: (_ for _ in ()).throw(OSError("gone")))
    whole = PartReadings((channel("node", "*"), channel("gpu")))
    assert whole.parts == {"gpu"}
