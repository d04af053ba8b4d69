"""``python -m bench.calibrate sensor``: the load, what is refused, and a calibration of a live board with a live plug."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from bench.calibrate import calibrate_command
from bench.cluster.board_class import BoardClass
from bench.energy.calibration.load_generator import Load, shares
from bench.energy.calibration.side_by_side import Protocol
from bench.energy.sampling.energy_settings import energy_settings
from bench.energy.sampling.host_identity import HostIdentity
from bench.energy.sampling.sampler import Sampler
from bench.joules.energy_curve import curve_of
from bench.joules.integration import energy
from tests.bench.energy.live_rapl import LiveRapl, Workers
from tests.command_line import environment
from tests.project import ROOT

pytestmark = pytest.mark.machine


def test_shares_of_cores() -> None:
    assert shares(0, 4) == []
    assert shares(1, 4) == [1, 1, 1, 1]
    assert shares(0.5, 4) == [1, 1]
    assert shares(0.25, 1) == [0.25]
    assert shares(0.6, 4) == pytest.approx([1, 1, 0.4])


def test_a_load_is_real_and_ends() -> None:
    """A quarter of the cores, in processor time of its workers, and nothing of it is left."""
    cores = len(os.sched_getaffinity(0))
    with Load(0.25 / cores):
        (worker,) = psutil.Process().children()
        before, begin = sum(worker.cpu_times()[:2]), time.monotonic()
        time.sleep(1.5)
        share = (sum(worker.cpu_times()[:2]) - before) / (time.monotonic() - begin)
    assert 0.02 < share < 0.5  # other processes may have the core
    assert not worker.is_running()


def test_a_load_ends_with_its_parent() -> None:
    line = (
        "import time; from bench.energy.calibration.load_generator import Load\n"
        "with Load(0.5): print('on', flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", line], stdout=subprocess.PIPE, cwd=ROOT)
    assert parent.stdout is not None
    assert parent.stdout.readline() == b"on\n"
    workers = psutil.Process(parent.pid).children()
    assert workers
    parent.kill()
    parent.wait()
    parent.stdout.close()
    gone, alive = psutil.wait_procs(workers, timeout=10)
    assert not alive
    assert len(gone) == len(workers)


def test_rounds_go_there_and_back() -> None:
    assert Protocol((1, 0, 0.5), 2, 60, 10).order() == [(0, 0), (0, 0.5), (0, 1), (1, 1), (1, 0.5), (1, 0)]


SHELLY = "source: shelly, address: http://127.0.0.1:9"
BAD_LINES = [
    ("model", "give --meter (a meter in front of this board) or --source (a sensor of it), one of the two"),
    ("model --source rapl --meter SHELLY", "give --meter (a meter in front of this board) or --source"),
    ("model --source modelled", "--source modelled is no sensor of this board; name one, such as jetson or rapl"),
    ("model --source rappl", "unknown energy.source rappl"),
    ("model --source rapl --rounds 0", "--seconds must be above 0, --settle at least 0 and --rounds at least 1"),
    ("model --source rapl --board pi", "unknown board pi; known are"),
    (
        "sensor --source rapl",
        "the following arguments are required: --meter; see python -m bench.calibrate sensor --help",
    ),
    ("sensor --source rappl --meter x", "unknown energy.source rappl; known are"),
    ("sensor --source shelly --meter x", "energy.source=shelly is a meter"),
    ("sensor --source auto --meter x", "--source auto is no sensor of this board; name one, such as jetson or rapl"),
    ("sensor --source rapl --meter shelly", "--meter 'shelly' is no meter; give it as 'source: shelly, address:"),
    ("sensor --source rapl --meter source:_rapl", "meter reference: rapl is a source of the hosts themselves"),
    ("sensor --source rapl --meter source:_shelly", "meter reference has no address"),
    ("sensor --source rapl --meter x --loads 0,1", "--loads 0,1 must be idle (0) and two loads at least, such as 0,0.5,1"),
    ("sensor --source rapl --meter x --loads 0,1,2", "--loads 0,1,2 must be fractions of the cores between 0 (idle) and 1"),
    ("sensor --source rapl --meter x --loads all", "--loads all must be numbers with commas, such as 0,0.5,1"),
    ("sensor --source rapl --meter x --rounds 0", "--rounds 0 must be at least 1"),
    ("sensor --source rapl --meter x --seconds 0", "--seconds 0 and --settle 10 must be positive numbers of seconds"),
    ("sensor --source rapl --meter SHELLY --board pi", "unknown board pi; known are"),
    ("sensor --source rapl --meter SHELLY --root /nowhere", "energy=rapl cannot be read: /nowhere/sys/class/powercap does not"),
    ("sensor --source modelled --meter SHELLY", "meter reference (shelly at http://127.0.0.1:9) cannot be read"),
    ("weigh", "argument sensor|model|waiting: invalid choice: 'weigh'"),
]


@pytest.mark.parametrize(("line", "said"), BAD_LINES, ids=[line for line, _ in BAD_LINES])
def test_one_line_for_what_cannot_be_calibrated(
    line: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [{"SHELLY": SHELLY}.get(word, word).replace("_", " ") for word in line.split()]
    assert calibrate_command.main([*words, *(["--out", str(tmp_path / "out")] if len(words) > 1 else [])]) == 2
    told = capsys.readouterr()
    assert told.err.startswith(f"error: {said}")
    assert told.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_the_command_line_finds_gain_and_offset_and_a_run_applies_them(tmp_path: Path) -> None:
    """A board of 20 W and 15 W more for each busy core, a plug that reads 1.12 times as much and 3.5 W more."""
    gain, offset_W, watts = 1.12, 3.5, Workers(20.0, 15.0)
    with LiveRapl(tmp_path / "root", watts) as board:
        plug = board.plug(gain, offset_W)
        command = [
            *(sys.executable, "-m", "bench.calibrate", "sensor", "--source", "rapl", "--host", "board1"),
            *("--meter", f"source: shelly, address: '{plug.url}', accuracy: 0.001", "--root", str(tmp_path / "root")),
            *("--out", "calibration", "--loads", "0,0.25,0.5", "--rounds", "2", "--seconds", "6", "--settle", "1.5"),
        ]
        done = subprocess.Popen(
            command, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        watts.of = psutil.Process(done.pid)
        told, complained = done.communicate(timeout=120)
        plug.dies()
        assert done.returncode == 0, complained

        path = tmp_path / "calibration/board1-rapl.json"
        written = json.loads(path.read_text())
        # The plug counts in steps of 3.6 J, 0.6 W in 6 s, and says that it is a second old, which it is not.
        assert written["gain"] == pytest.approx(gain, rel=0.05)
        assert written["offset_W"] == pytest.approx(offset_W, abs=1.0)
        assert written["gain_interval"][0] < gain < written["gain_interval"][1]
        assert written["offset_interval_W"][0] < offset_W < written["offset_interval_W"][1]
        assert written["meter"]["address"] == plug.url
        assert [(row["round"], row["load"]) for row in written["loads"]] == [
            (0, 0), (0, 0.25), (0, 0.5), (1, 0.5), (1, 0.25), (1, 0),
        ]  # fmt: skip
        assert "meter (shelly) needs 60 s for 1 % and 60 readings" in told
        assert "the sensor as read is not within 5 % of the meter" in told
        assert re.search(r"\n  load +round +sensor, W +meter, W +corrected, W +off, W\n  idle +1 +(20\.\d|19\.9)\d+ ± ", told)
        assert f"{Path('calibration/board1-rapl.json')}; use it with: python -m bench energy.calibration=calibration" in told
        assert "round 2, idle" in complained

        # As a run does: the settings read the file, the sampler gives it to the trace, the joules are corrected.
        asked: dict[str, Any] = {
            "source": "rapl", "period_s": 0.02, "root": str(tmp_path / "root"), "meters": {}, "others": {},
            "calibration": str(tmp_path / "calibration"), "carbon": {},
        }  # fmt: skip
        settings = energy_settings(asked, ["board1"], Path("hosts"))
        sampler = Sampler(["rapl"], BoardClass("x"), str(tmp_path / "root"), 0.02)
        sampler.start()
        time.sleep(1.0)
        (trace,) = sampler.stop(HostIdentity("h", "boot", "x", "board1"), {}, settings.calibration["board1"])
    found = curve_of(trace, lambda ns: ns / 1e9)
    begin, end = float(found.t_s[0]) + 0.1, float(found.t_s[-1]) - 0.1
    read = energy(found, begin, end)
    assert read.joules / (end - begin) == pytest.approx(gain * 20.0 + offset_W, rel=0.02)
    assert read.systematic_J > 0
