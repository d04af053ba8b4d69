"""Campaigns through the real command line and the real mpirun, with a worker that ends as it is told."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench import campaign
from bench.common import paths
from bench.common.paths import PROJECT
from bench.launch.mpirun import find_mpirun
from bench.launch.supervised_process import survivors
from bench.point.resolved_point import resolve
from tests.bench.campaign.stand_in_worker import CRASH, HANG, MEMORY
from tests.command_line import environment
from tests.points import make_point

pytestmark = pytest.mark.machine

ROOT = PROJECT


def bench(folder: Path, *words: str, worker: str = "tests.bench.campaign.stand_in_worker") -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "bench", *words, "model=gpt2-tiny"]
    env = environment(EDGEJOULE_WORKER=worker)
    return subprocess.run(line, cwd=folder, env=env, capture_output=True, text=True, timeout=240)


def record(folder: Path, study: str, start: str) -> dict[str, object]:
    (path,) = (folder / "results" / study).glob(f"{start}*/result.json")
    found: dict[str, object] = json.loads(path.read_text())
    return found


def test_failures_stay_alone_and_are_run_again(tmp_path: Path) -> None:
    """A crash, a hang and an out-of-memory between good points: all recorded, exit 1; a second run repeats only the
    crash and the hang."""
    words = ("-m", "strategy=single", f"seed=0,{CRASH},{HANG},{MEMORY},1", "timeout_s=8", "study=mixed")
    done = bench(tmp_path, *words)
    assert done.returncode == 1, done.stderr
    last = done.stdout.splitlines()[-1]
    assert last.startswith("5 of 5 points: ")
    assert "    | ValueError: the stand-in crashes" in done.stdout
    assert "    | the stand-in hangs" in done.stdout
    assert done.stdout.count("mpirun.log") == 3
    assert all(count in last for count in ("2 ok", "1 failed", "1 timeout", "1 oom"))
    records = [json.loads(p.read_text()) for p in (tmp_path / "results/mixed").glob("*/result.json")]
    by_seed = {r["point"]["seed"]: r for r in records}
    planned = json.loads((tmp_path / "results/mixed/study.json").read_text())["planned"]
    assert planned == sorted(r["point"]["name"] for r in records)
    assert by_seed[CRASH]["status"] == "failed"
    assert "ValueError: the stand-in crashes" in by_seed[CRASH]["reason"]
    assert by_seed[HANG]["status"] == "timeout"
    assert by_seed[HANG]["reason"] == "no end after timeout_s=8; last line: the stand-in hangs"
    assert by_seed[MEMORY]["status"] == "oom"
    for path in (tmp_path / "results/mixed").glob("*/config.json"):
        assert survivors(json.loads(path.read_text())["run_id"]) == []

    again = bench(tmp_path, *words)
    assert again.returncode == 1
    assert again.stdout.count("finished before") == 3


def test_one_point_with_its_files(tmp_path: Path) -> None:
    done = bench(tmp_path, "strategy=data", "repeats=2")
    assert done.returncode == 0, done.stderr
    folders = sorted(path.name for path in (tmp_path / "results/adhoc").iterdir() if path.is_dir())
    code = folders[0].split("-")[-1]
    assert folders == [f"data-n2-gpt2-tiny-reviews-r{repeat}-{code}" for repeat in (0, 1)]
    files = {path.name for path in (tmp_path / "results/adhoc" / folders[0]).iterdir()}
    assert files == {"command.sh", "config.json", "config.yaml", "hostfile", "mpirun.log", "result.json"}
    assert "samples/s" in done.stdout
    assert "(modelled)" in done.stdout
    assert "left about" in done.stdout.splitlines()[0]


def test_ctrl_c_ends_the_job_and_is_recorded(tmp_path: Path) -> None:
    line = [sys.executable, "-m", "bench", "-m", "strategy=single", f"seed={HANG},0", "model=gpt2-tiny", "study=stopped"]
    env = environment(EDGEJOULE_WORKER="tests.bench.campaign.stand_in_worker")
    process = subprocess.Popen(line, cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    logs: list[Path] = []
    while not any("hangs" in log.read_text() for log in logs) and time.monotonic() < deadline:
        time.sleep(0.1)
        logs = list(tmp_path.glob("results/stopped/*/mpirun.log"))
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "interrupted" in output.splitlines()[-1]
    assert "Traceback" not in errors
    (folder,) = (path.parent for path in logs if "hangs" in path.read_text())
    assert json.loads((folder / "result.json").read_text())["status"] == "interrupted"
    assert survivors(json.loads((folder / "config.json").read_text())["run_id"]) == []


def test_by_hand_under_somebodys_mpirun(tmp_path: Path) -> None:
    """The real worker on two ranks, rank 0 composing; the record stands where a launched one would."""
    line = [
        *(find_mpirun(), "-n", "2", "--hostfile", str(ROOT / "hostfiles/local"), "--bind-to", "none", sys.executable),
        *("-m", "bench", "strategy=tensor", "model=gpt2-tiny", "task=lm", "smoke=true", "train.batch=8", "train.seq=16"),
    ]
    done = subprocess.run(line, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    found = record(tmp_path, "adhoc", "tensor-n2-gpt2-tiny-lm-r0-")
    assert found["status"] == "ok"
    assert "ok" in done.stdout


def test_by_hand_bad_input_is_one_line_of_ours(tmp_path: Path) -> None:
    line = [find_mpirun(), "-n", "2", "--oversubscribe", sys.executable, "-m", "bench", "strategy=single"]
    done = subprocess.run(line, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    ours = [text for text in done.stderr.splitlines() if text.startswith("error:")]
    assert ours == ["error: strategy=single runs one rank, but mpirun started 2; use mpirun -n 1"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("strategy", ["single", "data", "pipeline"])
def test_real_points_have_complete_records(strategy: str, tmp_path: Path) -> None:
    """The whole way with the real worker: traffic equals theory, states add up, energy is modelled and says so."""
    done = bench(
        tmp_path,
        f"strategy={strategy}",
        "smoke=true",
        "train.batch=8",
        "train.seq=16",
        "energy=modelled",
        worker="bench.run.worker",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = record(tmp_path, "adhoc", f"{strategy}-n")
    time, energy, traffic = found["time"], found["energy"], found["traffic"]
    assert isinstance(time, dict)
    assert isinstance(energy, dict)
    assert isinstance(traffic, dict)
    assert traffic["payload_bytes"] == traffic["theory_bytes"]
    assert (traffic["payload_bytes"] == {}) == (strategy == "single")
    assert sum(time["by_phase"].values()) == pytest.approx(time["window_s"] / time["steps"])
    assert sum(time["step_s"]["values"]) == pytest.approx(time["window_s"])
    # A second or two of a clock of 10 ms may not tell the phases apart; then it says so.
    assert (energy["by_phase"] is None) == (energy["attribution"]["method"] == "refused")
    if energy["by_phase"]:
        assert sum(energy["by_phase"].values()) == pytest.approx(energy["total_J"])
    assert energy["kind"] == "modelled"
    assert energy["by_host"][0]["quality"] == "good"
    assert energy["idle_W"] >= 9.3
    (folder,) = (tmp_path / "results/adhoc").glob(f"{strategy}*")
    assert (folder / "power.parquet").exists()
    assert (folder / "events.parquet").exists()


def test_points_are_blocked_by_repeat_and_shuffled_by_seed() -> None:
    points = [make_point(hash=str(i)) for i in range(6)]
    order = campaign.expand(points, [3] * 6, Path("results"), seed=1)
    assert [point.repeat for point in order] == [0] * 6 + [1] * 6 + [2] * 6
    assert [point.order for point in order] == list(range(18))
    blocks = [[p.hash for p in order[i : i + 6]] for i in (0, 6, 12)]
    assert all(sorted(block) == list("012345") for block in blocks)
    assert len({tuple(block) for block in blocks}) > 1
    assert order == campaign.expand(points, [3] * 6, Path("results"), seed=1)
    assert [p.hash for p in campaign.expand(points, [3] * 6, Path("results"), seed=2)] != [p.hash for p in order]


def test_the_name_of_a_point_is_its_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hydra import compose, initialize_config_dir

    from bench.point import hydra_compose

    def named(*overrides: str) -> str:
        with initialize_config_dir(str(paths.CONF), version_base="1.3"):
            plain = hydra_compose.to_plain(compose("config", overrides=["model=gpt2-tiny", *overrides]))
        return resolve(plain, None, tmp_path).point

    hydra_compose.register()
    base = named()
    assert base == named("timeout_s=5", "repeats=4")
    assert len({base, named("train.lr=0.1"), named("threads=1"), named("seed=1"), named("comm.wait=poll")}) == 5
