"""Which sources a host uses, modelled power, and the sampler as a real process on directory trees."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.cluster.board_class import BoardClass
from bench.cluster.board_files import load_board
from bench.common.user_error import UserError
from bench.energy.sampling.host_identity import HostIdentity
from bench.energy.sampling.sampler import Sampler
from bench.energy.sensor_base.source import Place, open_for_reading
from bench.energy.sensor_base.source_choice import check_name, select
from tests.project import ROOT

pytestmark = pytest.mark.machine

CONF = ROOT / "conf"
BOARD = load_board("x86-mini-pc", CONF / "board")
HOME = HostIdentity("h", "boot", "x86-mini-pc", "board1")
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
    """Two packages with cores and memory."""
    for number in (0, 1):
        zone(tmp_path, f"intel-rapl:{number}", f"package-{number}", 1000 + number)
        zone(tmp_path, f"intel-rapl:{number}:0", "core", 300 + number)
        zone(tmp_path, f"intel-rapl:{number}:1", "dram", 200 + number)
    proc(tmp_path)
    return tmp_path


def names(wanted: list[str], place: Place, metered: bool = False) -> list[str]:
    opened, _ = select(wanted, place, metered)
    for found in opened:
        found.source.close()
    return [found.source.name for found in opened]


def test_auto_takes_what_measures_and_models_only_where_nothing_does(server: Path, tmp_path_factory: Any) -> None:
    assert names(["auto"], Place(server, BOARD)) == ["rapl"]
    bare = tmp_path_factory.mktemp("bare")
    proc(bare)
    opened, left_out = select(["auto"], Place(bare, BOARD))
    assert [(o.source.name, o.source.kind) for o in opened] == [("modelled", "modelled")]
    assert next(left["why"] for left in left_out if left["source"] == "rapl").startswith(str(bare))
    assert names(["auto"], Place(bare, BOARD), metered=True) == []


def test_measured_never_models(tmp_path: Path) -> None:
    proc(tmp_path)
    with pytest.raises(UserError, match=r"no energy source on this host: .*modelled: energy=measured never models") as error:
        select(["measured"], Place(tmp_path, BOARD))
    assert "\n" not in str(error.value)


def test_a_source_that_is_asked_for_is_never_replaced(server: Path) -> None:
    """root ignores file modes, so the refusal comes from the opener."""

    def refuse(path: Path) -> int:
        if path.name == "energy_uj":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return open_for_reading(path)

    with pytest.raises(UserError, match=r"energy=rapl cannot be read: .*udev rule.*tmpfiles\.d.*sysfsutils") as error:
        select(["rapl"], Place(server, BOARD, opener=refuse))
    assert "\n" not in str(error.value)
    assert names(["auto"], Place(server, BOARD, opener=refuse)) == ["modelled"]


def test_the_second_source_of_a_sensor_is_a_cross_check(server: Path) -> None:
    opened, _ = select(["rapl", "modelled", "rapl"], Place(server, BOARD))
    assert [(o.source.name, o.check_of) for o in opened] == [("rapl", None), ("modelled", None), ("rapl", "rapl")]
    for found in opened:
        found.source.close()


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("rappl", "unknown energy.source rappl; .*did you mean rapl?"),
        ("shelly", "energy.source=shelly is a meter: describe it under meters:"),
    ],
)
def test_names_that_are_no_sources(wanted: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        check_name(wanted)


def test_modelled_power_by_hand(tmp_path: Path) -> None:
    """Busy is user, nice, system, irq, softirq: 100 + 0 + 50 + 3 + 2 ticks; waiting for disks and stolen time are not.

    Both CPUs busy for a second are the class's busy power; idle passes with time.
    """
    proc(tmp_path)
    opened, _ = select(["modelled"], Place(tmp_path, BOARD))
    source = opened[0].source
    assert source.read() == [0, 155]
    weighted, ticks = source.channels
    assert BOARD.power.idle_W is not None
    assert BOARD.power.busy_W is not None
    idle, busy = BOARD.power.idle_W.value, BOARD.power.busy_W.value
    assert (weighted.baseline_W, weighted.model_u, weighted.contains) == (idle, 0.3, (ticks.id,))
    assert idle + weighted.scale * 2e6 == pytest.approx(busy)
    assert idle + ticks.scale * 2 * os.sysconf("SC_CLK_TCK") == pytest.approx(busy)
    assert "modelled as x86-mini-pc: 9.3 W idle, 15.7 W more with all cores busy, 2 CPUs, exponent 1.4" in weighted.scope
    source.close()


def test_a_board_without_numbers_cannot_be_modelled(tmp_path: Path) -> None:
    proc(tmp_path)
    with pytest.raises(UserError, match=r"board bare has no power\.idle_W and no power\.busy_W"):
        select(["modelled"], Place(tmp_path, BoardClass("bare")))


def sampled(root: Path, seconds: float, sources: tuple[str, ...] = ("auto",), during: Any = None, **more: Any) -> Any:
    sampler = Sampler(sources, BOARD, str(root), 0.01, **more)
    sampler.start()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if during:
            during()
        time.sleep(0.005)
    return sampler.stop(HOME, {}, {})


def test_the_sampler_process_keeps_raw_readings(server: Path) -> None:
    counter = server / "sys/class/powercap/intel-rapl:0/energy_uj"
    value = 1000

    def advance() -> None:
        nonlocal value
        value += 50
        counter.write_text(f"{value}\n")

    (trace,) = sampled(server, 0.6, during=advance)
    assert trace.channels[0].id == "package-0"
    assert trace.covers == ("board1",)
    assert len(trace.raw) > 10
    assert trace.raw[0, 0] == 1000
    assert trace.raw[-1, 0] == value  # the last reading is taken when it is told to stop
    assert (trace.t_after_ns >= trace.t_before_ns).all()
    assert trace.cpu_s > 0


def test_two_sources_are_read_side_by_side(server: Path) -> None:
    rapl, modelled = sampled(server, 0.3, ("rapl", "modelled"))
    assert (rapl.source, modelled.source) == ("rapl", "modelled")
    assert modelled.raw.shape[1] == 2
    assert len(rapl.raw) > 5
    assert len(modelled.raw) > 5


def test_the_sampler_survives_a_source_that_fails_and_comes_back(server: Path) -> None:
    """The gap shows in the times; after a second the source is opened again."""
    counter = server / "sys/class/powercap/intel-rapl:0/energy_uj"
    begin = time.monotonic()

    def fail_then_replace() -> None:
        late = time.monotonic() - begin
        if late < 1.3:
            counter.write_text("")
        elif not counter.read_text():
            counter.unlink()  # another file: only a reader that opens it again finds it
            counter.write_text("5000\n")

    (trace,) = sampled(server, 2.2, during=fail_then_replace)
    assert trace.errors > 3
    assert np.diff(trace.t_before_ns).max() > 1e9
    assert trace.raw[-1, 0] == 5000


def test_power_since_the_start(server: Path) -> None:
    """30 J in the time between the first and the newest reading."""
    counter = server / "sys/class/powercap/intel-rapl:0/energy_uj"
    sampler = Sampler(["rapl"], BOARD, str(server), 0.02)
    begin = time.monotonic()
    sampler.start()
    time.sleep(0.3)
    counter.write_text(f"{1000 + 30_000_000}\n")
    watts = [0.0, 0.0]
    while watts[0] == 0.0 and time.monotonic() < begin + 20:  # until the counter was read again
        time.sleep(0.02)
        watts = sampler.powers_W()[0]
    spent = time.monotonic() - begin
    sampler.stop(HOME, {}, {})
    assert 30 / spent < watts[0] < 30 / 0.3
    assert watts[1] == 0.0


def test_a_host_without_a_source_ends_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no RAPL on this machine"):
        Sampler(["rapl"], BOARD, str(tmp_path), 0.05).start()


def test_a_sampler_that_died_has_no_readings(server: Path) -> None:
    sampler = Sampler(["rapl"], BOARD, str(server), 0.05)
    sampler.start()
    assert sampler._process is not None
    sampler._process.kill()
    sampler._process.wait()
    assert sampler.stop(HOME, {}, {}) == []


def test_the_sampler_ends_when_its_parent_dies(server: Path) -> None:
    order = Sampler(["rapl"], BOARD, str(server), 0.05).order.to_json()
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.energy.sampling.sampler_process"],
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
