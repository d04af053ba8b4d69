"""The way of a user on this machine: profile, plan, simulate, run what was planned, and its record says what was predicted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.planner import __main__ as planner
from bench.prediction.cluster_profile import Profile
from bench.record.record_file import load_record
from tests.command_line import environment

pytestmark = pytest.mark.machine

WORDS = ("model=gpt2-tiny", "task=lm", "train.batch=8", "train.seq=16", "energy=modelled")


def python(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *words], cwd=folder, env=environment(), capture_output=True, text=True, timeout=240
    )


@pytest.fixture(scope="module")
def profiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the profile of this machine's two slots."""
    folder = tmp_path_factory.mktemp("planner")
    done = python(folder, "bench.planner", "profile", *WORDS, "planner.seconds=0.02")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "profiles/local-gpt2-tiny-lm-16.json; it is read by: python -m bench.planner plan ..." in done.stdout
    return folder


def test_what_was_measured(profiled: Path) -> None:
    profile = Profile.from_dict(json.loads((profiled / "profiles/local-gpt2-tiny-lm-16.json").read_text()))
    (host,) = profile.hosts
    assert (host.host, host.slots, profile.ranks) == ("localhost", 2, 2)
    assert {(curve.part, curve.tensor) for curve in host.curves} == {(p, t) for p in ("embed", "block", "head") for t in (1, 2)}
    block = next(curve for curve in host.curves if (curve.part, curve.tensor) == ("block", 1))
    assert block.samples == (1, 2, 4, 8)
    assert all(seconds > 0 for curve in host.curves for seconds in (*curve.forward_s, *curve.backward_s))
    assert 0 < host.busy_cores <= host.cores
    assert host.waiting_cores["spin"] > 5 * host.waiting_cores["poll"] > 0
    assert host.watts["busy_W"] > host.watts["idle_W"] > 0
    assert {(link.one, link.other) for link in profile.links} == {("localhost", "localhost")}
    assert set(profile.all_reduce) == {"mpi", "ring", "recursive_doubling"}


def test_plan_and_simulate(profiled: Path) -> None:
    done = python(profiled, "bench.planner", "plan", *WORDS, "planner.top=3", "planner.objective=edp")
    assert done.returncode == 0, done.stderr
    assert "ways by edp: modelled from profiles/local-gpt2-tiny-lm-16.json" in done.stdout
    lines = [line for line in done.stdout.splitlines() if ": python -m bench strategy=" in line]
    assert len(lines) == 3
    done = python(profiled, "bench.planner", "simulate", *WORDS, "strategy=pipeline")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("pipeline on pipeline 2 x data 1 x sequence 1 x tensor 1: modelled from profiles/local-")
    assert " a step, " in done.stdout
    assert " J/sample, " in done.stdout


def test_a_point_under_planned_shares(profiled: Path) -> None:
    planned = ("planner.profile=auto", "planner.split=planned", "strategy=pipeline", "smoke=true", "idle_s=0", "window_s=0.5")
    done = python(profiled, "bench", *WORDS, *planned, "study=planned", "dry_run=true")
    assert done.returncode == 0, done.stderr
    (told,) = [line for line in done.stdout.splitlines() if line.startswith("Predicted from ")]
    assert told.startswith("Predicted from local-gpt2-tiny-lm-16.json: ")
    assert told.endswith(" J/sample (modelled)")
    done = python(profiled, "bench", *WORDS, *planned, "study=planned")
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = profiled.glob("results/planned/*/result.json")
    record = load_record(path).to_dict()
    assert sum(record["point"]["options"]["stages"]) == 4
    predicted = record["plan"]["predicted"]
    assert predicted["split"] == "planned"
    assert predicted["profile"]["file"] == "local-gpt2-tiny-lm-16.json"
    assert predicted["step_J"] == pytest.approx(sum(predicted["joules_by_host"].values()))
    for rank in predicted["ranks"]:
        assert rank["compute_s"] + rank["exchange_s"] + rank["wait_s"] == pytest.approx(predicted["step_s"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["plann"], "error: unknown verb plann; known are profile, plan, simulate; did you mean plan?"),
        (
            ["plan", "planner.objective=tme"],
            "error: planner.objective=tme is unknown; use time, energy or edp; did you mean time?",
        ),
        (["plan", "planner.deadline_s=0"], "error: planner.deadline_s=0 must be a positive number of seconds"),
        (["profile", "planner.seconds=null"], "error: planner.seconds=None must be a positive number of seconds"),
        (["plan", "planner.top=0"], "error: planner.top=0 must be a whole number of at least 1"),
        (["plan", "cluster=locl"], "error: unknown cluster locl; known are "),
        (["simulate", "planner.profle=x"], "error: unknown key planner.profle; did you mean planner.profile?"),
        (
            ["plan"],
            "error: planner.profile=profiles/local-gpt2-tiny-lm-64.json cannot be read (No such file or directory); make one: "
            "python -m bench.planner profile",
        ),
    ],
)
def test_bad_input_is_one_line(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert planner.main([*words, "model=gpt2-tiny", "task=lm"]) == 2
    told = capsys.readouterr().err
    assert told.startswith(message)
    assert told.count("\n") == 1
