"""The guard as a real process: whatever ends the run, or the guard, the machine is put back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.common.user_error import UserError
from bench.launch.supervised_process import RUN_ID, survivors
from bench.power_modes.guard import Guard
from bench.power_modes.journal import FILE, Journal
from bench.power_modes.machine_files import Machine
from tests.bench.power_modes.machine_trees import OURS, POLICY, SEVEN_W, SLOW_PI, governor, machine, read, snapshot
from tests.command_line import environment

pytestmark = pytest.mark.machine

JETSON, PI = "jetson-orin-nano", "raspberry-pi-4"
PATIENCE_S = 30.0


@pytest.fixture
def jetson(tmp_path: Path) -> Path:
    return machine(JETSON, tmp_path / "jetson")


@pytest.fixture
def pi(tmp_path: Path) -> Path:
    return machine(PI, tmp_path / "pi")


def guard(root: Path, mode: dict[str, object], name: str = "7W") -> Guard:
    return Guard(name, mode, str(root), root.name)


def journal(root: Path) -> Path:
    return root / OURS / FILE


def eventually(what: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE_S
    while not what() and time.monotonic() < deadline:
        time.sleep(0.02)
    return what()


def started(root: Path, mode: dict[str, object]) -> tuple[Guard, int]:
    """A guard that keeps ``mode``, and its process."""
    own = guard(root, mode)
    own.start()
    assert own.pid is not None
    return own, own.pid


def test_a_mode_is_set_for_the_run_and_everything_is_put_back(jetson: Path) -> None:
    """Also what nvpmodel takes away for a while: the second cluster is off under 7W, and its limits were a person's own."""
    (jetson / POLICY.format(4) / "scaling_max_freq").write_text("1190400\n")
    before = snapshot(jetson)
    own = guard(jetson, SEVEN_W)
    answer = own.start()
    assert [(step["control"], step["value"]) for step in answer["set"]] == [
        ("nvpmodel", 1), ("governor", "performance"), ("jetson_clocks", True),
    ]  # fmt: skip
    assert answer["set"][0]["before"] == {"id": 0, "name": "15W"}
    assert answer["recovered"] is None
    assert not (jetson / POLICY.format(4)).exists()
    assert (governor(jetson), read(jetson, 0, "scaling_min_freq"), read(jetson, 0, "scaling_max_freq")) == (
        "performance", "960000", "960000",
    )  # fmt: skip
    kept = json.loads(journal(jetson).read_text())
    assert kept["states"]["max_frequency_Hz"]["policy4"] == {"min": 729600, "max": 1190400}
    assert own.release() == {"restored": True, "problem": None}
    assert snapshot(jetson) == before
    assert not journal(jetson).exists()
    assert own.release() is None


