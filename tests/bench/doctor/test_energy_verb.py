"""The doctor's verb ``energy``: on this machine, on trees, with a plug, and over the real mpirun."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.cluster.board_files import load_board
from bench.common.paths import CONF
from bench.config.host_config import Host
from bench.doctor import doctor_verb
from bench.doctor.__main__ import main
from bench.doctor.energy_findings import findings
from bench.doctor.host_energy_report import EnergyReport
from bench.doctor.rank_orders import EnergyOrder
from bench.energy.sampling.energy_settings import EnergySettings
from tests import mpirun
from tests.bench.energy.board_trees import BOARDS
from tests.bench.energy.live_rapl import LiveRapl
from tests.command_line import environment
from tests.project import ROOT
from tests.stand_ins.web import WebMeter

pytestmark = pytest.mark.machine

SHORT = "doctor.seconds=0.6"
REFUSES = Path("/proc/sys/vm/compact_memory")
"""A file that nobody may read, root neither."""
STAT = "cpu  100 0 50 9000 10 3 2 40 0 0\ncpu0 100 0 25 4500 5 3 2 20 0 0\ncpu1 0 0 25 4500 5 0 0 20 0 0\nintr 1\n"

Doctor = Callable[..., tuple[int, str, str]]


@pytest.fixture
def doctor(capsys: pytest.CaptureFixture[str]) -> Doctor:
    def run(*words: str) -> tuple[int, str, str]:
        code = main(["energy", *([SHORT] if not any(word.startswith("doctor.s") for word in words) else []), *words])
        told = capsys.readouterr()
        return code, told.out, told.err

    return run


@pytest.fixture
def live(tmp_path: Path) -> Iterator[LiveRapl]:
    """A tree with a package of 12 W, and a processor of which nothing is used."""
    (tmp_path / "root/proc").mkdir(parents=True)
    (tmp_path / "root/proc/stat").write_text(STAT)
    with LiveRapl(tmp_path / "root", lambda: 12.0) as board:
        yield board


def root_of(board: LiveRapl) -> str:
    return f"energy.root={board.folder.parents[3]}"


def lines(told: str, start: str) -> list[str]:
    return [line for line in told.splitlines() if line.startswith(start)]


def cells(told: str, name: str) -> list[str]:
    """The first row of a table that begins with ``name``."""
    return next(line for line in told.splitlines() if line.startswith(f"  {name} ")).split()


def test_this_machine_as_it_is() -> None:
    """As a user starts it: something can be read, if only the model."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.doctor", "energy", "doctor.seconds=1"],
        cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("\nlocalhost (board class x86-mini-pc)\nchannels\n")
    assert "The total of cluster local" in done.stdout
    assert "in the total" in done.stdout
    assert "the sampler takes" in done.stdout
    assert not lines(done.stdout, "FAIL")


def test_a_board_that_measures(live: LiveRapl, doctor: Doctor) -> None:
    zone = live.folder.parent / "intel-rapl:0:0"
    zone.mkdir()
    for name, text in (("name", "core"), ("energy_uj", "5"), ("max_energy_range_uj", "262143328850")):
        (zone / name).write_text(text + "\n")
    code, told, _ = doctor(root_of(live), "doctor.seconds=1.5")
    assert code == 0
    row = cells(told, "rapl")
    assert row[:10] == ["rapl", "package-0", "counter", "package", "1", "uJ", "1", "ms", "61", "uJ"]
    assert float(row[-5]) == pytest.approx(12.0, rel=0.1)
    assert "package-0/core" in told
    assert "inside package-0\n" in told
    assert "rapl/package-0: processor: package-0; contains package-0/core\n" in told
    assert "left out: modelled: there is another source" in told
    assert "not measured: disks, fans and network of the host, power supply losses" in told
    assert lines(told, "PASS  localhost: measured (package) by rapl/package-0")
    assert not lines(told, "WARN  localhost: energy is modelled as x86-mini-pc")
    assert lines(told, "PASS  window_s=20 is enough for 1 %")


def unreadable(root: Path) -> None:
    if not REFUSES.exists():
        pytest.skip(f"{REFUSES} is not there")
    folder = root / "sys/class/powercap/intel-rapl:0"
    folder.mkdir(parents=True)
    (folder / "name").write_text("package-0\n")
    (folder / "max_energy_range_uj").write_text("262143328850\n")
    (folder / "energy_uj").symlink_to(REFUSES)
    (root / "proc").mkdir()
    (root / "proc/stat").write_text(STAT)


