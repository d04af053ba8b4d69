"""A rank is really killed, through the command line, and the others go on with the same training."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.launch.supervised_process import survivors
from tests import mpirun
from tests.command_line import environment

pytestmark = pytest.mark.machine

WORDS = (
    *("model=gpt2-tiny", "task=lm", "train.dtype=float64", "train.batch=6", "train.seq=16", "energy=none"),
    *("idle_s=0", "eval_samples=8", "cluster.oversubscribe=true", "warmup.max_steps=3"),
    "smoke=true",  # other work on this machine may bend the times of steps, which are not what is looked at
)
STEPS = 24


def bench(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "bench", *WORDS, *words]
    return subprocess.run(line, cwd=folder, env=environment(), capture_output=True, text=True, timeout=240)


def record_of(folder: Path, study: str) -> dict[str, Any]:
    (path,) = folder.glob(f"results/{study}/*/result.json")
    found: dict[str, Any] = json.loads(path.read_text())
    return found


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> list[float]:
    """The losses of one process, of which nothing fails."""
    folder = tmp_path_factory.mktemp("alone")
    done = bench(folder, "strategy=single", f"train.steps={STEPS}", "study=alone")
    assert done.returncode == 0, done.stdout + done.stderr
    losses: list[float] = record_of(folder, "alone")["learning"]["curve"]["loss"]
    assert len(losses) == STEPS
    return losses


@pytest.mark.parametrize(
    ("rank", "left", "words"),
    [
        (2, (1, 2, 1, 1), ("strategy=data", "strategy.zero=1")),  # all-reduce on a thread of its own
        (1, (2, 1, 1, 1), ("strategy=pipeline", "strategy.schedule=1f1b", "comm.wait=poll")),
        (2, (1, 1, 1, 2), ("strategy=tensor", "strategy.tensor_shares=[2,1,1]", "comm.all_reduce=ring")),
    ],
)
def test_goes_on_with_the_same_training(
    rank: int, left: tuple[int, ...], words: tuple[str, ...], tmp_path: Path, alone: list[float]
) -> None:
    fault = (f"fault.rank={rank}", "fault.snapshot_every=4", "fault.after_steps=6", "window_s=0.2", "study=killed")
    done = bench(tmp_path, "ranks=3", *words, *fault)
    assert done.returncode == 0, done.stdout + done.stderr
    record = record_of(tmp_path, "killed")
    block = record["fault"]
    assert (record["status"], block["rank"], block["lost_steps"]) == ("ok", rank, 2)
    assert tuple(block["after"]["mesh"].values()) == left
    assert len(record["learning"]["curve"]["loss"]) < block["step"]  # everything else is of the time before
    steps = [step for step in block["steps"] if step["step"] < STEPS]
    assert {step["part"] for step in steps} == {"copies", "redo", "after"}
    for step in steps:
        assert step["loss"] == pytest.approx(alone[step["step"]], rel=1e-9), step
    recovery = [row["name"] for row in block["phases"]]
    assert recovery == ["notice", "shrink", "rebuild", "redo"]
    edges = [block["at_s"], *(row["end_s"] for row in block["phases"])]
    assert edges == sorted(edges)
    assert edges[-1] == block["recovered_s"]
    own = {check["name"]: check["status"] for check in record["checks"]}
    assert own["redone steps give the same loss"] == own["replicas are equal after the failure"] == "passed"
    (config,) = tmp_path.glob("results/killed/*/config.json")
    assert survivors(json.loads(config.read_text())["run_id"]) == []


def test_started_by_hand(tmp_path: Path) -> None:
    """Somebody's own mpirun: one line where its job would end with the rank."""
    words = [*WORDS, "strategy=data", "fault.rank=1", "window_s=0.2", "study=hand"]
    done = mpirun.run(2, "bench", *words)
    assert done.returncode != 0
    told = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert told == ["error: fault.rank: this job does not outlive a rank; start mpirun --with-ft ulfm --mca coll ^han"]
