"""Power modes of several hosts under a real mpirun, and of whole points with the real worker."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir

from bench.common import paths
from bench.config.host_config import Host
from bench.launch.mpirun import Job, find_mpirun, launcher_for
from bench.launch.supervised_process import RUN_ID, run, survivors
from bench.point import hydra_compose, resolved_point
from bench.record.record_file import load_record
from tests import mpirun
from tests.bench.power_modes.machine_trees import OURS, POLICY, SLOW_PI, board, governor, machine, snapshot
from tests.command_line import environment
from tests.project import ROOT

pytestmark = pytest.mark.machine

PATIENCE_S = 60.0


def test_hosts_are_set_together_and_put_back_together(tmp_path: Path) -> None:
    for number in range(2):
        root = machine("raspberry-pi-4", tmp_path / f"board{number}")
    (root / POLICY.format(0) / "scaling_available_frequencies").write_text("600000 1000000\n")
    done = mpirun.run(2, "tests.bench.power_modes.ranks_as_hosts", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines() == [
        f"{case} passed" for case in ("two_hosts", "one_refuses", "lowest_rank_owns", "emulated")
    ]


@pytest.fixture
def pi(tmp_path: Path) -> Path:
    return machine("raspberry-pi-4", tmp_path / "root")


def point(root: Path, folder: Path, *overrides: str, power_mode: str | None = "slow") -> Path:
    """The configuration of a small point on two ranks whose machine lies under ``root``, as the worker reads it."""
    hydra_compose.register()
    words = ["model=gpt2-tiny", "task=synthetic", "energy=none", "smoke=true", "strategy=data", *overrides]
    with initialize_config_dir(str(paths.CONF), version_base="1.3"):
        plain = hydra_compose.to_plain(compose("config", overrides=[*words, "train.batch=8", "train.seq=16"]))
    found = resolved_point.resolve(plain, None, folder).to_json()
    name = found["cluster"]["hosts"][0]["board"]
    found["boards"][name] = board({"slow": SLOW_PI, "default": {"governor": "ondemand"}}, name).to_dict()
    found["energy"]["root"] = str(root)
    found["board"]["power_mode"] = power_mode
    Path(found["paths"]["point"]).mkdir(parents=True)
    path = folder / "config.json"
    path.write_text(json.dumps(found))
    return path


def record(path: Path) -> dict[str, Any]:
    """The record of a point as it was written, and as the schema has it."""
    result = Path(json.loads(path.read_text())["paths"]["point"]) / "result.json"
    load_record(result)
    found: dict[str, Any] = json.loads(result.read_text())
    return found


def test_a_point_runs_in_its_mode_and_leaves_the_machine_as_it_was(pi: Path, tmp_path: Path) -> None:
    before, path = snapshot(pi), point(pi, tmp_path / "results")
    done = mpirun.run(2, "bench.run.worker", str(path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert snapshot(pi) == before
    assert list((pi / OURS).glob("*.json")) == []
    found = record(path)
    assert found["status"] == "ok", found["reason"]
    assert found["point"]["power_mode"] == "slow"
    (host,) = found["environment"]["hosts"]
    for end in ("before", "after"):
        assert host[end]["cpufreq"] == [
            {
                "policy": "policy0",
                "governor": "powersave",
                "current_Hz": 600_000_000,
                "min_Hz": 600_000_000,
                "max_Hz": 600_000_000,
            }
        ]
    assert host["mode"]["set"][0] == {"control": "governor", "value": "powersave", "before": {"policy0": "ondemand"}}
    assert (host["mode"]["restored"], host["mode"]["problem"]) == (True, None)
    checks = {check["name"]: check["status"] for check in found["checks"]}
    assert {checks[name] for name in ("no throttling", "power mode held", "power mode restored", "frequency held")} == {
        "passed"
    }


@pytest.mark.parametrize("how", ["killed", "aborts"])
def test_a_rank_ends_and_the_machine_is_put_back(how: str, pi: Path, tmp_path: Path) -> None:
    """In the middle of the run the rank that owns the guard is killed, or another one aborts; mpirun ends the job."""
    before, path = snapshot(pi), point(pi, tmp_path / "results", "window_s=60", "smoke=false")
    done = mpirun.run(2, "tests.bench.power_modes.dying_worker", str(path), str(pi), how)
    assert done.returncode != 0
    assert f"{how} in powersave" in done.stdout
    eventually_restored(pi, before)


def test_a_job_that_takes_too_long_is_swept_and_the_machine_is_put_back(pi: Path, tmp_path: Path) -> None:
    """Our own clean-up kills whatever carries the run's id; the guard does not, and restores."""
    before, path = snapshot(pi), point(pi, tmp_path / "results", "window_s=600", "smoke=false")
    launcher, here = launcher_for(find_mpirun()), [Host("localhost", 2)]
    hostfile = tmp_path / "hostfile"
    hostfile.write_text(launcher.hostfile(here))
    variables = environment(**{RUN_ID: "power-test"})
    job = Job(2, here, hostfile, "bench.run.worker", [str(path)], {RUN_ID: "power-test"}, root=os.geteuid() == 0)
    modes = subprocess.Popen([sys.executable, "-c", WATCH, str(pi)], stdout=subprocess.PIPE, text=True)
    outcome = run(launcher.command(job), tmp_path / "log", 20.0, "power-test", ROOT, variables)
    assert outcome.status == "timeout", outcome.log_tail
    assert survivors("power-test") == []
    eventually_restored(pi, before)
    seen, _ = modes.communicate(timeout=PATIENCE_S)
    assert seen.split() == ["ondemand", "powersave", "ondemand"]


WATCH = f"""
import sys, time
from pathlib import Path
path, seen, deadline = Path(sys.argv[1]) / "{POLICY.format(0)}/scaling_governor", [], time.monotonic() + 60
while len(seen) < 3 and time.monotonic() < deadline:
    now = path.read_text().strip()
    if now and now != (seen or [""])[-1]:
        seen.append(now)
        print(now, flush=True)
    time.sleep(0.01)
"""


def test_without_a_mode_nothing_is_touched_but_what_a_killed_guard_left(pi: Path, tmp_path: Path) -> None:
    before = snapshot(pi)
    first = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(pi)], env=environment(), cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    said, _ = first.communicate(timeout=PATIENCE_S)
    assert (said, governor(pi)) == ("killed\n", "powersave")
    path = point(pi, tmp_path / "results", power_mode=None)
    done = mpirun.run(2, "bench.run.worker", str(path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "power mode of localhost: the guard of an earlier run was killed in power mode slow" in done.stderr
    assert snapshot(pi) == before
    found = record(path)
    (host,) = found["environment"]["hosts"]
    assert host["before"]["cpufreq"][0]["governor"] == "ondemand"
    assert host["mode"]["power_mode"] is None
    assert "restored before this run: governor, max_frequency_Hz" in host["mode"]["recovered"]


KILLED = f"""
import os, signal, sys
from bench.power_modes.guard import Guard
own = Guard("slow", {SLOW_PI}, sys.argv[1], "pi")
own.start()
os.kill(own.pid, signal.SIGKILL)
own.release()
print("killed")
"""


def eventually_restored(root: Path, before: dict[str, str]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while snapshot(root) != before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert snapshot(root) == before
    while (root / OURS / "power.json").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not (root / OURS / "power.json").exists()