def test_a_counter_that_may_not_be_read(tmp_path: Path, doctor: Doctor) -> None:
    """Three ways that last, and the model in its place; where the model is refused, a run would end."""
    unreadable(tmp_path)
    code, told, _ = doctor(f"energy.root={tmp_path}")
    assert code == 0
    (warned,) = lines(told, "WARN  localhost: rapl is there and cannot be read")
    assert all(way in warned for way in ("udev rule", "tmpfiles.d line", "sysfsutils line"))
    modelled = "energy is modelled as x86-mini-pc from processor time, not measured"
    assert lines(told, f"WARN  localhost: {modelled}: no sensor can be read")
    assert told.endswith("1 PASS, 2 WARN\n")

    code, told, _ = doctor(f"energy.root={tmp_path}", "energy=measured")
    assert code == 1
    (failed,) = lines(told, "FAIL")
    assert failed.startswith("FAIL  localhost: a run would end here: no energy source on this host: ")
    assert "rapl: " in failed
    assert "udev rule" in failed
    assert "localhost  nothing  -" in told


def test_a_host_without_any(tmp_path: Path, doctor: Doctor) -> None:
    code, told, _ = doctor("energy=rapl", f"energy.root={tmp_path}")
    assert code == 1
    assert lines(told, f"FAIL  localhost: a run would end here: energy=rapl cannot be read: {tmp_path}/sys/class/powercap does")
    assert told.endswith("1 WARN, 1 FAIL\n")


def test_a_counter_that_stands_still_fails(tmp_path: Path, doctor: Doctor) -> None:
    root = shutil.copytree(BOARDS / "x86-desktop", tmp_path / "root", symlinks=True)
    code, told, _ = doctor("energy=rapl", f"energy.root={root}")
    assert code == 1
    assert any("does not move" in line for line in lines(told, "FAIL  localhost: "))


def test_rails_inside_others_do_not_count(doctor: Doctor) -> None:
    code, told, _ = doctor("cluster.board=jetson-orin-nano", f"energy.root={BOARDS / 'jetson-orin-nano'}")
    assert code == 0
    rows = [line for line in told.splitlines() if line.startswith("  jetson  ")]
    assert sum(row.endswith("in the total") for row in rows) == 1
    assert sum(row.endswith("inside VDD_IN") for row in rows) >= 2
    assert lines(told, "PASS  localhost: measured (package) by jetson/VDD_IN")


def metered(plug: WebMeter, **more: Any) -> str:
    entry = {"source": "shelly", "address": plug.url, **more}
    return (
        "+energy.meters.plug={"
        + ", ".join(f"{key}: '{value}'" if key == "address" else f"{key}: {value}" for key, value in entry.items())
        + "}"
    )


def test_a_meter_has_all_of_its_host(live: LiveRapl, doctor: Doctor) -> None:
    plug = live.plug(1.2, 4.0)
    code, told, _ = doctor(
        root_of(live), metered(plug, accuracy=0.01), "+energy.others.switch={missing: true}", "doctor.seconds=2"
    )
    plug.dies()
    assert code == 0
    assert cells(told, "rapl")[-3:] == ["inside", "meter", "plug"]
    assert "plug (shelly)  energy" in told
    assert "plug (shelly)/energy: everything behind Shelly" in told
    assert "contains all of its hosts" in told
    assert "switch: not measured" in told
    assert lines(told, "PASS  localhost: measured (wall) by plug/energy")
    assert lines(told, "PASS  plug of localhost needs 60 s for 1 %: a run makes window_s=20 that long by itself")
    assert lines(told, "WARN  switch: not measured; give power_W and source, or a meter that includes it")


def test_a_meter_that_does_not_answer(live: LiveRapl, doctor: Doctor) -> None:
    """A run would end; what the host has itself is shown all the same."""
    plug = live.plug(1.2, 4.0)
    plug.dies()
    code, told, _ = doctor(root_of(live), metered(plug))
    assert code == 1
    assert lines(told, f"FAIL  localhost: a run would end here: meter plug (shelly at {plug.url}) cannot be read")
    assert cells(told, "rapl")[1] == "package-0"


