"""Modelled power: a busy core's watts by use and clock, the GPU's, bytes; what is refused and what is said to be missing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench.cluster.board_class import BoardClass
from bench.cluster.board_power import BoardPower, ClockWatts
from bench.common.sourced_number import SourcedNumber
from bench.energy.sensor_base.core_use import CoreUse
from bench.energy.sensor_base.source import Place, SourceUnavailable
from bench.energy.sensors.emulated import Emulated
from bench.energy.sensors.modelled import TICK_S, Modelled

PAGE = "measured"


def number(value: float, device: str | None = None) -> SourcedNumber:
    return SourcedNumber(value, PAGE, device)


POWER = BoardPower(idle_W=number(4.0), busy_W=number(10.0, "cpu"), exponent=number(1.5))
BOARD = BoardClass("mine", power=POWER, device="cpu")


def machine(root: Path, ticks: tuple[int, ...] = (0, 0)) -> Path:
    """A host with as many cores as there are counts of busy ticks."""
    (root / "proc").mkdir(parents=True, exist_ok=True)
    lines = [f"cpu  {sum(ticks)} 0 0 9 0 0 0 0 0 0", *(f"cpu{n} {busy} 0 0 9 0 0 0 0 0 0" for n, busy in enumerate(ticks))]
    (root / "proc/stat").write_text("\n".join([*lines, "intr 1", ""]))
    return root


def put(path: Path, value: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{value:.0f}\n")


@pytest.mark.parametrize(("use", "exponent"), [(0.25, 1.4), (0.5, 2.0), (1.0, 1.4), (0.5, 1.0)])
def test_a_steady_use_draws_its_power(use: float, exponent: float) -> None:
    """After a second (over which use is averaged) full-core seconds grow by u^b a second, however often they are read."""
    cores = CoreUse(exponent)
    for step in range(41):
        begin = cores.add(0.05 * step, [0.05 * step * use])
    for step in range(41, 61):
        end = cores.add(0.05 * step, [0.05 * step * use])
    assert end - begin == pytest.approx(use**exponent, rel=1e-9)


def test_cores_count_one_by_one_and_never_backwards() -> None:
    """One core of two at full use is not two at half use; a counter that steps back adds nothing."""
    one, both = CoreUse(1.5), CoreUse(1.5)
    for step in range(21):
        one.add(0.1 * step, [0.1 * step, 0.0])
        both.add(0.1 * step, [0.05 * step, 0.05 * step])
    assert one.seconds == pytest.approx(2.0)
    assert both.seconds == pytest.approx(2 * 2 * 0.5**1.5)
    before = one.seconds
    assert one.add(2.1, [1.0, 0.0]) == before


def test_a_slow_clock_costs_less_in_proportion_between_those_that_are_known() -> None:
    cores = CoreUse(1.0, ((1.0e9, 0.2), (2.0e9, 1.0)))
    assert [cores.share(clock) for clock in (0.5e9, 1.0e9, 1.5e9, 2.0e9, 3.0e9)] == pytest.approx([0.2, 0.2, 0.6, 1.0, 1.0])
    cores.add(0.0, [0.0], [1.5e9])
    assert cores.add(1.0, [1.0], [1.5e9]) == pytest.approx(0.6)


def test_bytes_clocks_and_the_gpu_are_read_where_their_coefficients_are_known(tmp_path: Path) -> None:
    machine(tmp_path, (10, 20))
    for core in (0, 1):
        put(tmp_path / f"sys/devices/system/cpu/cpu{core}/cpufreq/scaling_cur_freq", 1_000_000)
    put(tmp_path / "sys/class/net/eth0/device/uevent", 0)
    put(tmp_path / "sys/class/net/lo/statistics/rx_bytes", 7)  # no hardware: no wire
    put(tmp_path / "sys/class/net/eth0/statistics/rx_bytes", 1000)
    put(tmp_path / "sys/class/net/eth0/statistics/tx_bytes", 500)
    put(tmp_path / "sys/fs/resctrl/mon_data/mon_L3_00/mbm_total_bytes", 4096)
    put(tmp_path / "sys/devices/platform/gpu.0/load", 500)
    power = replace(
        POWER,
        busy_W=number(34.0, "gpu"),
        cpu_W=number(6.0),
        network_J_per_byte=number(2e-9),
        memory_J_per_byte=number(1e-10),
        cpu_W_at=(ClockWatts(1e9, 2.0, PAGE), ClockWatts(2e9, 6.0, PAGE)),
    )
    source = Modelled.open(Place(tmp_path, replace(BOARD, device="gpu", power=power)))
    channels = {channel.id: channel for channel in source.channels}
    assert list(channels) == ["cpu-utilisation", "busy-ticks", "gpu", "network", "memory"]
    assert channels["gpu"].scale == pytest.approx(30e-6)
    assert (channels["network"].scale, channels["memory"].scale) == (2e-9, 1e-10)
    assert channels["network"].may_stand
    assert not channels["gpu"].may_stand
    assert source.read() == [0, 30, 0, 1500, 4096]
    machine(tmp_path, (110, 20))
    weighted, ticks, gpu, *_ = source.read()
    assert ticks == 130
    assert 0 < weighted <= 100 * TICK_S * 1e6 / 3 + 1  # at 1 GHz a third of the power at 2 GHz
    assert gpu > 0
    source.close()
    assert source.not_measured == Modelled.not_measured


def test_a_coefficient_without_its_counter_is_said_to_be_missing(tmp_path: Path) -> None:
    power = replace(POWER, memory_J_per_byte=number(1e-10), network_J_per_byte=number(2e-9))
    power = replace(power, cpu_W=number(6.0), cpu_W_at=(ClockWatts(1e9, 2.0, PAGE), ClockWatts(2e9, 6.0, PAGE)))
    source = Modelled.open(Place(machine(tmp_path), replace(BOARD, power=power)))
    assert [channel.id for channel in source.channels] == ["cpu-utilisation", "busy-ticks"]
    assert source.not_measured[2:] == (
        "the clocks of the cores: the highest counts",
        "bytes on the wire",
        "bytes of the memory",
    )
    source.close()


@pytest.mark.parametrize(
    ("board", "message"),
    [
        (replace(BOARD, device="gpu"), "10 W were read with the CPU at work, and this point computes on the GPU"),
        (replace(BOARD, device="gpu", power=replace(POWER, busy_W=number(10.0, "gpu"))), "its GPU, whose use cannot be read"),
        (replace(BOARD, power=replace(POWER, busy_W=number(77.0, "gpu"))), "77 W were read with the GPU at work"),
        (replace(BOARD, power=BoardPower(busy_W=number(10.0, "cpu"))), r"board mine has no power\.idle_W to model with"),
    ],
)
def test_watts_of_another_device_are_refused_in_one_line(tmp_path: Path, board: BoardClass, message: str) -> None:
    with pytest.raises(SourceUnavailable, match=message) as error:
        Modelled.open(Place(machine(tmp_path), board))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["", "cpu", "cpu  a b c d e f g\n", "cpu 1 2 3\ncpu0 1 2 3\n"])
def test_a_file_that_is_no_proc_stat_is_refused(tmp_path: Path, text: str) -> None:
    machine(tmp_path)
    (tmp_path / "proc/stat").write_text(text)
    with pytest.raises(SourceUnavailable):
        Modelled.open(Place(tmp_path, BOARD))


def emulated_board(root: Path, used_us: int = 0) -> Path:
    """A tree whose process is on an emulated board of half a core, with control groups of version 2."""
    group = root / "sys/fs/cgroup/ej-shelf/b1"
    group.mkdir(parents=True, exist_ok=True)
    (root / "proc/self").mkdir(parents=True, exist_ok=True)
    (root / "proc/self/cgroup").write_text("0::/ej-shelf/b1\n")
    (root / "sys/fs/cgroup/cgroup.controllers").write_text("cpu memory pids\n")
    (group / "cpu.max").write_text("5000 10000\n")
    (group / "cpu.stat").write_text(f"usage_usec {used_us:>12}\nuser_usec 0\n")
    return root


def test_an_emulated_board_is_charged_for_the_device_that_it_stands_for(tmp_path: Path) -> None:
    """Its whole share for a second is the CPU's 6 W or the GPU's 30 W; on the GPU readings are the kernel's, unweighted."""
    power = replace(POWER, busy_W=number(34.0, "gpu"), cpu_W=number(6.0))
    for device, watts in (("cpu", 6.0), ("gpu", 30.0)):
        source = Emulated.open(Place(emulated_board(tmp_path), replace(BOARD, device=device, power=power)))
        (channel,) = source.channels
        assert (channel.scale * 0.5e6, channel.baseline_W, channel.model_u) == (pytest.approx(watts), 4.0, 0.3)
        assert source.read() == [0]
        emulated_board(tmp_path, 40_000)
        (used,) = source.read()
        assert used == 40_000 if device == "gpu" else 0 < used <= 40_000
        source.close()
        emulated_board(tmp_path)


def test_an_emulated_board_without_watts_of_its_device_is_refused(tmp_path: Path) -> None:
    power = replace(POWER, busy_W=number(77.0, "gpu"))
    with pytest.raises(SourceUnavailable, match="77 W were read with the GPU at work, and this point computes on the CPU"):
        Emulated.open(Place(emulated_board(tmp_path), replace(BOARD, device="cpu", power=power)))
