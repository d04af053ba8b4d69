"""Sources on real directory trees, and the sampler as a real process."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from bench.energy.board import load_board
from bench.energy.channel import cover
from bench.energy.sampler import Sampler
from bench.energy.session import HostInfo
from bench.energy.sources.base import open_for_reading, select
from bench.errors import UserError

CONF = Path(__file__).resolve().parents[2] / "conf"
BOARD = load_board("x86-mini-pc", CONF / "board")
STAT = "cpu  {user} 0 50 9000 10 3 2 40 0 0\ncpu0 {user} 0 25 4500 5 3 2 20 0 0\ncpu1 0 0 25 4500 5 0 0 20 0 0\nintr 1\n"


def zone(root: Path, folder: str, name: str, energy_uj: int = 1000) -> None:
    path = root / "sys/class/powercap" / folder
    path.mkdir(parents=True)
    (path / "name").write_text(f"{name}\n")
    (path / "energy_uj").write_text(f"{energy_uj}\n")
    (path / "max_energy_range_uj").write_text("262143328850\n")


def proc(root: Path, user: int = 100) -> None:
    (root / "proc").mkdir(parents=True, exist_ok=True)
    (root / "proc/stat").write_text(STAT.format(user=user))


@pytest.fixture
def server(tmp_path: Path) -> Path:
    """Two packages with cores and memory, the whole platform as a third zone, the same package by another interface."""
    for number in (0, 1):
        zone(tmp_path, f"intel-rapl:{number}", f"package-{number}", 1000 + number)
        zone(tmp_path, f"intel-rapl:{number}:0", "core", 300 + number)
        zone(tmp_path, f"intel-rapl:{number}:1", "dram", 200 + number)
    zone(tmp_path, "intel-rapl-mmio:0", "package-0", 999)
    proc(tmp_path)
    return tmp_path


def test_rapl_reads_every_zone_once_by_name(server: Path) -> None:
    source, left_out = select("auto", BOARD, server)
    assert (source.name, source.kind, left_out) == ("rapl", "measured", [])
    values = dict(zip([c.id for c in source.channels], source.read(), strict=True))
    assert values == {
        "package-0": 1000, "package-0/core": 300, "package-0/dram": 200,
        "package-1": 1001, "package-1/core": 301, "package-1/dram": 201,
    }  # fmt: skip
    total = {source.channels[i].id for i in cover(source.channels)}
    assert total == {"package-0", "package-0/dram", "package-1", "package-1/dram"}
    assert source.channels[0].modulus == 262143328850 + 61
    source.close()


def test_psys_contains_the_packages(server: Path) -> None:
    zone(server, "intel-rapl:2", "psys", 5000)
    source, _ = select("rapl", BOARD, server)
    assert [source.channels[i].id for i in cover(source.channels)] == ["psys"]
    source.close()


def test_packages_that_mirror_one_counter_count_once(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0-die-0", 7000)
    target = tmp_path / "sys/class/powercap/intel-rapl:0/energy_uj"
    zone(tmp_path, "intel-rapl:1", "package-0-die-1")
    mirror = tmp_path / "sys/class/powercap/intel-rapl:1/energy_uj"
    mirror.unlink()
    mirror.symlink_to(target)
    done = threading.Event()

    def advance() -> None:
        value = 7000
        while not done.is_set():
            value += 1
            with target.open("r+") as file:  # in place, as a counter: the same length, the same file
                file.write(f"{value}\n")

    thread = threading.Thread(target=advance)
    thread.start()
    try:
        for _ in range(50):  # the first of two equal readings may fall on both sides of a step
            source, _ = select("rapl", BOARD, tmp_path)
            found = [channel.id for channel in source.channels]
            source.close()
            if len(found) == 1:
                break
    finally:
        done.set()
        thread.join()
    assert found == ["package-0-die-0"]


def test_unreadable_rapl_says_how_to_allow_it_and_is_never_replaced(server: Path) -> None:
    """root ignores file modes, so the refusal comes from the opener."""

    def refuse(path: Path) -> int:
        if path.name == "energy_uj":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return open_for_reading(path)

    with pytest.raises(UserError, match=r"energy=rapl cannot be read: .*udev rule.*tmpfiles\.d.*sysfsutils") as error:
        select("rapl", BOARD, server, refuse)
    assert "\n" not in str(error.value)
    source, left_out = select("auto", BOARD, server, refuse)
    assert (source.name, source.kind) == ("modelled", "modelled")
    assert left_out[0]["source"] == "rapl"
    source.close()


def test_no_rapl_is_said(tmp_path: Path) -> None:
    proc(tmp_path)
    with pytest.raises(UserError, match="no RAPL on this machine"):
        select("rapl", BOARD, tmp_path)
    with pytest.raises(UserError, match="did you mean rapl"):
        select("rappl", BOARD, tmp_path)


def test_modelled_power_by_hand(tmp_path: Path) -> None:
    """Busy is user, nice, system, irq, softirq: 100 + 0 + 50 + 3 + 2 ticks; waiting for disks and stolen time are not."""
    proc(tmp_path)
    source, _ = select("modelled", BOARD, tmp_path)
    assert source.read() == [155]
    (channel,) = source.channels
    idle, busy = BOARD["power"]["idle_W"]["value"], BOARD["power"]["busy_W"]["value"]
    tick = 1 / os.sysconf("SC_CLK_TCK")
    assert channel.baseline_W == idle
    # Both CPUs busy for a second is busy_W: 2 / tick ticks.
    assert channel.baseline_W + channel.scale * 2 / tick == pytest.approx(busy)
    source.close()


def test_every_board_number_has_its_source() -> None:
    for path in (CONF / "board").glob("*.yaml"):
        for number in load_board(path.stem, CONF / "board")["power"].values():
            assert number["value"] > 0
            assert len(number["source"]) > 20
    with pytest.raises(UserError, match="did you mean raspberry-pi-4"):
        load_board("raspberry-pi4", CONF / "board")


def test_a_board_without_numbers_cannot_be_modelled(tmp_path: Path) -> None:
    proc(tmp_path)
    board = load_board("jetson-orin-nano", CONF / "board")
    with pytest.raises(UserError, match=r"board jetson-orin-nano has no power\.idle_W"):
        select("modelled", board, tmp_path)


def sampled(root: Path, seconds: float, source: str = "auto", during: Any = None) -> Any:
    sampler = Sampler(source, BOARD, str(root), 0.01)
    sampler.start()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if during:
            during()
        time.sleep(0.005)
    host = HostInfo("h", "boot", "x86-mini-pc", "h")
    return sampler.stop(host.name, host.boot_id, host.board, 0)


def test_the_sampler_process_keeps_raw_readings(server: Path) -> None:
    counter = server / "sys/class/powercap/intel-rapl:0/energy_uj"
    value = 1000

    def advance() -> None:
        nonlocal value
        value += 50
        counter.write_text(f"{value}\n")

    trace = sampled(server, 0.6, during=advance)
    assert trace.channels[0].id == "package-0"
    assert len(trace.raw) > 10
    assert trace.raw[0, 0] == 1000
    assert trace.raw[-1, 0] == value  # the last reading is taken when it is told to stop
    assert (trace.t_after_ns >= trace.t_before_ns).all()
    assert trace.cpu_s > 0


def test_the_sampler_survives_a_source_that_fails(server: Path) -> None:
    counter = server / "sys/class/powercap/intel-rapl:0/energy_uj"
    trace = sampled(server, 0.5, during=lambda: counter.write_text(""))
    assert trace.errors > 3
    assert len(trace.raw) >= 1


def test_a_host_without_a_source_ends_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no RAPL on this machine"):
        Sampler("rapl", BOARD, str(tmp_path), 0.05).start()


def test_the_sampler_ends_when_its_parent_dies(server: Path) -> None:
    order = json.dumps({"source": "rapl", "board": BOARD, "root": str(server), "period_s": 0.05})
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.energy.sampler"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=CONF.parent,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(order.encode() + b"\n")
    process.stdin.flush()
    assert b"package-0" in process.stdout.readline()
    process.stdin.close()
    assert process.wait(timeout=10) == 0
    process.stdout.close()