def test_it_is_out_of_reach_of_every_clean_up(pi: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither in the session of the rank nor found by the run's id, nor does it carry what mpirun told the rank."""
    monkeypatch.setenv(RUN_ID, "a-run-of-this-test")
    monkeypatch.setenv("PMIX_RANK", "0")
    own, pid = started(pi, SLOW_PI)
    assert survivors("a-run-of-this-test") == []
    assert os.getsid(pid) == pid
    assert b"PMIX_RANK" not in Path(f"/proc/{pid}/environ").read_bytes()
    own.release()


PARENT = """
import sys, time
from bench.power_modes.guard import Guard
own = Guard("slow", {mode}, sys.argv[1], "pi")
own.start()
print(own.pid, flush=True)
time.sleep(600)
"""


def test_the_parent_is_killed(pi: Path) -> None:
    before = snapshot(pi)
    line = [sys.executable, "-c", PARENT.format(mode=SLOW_PI), str(pi)]
    with subprocess.Popen(line, stdout=subprocess.PIPE, env=environment(), text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert governor(pi) == "powersave"
        parent.kill()
    assert eventually(lambda: not Path(f"/proc/{pid}").exists())
    assert snapshot(pi) == before
    assert not journal(pi).exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_to_the_guard_restores(pi: Path, number: signal.Signals) -> None:
    before = snapshot(pi)
    own, pid = started(pi, SLOW_PI)
    os.kill(pid, number)
    assert eventually(lambda: snapshot(pi) == before)
    assert own.release() == {"restored": True, "problem": None}


def test_the_guard_is_killed_and_the_next_one_restores_first(jetson: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = snapshot(jetson)
    own, pid = started(jetson, SEVEN_W)
    os.kill(pid, signal.SIGKILL)
    assert own.release() == {"restored": False, "problem": "the guard was killed; the next run restores"}
    assert governor(jetson) == "performance"
    after = guard(jetson, {"governor": "powersave"}, "quiet")
    answer = after.start()
    said = (
        "the guard of an earlier run was killed in power mode 7W; restored before this run: "
        "nvpmodel, max_frequency_Hz, governor, jetson_clocks"
    )
    assert answer["recovered"] == said
    assert f"power mode of jetson: {said}" in capfd.readouterr().err
    assert answer["set"][0]["before"] == {"policy0": "schedutil", "policy4": "schedutil"}
    after.release()
    assert snapshot(jetson) == before
    assert not journal(jetson).exists()


def test_after_a_reboot_only_what_outlives_one_is_restored(jetson: Path) -> None:
    """The board broke down under its mode and came back: nvpmodel still has it, clocks and governor are new."""
    own, pid = started(jetson, SEVEN_W)
    os.kill(pid, signal.SIGKILL)
    own.release()
    (jetson / "proc/sys/kernel/random/boot_id").write_text("another\n")
    (jetson / POLICY.format(0) / "scaling_governor").write_text("ondemand\n")
    recovering = guard(jetson, {}, "as it was")
    assert (recovering.start()["recovered"] or "").endswith("restored before this run: nvpmodel")
    recovering.release()
    assert (jetson / "var/lib/nvpmodel/status").read_text() == "pmode:0000\n"
    assert governor(jetson) == "ondemand"


def test_a_mode_that_does_not_hold_is_refused_with_everything_put_back(jetson: Path) -> None:
    """The governor was set before nvpmodel's id turned out not to hold."""
    before = snapshot(jetson)
    with pytest.raises(UserError, match=r"nvpmodel -m 3 did not hold: nvpmodel -q says 15W \(0\)"):
        guard(jetson, {"nvpmodel": 3, "governor": "performance"}).start()
    assert snapshot(jetson) == before
    with pytest.raises(UserError, match="governor turbo is not available on policy0"):
        guard(jetson, {"nvpmodel": 1, "governor": "turbo"}).start()
    assert snapshot(jetson) == before
    assert not journal(jetson).exists()


def test_nothing_is_touched_where_a_state_cannot_be_saved(pi: Path) -> None:
    before = snapshot(pi)
    with pytest.raises(UserError, match="has no package zone"):
        guard(pi, {**SLOW_PI, "rapl_limit_W": 5.0}).start()
    assert snapshot(pi) == before


def test_what_cannot_be_restored_is_named_and_left_to_the_next(pi: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = snapshot(pi)
    own, _ = started(pi, SLOW_PI)
    path = pi / POLICY.format(0) / "scaling_governor"
    path.unlink()
    path.mkdir()  # writing to it fails, for root too
    end = own.release() or {}
    todo = f"set back by hand as root: echo ondemand > {path}"
    assert end == {"restored": False, "problem": f"not restored, {todo}"}
    assert f"power mode of pi was not restored; {todo}\n" in capfd.readouterr().err
    assert read(pi, 0, "scaling_max_freq") == "1500000"
    with pytest.raises(UserError) as caught:
        guard(pi, SLOW_PI).start()
    assert str(caught.value) == (
        "the guard of an earlier run was killed in power mode 7W, and what it left cannot be restored; as root: "
        f"echo ondemand > {path}; rm {journal(pi)}"
    )
    path.rmdir()
    path.write_text("powersave\n")
    last = guard(pi, {}, "as it was")
    last.start()
    last.release()
    assert snapshot(pi) == before


def test_one_guard_a_host(pi: Path) -> None:
    """A second run on the host is refused while one keeps its mode, and waits for one that is just restoring."""
    own, pid = started(pi, SLOW_PI)
    held = Journal(pi / OURS)
    with (
        pytest.raises(UserError, match=rf"another run keeps the power mode of this host \(guard process {pid}\)"),
        held.held(0.3),
    ):
        pytest.fail("both hold it")
    release = subprocess.Popen(["sh", "-c", f"sleep 0.5; kill {pid}"])
    with held.held(PATIENCE_S):
        assert governor(pi) == "ondemand"
    release.wait()
    own.release()


def test_a_journal_needs_a_folder_that_is_ours(pi: Path) -> None:
    before = snapshot(pi)
    (pi / "var/lib").write_text("in the way\n")
    with pytest.raises(
        UserError, match=r"edgejoule cannot be written \(Not a directory\), where the state to put back is kept"
    ):
        guard(pi, SLOW_PI).start()
    (pi / "var/lib").unlink()
    assert snapshot(pi) == before


def test_a_damaged_journal_is_never_overwritten(pi: Path) -> None:
    path = journal(pi)
    path.parent.mkdir(parents=True)
    path.write_text('{"schema": "edgejo')
    with pytest.raises(UserError, match=r"power\.json cannot be read \(.*\); set the power mode back by hand, then remove it"):
        guard(pi, SLOW_PI).start()
    assert path.read_text() == '{"schema": "edgejo'
    assert governor(pi) == "ondemand"


def test_the_journal_is_on_disk_before_anything_is_touched(pi: Path) -> None:
    """The first write of a setting already finds it."""
    found = []

    class Noting(Machine):
        def write(self, path: Path, value: str | int) -> None:
            found.append(journal(pi).exists())
            super().write(path, value)

    from bench.power_modes import mode_choice
    from bench.power_modes.guard import put_back, set_all

    here, kept = Noting(pi), Journal(pi / OURS)
    with kept.held():
        steps = mode_choice.steps(SLOW_PI, here, kept.folder)
        saved = [(control, control.save()) for control, _ in steps]
        kept.write(here, "slow", {control.name: state for control, state in saved})
        assert set_all(steps) is None
        assert put_back(saved) == []
    assert found
    assert all(found)
