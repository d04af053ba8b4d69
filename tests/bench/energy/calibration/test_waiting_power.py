"""What waiting costs: the real ranks and the real waiting code, with power modelled from processor time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from bench.calibrate import calibrate_command
from bench.cluster.board_files import load_board
from bench.common.paths import CONF
from bench.common.student_t import NORMAL
from bench.common.user_error import UserError
from bench.energy.calibration.waiting_power import Order, result, table
from bench.energy.calibration.waiting_ranks import State, order_of, states
from bench.energy.calibration.waiting_readings import WaitingReadings
from bench.energy.sampling.energy_settings import EnergySettings
from tests.bench.energy.live_rapl import LiveRapl, Ranks
from tests.command_line import environment

pytestmark = pytest.mark.machine

BOARD = load_board("x86-mini-pc", CONF / "board")
ORDER = Order(3, 20.0, 2, EnergySettings("auto"), BOARD, "board1")


def segment(state: str, how: str | None, number: int, watts: float, **more: Any) -> dict[str, Any]:
    ranks = {"idle": 0, "one": 1, "all but one": 2}[state]
    values = {"random_u_W": 0.0, "systematic": 0.0, "quality": "good", "cores": 0.9, "cores_wanted": 0.9}
    return {"state": state, "wait": how, "ranks": ranks, "round": number, "watts": watts, **values, **more}


def found(*segments: dict[str, Any]) -> dict[str, Any]:
    about = {"kind": "measured", "source": "rapl", "levels": ["package"], "not_measured": []}
    return result(ORDER, WaitingReadings.from_dict({**about, "segments": segments}), date(2026, 1, 2))


def test_two_ranks_have_one_group_that_waits() -> None:
    assert states(2) == [State("idle", None, ()), State("one", "spin", (0,)), State("one", "poll", (0,))]
    assert [state.waiting for state in states(4)] == [(), (0,), (0,), (0, 1, 2), (0, 1, 2)]
    order = order_of(2, 2)
    assert order[3:] == [(1, state) for _, state in order[2::-1]]


def test_watts_above_idle_by_hand() -> None:
    """Idle drifts by 1 W from round to round and cancels; two ranks that wait draw 3 W and 3.4 W each above it."""
    whole = found(
        segment("idle", None, 0, 5.0), segment("one", "spin", 0, 8.0), segment("all but one", "spin", 0, 11.0),
        segment("idle", None, 1, 6.0), segment("one", "spin", 1, 9.2), segment("all but one", "spin", 1, 12.8),
    )  # fmt: skip
    one, several = whole["waiting"]
    assert (one["state"], one["ranks"], several["state"], several["ranks"]) == ("one", 1, "all but one", 2)
    assert one["watts_per_rank"] == pytest.approx(3.1)
    assert several["watts_per_rank"] == pytest.approx(3.2)
    half = 12.7062 * 0.4 / 2  # t(1) s / sqrt(2), and s of 3.0 and 3.4 is 0.4 / sqrt(2)
    assert several["interval_W"] == pytest.approx([3.2 - half, 3.2 + half], abs=1e-4)
    assert whole["idle"]["watts"] == 5.5
    assert table(whole)[1] == ["spin", "all but one", "2", "3.200", f"{3.2 - half:.3f} to {3.2 + half:.3f}", "0.900"]


def test_what_is_known_of_the_sensor_is_in_the_interval() -> None:
    """Two equal rounds: 0.3 W each way over the root of two, for both powers; and 2 % of the difference."""
    u = {"random_u_W": 0.3, "systematic": 0.02}
    rows = [[segment("idle", None, n, 5.0, **u), segment("one", "spin", n, 8.0, **u)] for n in (0, 1)]
    (one,) = found(*(row for pair in rows for row in pair))["waiting"]
    assert (one["interval_W"][1] - one["watts_per_rank"]) == pytest.approx(NORMAL * (0.3**2 + 0.06**2) ** 0.5)


def test_bad_segments_and_a_busy_machine_are_told() -> None:
    rows = [segment("idle", None, n, 5.0) for n in range(3)] + [segment("one", "poll", n, 5.1) for n in range(3)]
    rows[4] = segment("one", "poll", 1, 50.0, quality="gap")
    rows[5] = segment("one", "poll", 2, 5.1, cores=0.5, cores_wanted=0.9)
    whole = found(*rows)
    assert whole["waiting"][0]["watts_per_rank"] == pytest.approx(0.1)
    assert whole["waiting"][0]["rounds"] == 2
    assert whole["warnings"] == ["round 2, one rank waits (poll) is left out: gap"]
    assert whole["status"] == "invalid"
    assert whole["reason"].startswith("a rank stood in line for a core for 40 % of the time")
    assert found(*rows[:4], segment("one", "poll", 1, 5.1))["status"] == "ok"
    with pytest.raises(UserError, match=r"fewer than 2 rounds have good readings \(gap\)"):
        found(*({**row, "quality": "gap"} for row in rows))


def test_orders_that_cannot_be() -> None:
    cores = len(os.sched_getaffinity(0))
    for wrong, said in (
        ({"ranks": 1}, f"--ranks 1 must be between 2 and {cores + 1}: one sleeps"),
        ({"ranks": cores + 2}, f"--ranks {cores + 2} must be between 2 and {cores + 1}"),
        ({"ranks": 2, "seconds": 0.0}, "--seconds 0 must be a positive number"),
        ({"ranks": 2, "rounds": 1}, "--rounds 1 must be at least 2: an interval needs more than one value"),
    ):
        with pytest.raises(UserError) as error:
            replace(ORDER, **wrong).check()
        assert str(error.value).startswith(said)


BAD_LINES = [
    ("--source none", "--source none reads nothing; use auto, or name a source"),
    ("--source shelly", "energy.source=shelly is a meter"),
    ("--source rapl,auto", "energy.source=auto stands alone"),
    ("--source rapl --root /nowhere", "localhost: energy=rapl cannot be read: /nowhere/sys/class/powercap does not exist"),
    (
        "--ranks two",
        "argument --ranks: invalid int value: 'two'; see python -m bench.calibrate waiting --help",
    ),
    ("--mpirun /no/mpirun", "mpirun is missing (/no/mpirun); install it"),
    ("--calibration /nowhere", "energy.calibration=/nowhere holds no calibration"),
]


@pytest.mark.parametrize(("line", "said"), BAD_LINES, ids=[line for line, _ in BAD_LINES])
def test_one_line_for_what_cannot_be_measured(
    line: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMPI_ALLOW_RUN_AS_ROOT", "1")
    monkeypatch.setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
    assert calibrate_command.main(["waiting", "--seconds", "0.2", "--out", str(tmp_path / "w.json"), *line.split()]) == 2
    told = capsys.readouterr().err.splitlines()
    assert told[-1].startswith(f"error: {said}")
    assert [row for row in told if "error" in row] == told[-1:]
    assert not (tmp_path / "w.json").exists()


def test_spinning_takes_a_core_and_polling_hardly_any(tmp_path: Path) -> None:
    """On the real ranks. ``cores_wanted`` has the time in line for a core too, so that other load on this machine does not
    matter; the watts of a machine that does nothing else follow from it."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.calibrate", "waiting", "--seconds", "1.5", "--rounds", "2", "--source", "modelled"],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=180,
    )  # fmt: skip
    written = json.loads((tmp_path / "results/waiting.json").read_text())
    assert done.returncode == (written["status"] != "ok"), done.stderr  # this machine may be busy
    assert (written["schema"], written["kind"], written["ranks"]) == ("edgejoule.waiting/1", "modelled", 2)
    rows = {row["wait"]: row for row in written["waiting"]}
    assert rows["spin"]["cores_wanted"] > 0.9
    assert rows["spin"]["cores"] > 0.2
    assert rows["poll"]["cores_wanted"] < 0.3
    assert rows["spin"]["cores"] > 3 * rows["poll"]["cores"]
    assert [(s["round"], s["state"], s["wait"]) for s in written["segments"]] == [
        (0, "idle", None), (0, "one", "spin"), (0, "one", "poll"), (1, "one", "poll"), (1, "one", "spin"), (1, "idle", None),
    ]  # fmt: skip
    assert all(s["cores"] < 0.3 for s in written["segments"] if s["state"] == "idle")
    assert "W above idle, one rank" in done.stdout
    assert "warning: modelled from CPU utilisation, not measured" in done.stdout
    assert "results/waiting.json\n" in done.stdout


def test_measured_watts_of_waiting_follow_the_processor_time(tmp_path: Path) -> None:
    """A board whose counter really advances, with the cores that the ranks take: 10 W and 8 W for each busy core."""
    ranks = Ranks(10.0, 8.0)
    with LiveRapl(tmp_path / "root", ranks):
        done = subprocess.Popen(
            [
                *(sys.executable, "-m", "bench.calibrate", "waiting", "--seconds", "1.5", "--rounds", "2"),
                *("--source", "rapl", "--root", str(tmp_path / "root"), "--out", "w.json"),
            ],
            cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        ranks.of = done.pid
        told, complained = done.communicate(timeout=180)
    written = json.loads((tmp_path / "w.json").read_text())
    assert done.returncode == (written["status"] != "ok"), complained
    rows = {row["wait"]: row for row in written["waiting"]}
    assert (written["kind"], written["source"], written["levels"]) == ("measured", "rapl", ["package"])
    for how in ("spin", "poll"):
        assert rows[how]["watts_per_rank"] == pytest.approx(8.0 * rows[how]["cores"], abs=1.0)
    assert rows["spin"]["watts_per_rank"] > rows["poll"]["watts_per_rank"] + 1.0
    assert "not measured" not in told