def test_a_calibration_for_another_host_is_told(live: LiveRapl, doctor: Doctor, tmp_path: Path) -> None:
    values: dict[str, Any] = {
        "schema": "edgejoule.calibration/1", "source": "rapl", "gain": 2.0, "offset_W": 1.0, "gain_u": 0.1, "offset_u_W": 0.1,
        "covariance": 0.0, "against": "a plug", "scope": "wall", "made": "2026-01-02", "level": "wall",
    }  # fmt: skip
    folder = tmp_path / "calibration"
    folder.mkdir()
    for host in ("localhost", "board9"):
        (folder / f"{host}.json").write_text(json.dumps({**values, "host": host}))
    code, told, _ = doctor(root_of(live), f"energy.calibration={folder}", "doctor.seconds=1")
    assert code == 0
    assert lines(told, "WARN  the calibration of rapl on board9 is not used: there is no such source")
    total = next(line for line in told.splitlines() if line.startswith("  localhost  measured  wall"))
    assert float(total.split()[3]) == pytest.approx(25.0, rel=0.1)
    assert "a plug\n" in told


def test_over_mpirun_on_this_machine(live: LiveRapl, doctor: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another address than localhost goes the way of real hosts; %h is its name."""
    allow(monkeypatch)
    (tmp_path / "hosts.yaml").write_text(f"hosts:\n  - {{address: {socket.gethostname()}, name: root, slots: 2}}\n")
    code, told, _ = doctor(f"cluster.hostfile={tmp_path}/hosts.yaml", f"energy.root={tmp_path}/%h", "doctor.seconds=1")
    assert code == 0, told
    assert "root (board class x86-mini-pc)" in told
    assert lines(told, "PASS  root: measured (package) by rapl/package-0")
    assert "the hosts share a clock" in told


def test_hosts_that_mpirun_cannot_reach(doctor: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    allow(monkeypatch)
    (tmp_path / "hosts.yaml").write_text("hosts:\n  - {address: board1.invalid}\n  - {address: board2.invalid}\n")
    code, told, _ = doctor(f"cluster.hostfile={tmp_path}/hosts.yaml", "doctor.timeout_s=60")
    assert code == 1
    (failed,) = lines(told, "FAIL  mpirun did not come back from all hosts")
    assert failed.endswith("try: ssh HOST true, for each of them")


def allow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMPI_ALLOW_RUN_AS_ROOT", "1")
    monkeypatch.setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")


def test_two_hosts_with_different_sensors(live: LiveRapl, tmp_path: Path) -> None:
    """Two real ranks, each a host with a tree of its own: one measures, one can only model."""
    (tmp_path / "bare/proc").mkdir(parents=True)
    (tmp_path / "bare/proc/stat").write_text(STAT)
    energy = EnergySettings("auto", root=f"{tmp_path}/%h")
    order = EnergyOrder(
        hosts=tuple(Host(name, name=name, board="x86-mini-pc") for name in ("root", "bare")),
        boards={"x86-mini-pc": load_board("x86-mini-pc", CONF / "board")},
        energy=energy,
        seconds=1.0,
    )
    (tmp_path / "order.json").write_text(json.dumps({**order.to_json(), "found": str(tmp_path / "found.json")}))
    done = mpirun.run(2, "bench.doctor.energy_ranks", str(tmp_path / "order.json"))
    assert done.returncode == 0, done.stderr
    report = EnergyReport.from_json(json.loads((tmp_path / "found.json").read_text()))
    assert [(part.hosts, part.kind, part.levels) for part in report.parts] == [
        (("root",), "measured", ("package",)), (("bare",), "modelled", ("board",)),
    ]  # fmt: skip
    assert report.parts[1].watts == pytest.approx(9.3, abs=0.01)  # nothing is used there: its class's idle power
    found = findings(report, energy, 20.0, emulated=False)
    told = [f"{finding.status} {finding.text}" for finding in found]
    assert any(line.startswith("WARN energy is read at different levels (root: package; bare: board)") for line in told)
    assert any(line.startswith("WARN the total is modelled, because bare is") for line in told)
    assert any(line.startswith("WARN root and bare are one machine") for line in told)
    assert any(line.startswith("WARN the network switch is in no total") for line in told)
    assert doctor_verb.exit_code(found) == 0


def test_energy_none_is_only_a_warning(doctor: Doctor) -> None:
    begin = time.monotonic()
    code, told, _ = doctor("energy=none")
    assert code == 0
    assert lines(told, "WARN  energy=none: nothing is measured; use energy=auto for joules")
    assert time.monotonic() - begin < 30
