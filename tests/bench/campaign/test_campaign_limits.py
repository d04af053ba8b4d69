"""Campaigns with limits, further repeats, locks and full disks: the real mpirun, with a worker that ends as it is told."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.commands import run_command
from bench.launch.supervised_process import survivors
from tests.bench.campaign.stand_in_worker import CRASH, HANG, SETTLING, STEADY, STUBBORN
from tests.command_line import environment

pytestmark = pytest.mark.machine

WORKER = "tests.bench.campaign.stand_in_worker"
LINE = [sys.executable, "-m", "bench", "model=gpt2-tiny", "strategy=single"]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):  # type: ignore[no-untyped-def]
    """Run the command line in this process (faster): (exit code, lines of output, errors)."""

    def run(*words: str) -> tuple[int, list[str], str]:
        monkeypatch.chdir(tmp_path)
        for name, value in environment(EDGEJOULE_WORKER=WORKER).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("HYDRA_FULL_ERROR", "")  # remembered as absent, for the command sets it
        monkeypatch.delenv("HYDRA_FULL_ERROR")
        monkeypatch.setattr(sys, "argv", ["bench", *words, "model=gpt2-tiny"])
        try:
            code = run_command.main()
        except SystemExit as stop:
            code = int(str(stop.code))
        output, errors = capfd.readouterr()
        return code, output.splitlines(), errors

    return run


def statuses(folder: Path) -> list[str]:
    return sorted(json.loads(path.read_text())["status"] for path in folder.glob("results/*/*/result.json"))


def started(tmp_path: Path, *words: str, **variables: str) -> subprocess.Popen[str]:
    """A campaign as a process of its own, once its worker says that it hangs."""
    env = environment(EDGEJOULE_WORKER=WORKER, **variables)
    process = subprocess.Popen(
        [*LINE, *words], cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while not any("hangs" in log.read_text() for log in tmp_path.glob("results/*/*/mpirun.log")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return process


def run_ids(tmp_path: Path) -> list[str]:
    return [json.loads(path.read_text())["run_id"] for path in tmp_path.glob("results/*/*/config.json")]


def test_twelve_points_with_crashes_and_hangs_go_on_where_they_were(
    bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # type: ignore[no-untyped-def]
    """Four good, four that crash, four that hang; then, with the fault removed, only those eight run."""
    words = ("-m", "strategy=single", f"seed=0,{CRASH},{HANG}", "train.lr=1,2,3,4", "study=twelve", "timeout_s=4")
    code, lines, _ = bench(*words)
    assert code == 1
    assert statuses(tmp_path) == ["failed"] * 4 + ["ok"] * 4 + ["timeout"] * 4
    assert lines[-1].startswith("12 of 12 points: ")
    assert all(count in lines[-1] for count in ("4 ok", "4 failed", "4 timeout"))
    good = {path: path.read_text() for path in tmp_path.glob("results/*/*/result.json") if '"ok"' in path.read_text()}
    assert [survivors(run_id) for run_id in run_ids(tmp_path)] == [[]] * 12

    monkeypatch.setenv("STAND_IN_HEALED", "1")
    code, lines, _ = bench(*words)
    assert code == 0
    assert sum("finished before" in line for line in lines) == 4
    assert lines[-1] == "12 of 12 points: 12 ok. Records in results/twelve"
    assert {path: path.read_text() for path in good} == good
    assert statuses(tmp_path) == ["ok"] * 12


def test_fail_fast_and_a_time_limit_leave_the_rest_for_later(bench, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    words = ("-m", "strategy=single", f"seed={CRASH},0", "repeats=2", "study=stopped")
    code, lines, _ = bench(*words, "campaign.fail_fast=true")
    assert code == 1
    ran = statuses(tmp_path)
    assert ran.count("failed") == 1
    (not_run,) = [line for line in lines if line.startswith("not run (campaign.fail_fast, after single-n1-")]
    assert not_run.endswith(". The same command goes on from here")
    assert not_run.count("single-n1-") == 4 - len(ran) + 1  # and the one after which it stopped
    assert lines[-1].startswith(f"{len(ran)} of 4 points: ")

    # Nothing has run yet in this campaign: by its settings a point takes at least the window and idle twice.
    code, lines, _ = bench("-m", "strategy=single", "seed=1,2", "study=limit", "campaign.time_limit_s=20")
    assert code == 1
    assert lines[-1] == "0 of 2 points: none run. Records in results/limit"
    assert lines[0].startswith("not run (campaign.time_limit_s=20: 20 s were left, single-n1-")
    assert " takes 30 s): single-n1-" in lines[0]
    short = ("window_s=0.1", "idle_s=0", "study=limit", "train.lr=range(1,13)", "campaign.time_limit_s=1")
    code, lines, _ = bench("-m", "strategy=single", *short)
    assert code == 1
    done = len(list(tmp_path.glob("results/limit/*/result.json")))
    assert 1 <= done < 12
    assert lines[-1] == f"{done} of 12 points: {done} ok. Records in results/limit"


def test_repeats_go_on_until_the_interval_is_narrow(bench, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """A steady point needs six, one with two outliers nine: eight are not enough, and a resumed campaign needs one more."""
    words = ("-m", "strategy=single", f"seed={STEADY},{SETTLING}", "repeats=2", "study=adaptive", "campaign.ci_target=0.02")
    code, lines, _ = bench(*words, "campaign.max_repeats=8")
    assert code == 0
    assert lines[0].startswith("repeats=2 give no 95 % interval, which needs 6: each point runs at least 6 and at most 8 times")
    seeds = [json.loads(path.read_text())["point"]["seed"] for path in tmp_path.glob("results/*/*/result.json")]
    assert (seeds.count(STEADY), seeds.count(SETTLING)) == (6, 8)
    (missed,) = [line for line in lines if line.startswith("target of ±2 % not reached: single-n1-gpt2-tiny-reviews-")]
    assert missed.endswith("time ±10 %, energy ±10 % (n=8)")
    assert lines[-1] == "14 of 14 points: 14 ok. Records in results/adaptive"
    assert any("n=1 of at least 6" in line for line in lines)
    assert any("time ±0.2 %, energy ±0.2 % (n=6)" in line for line in lines)

    code, lines, _ = bench(*words, "campaign.max_repeats=12")
    assert code == 0
    assert lines[-1] == "5 of 5 points: 5 ok. Records in results/adaptive"  # four of the base, and one more
    assert not any("not reached" in line for line in lines)
    assert len(list(tmp_path.glob("results/*/*/result.json"))) == 15


def test_choosing_combinations_on_the_command_line(bench, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    words = (
        "-m",
        "strategy=single,data",
        "ranks=1,2,2",
        "train.batch=8,8,16",
        "campaign.zip=[[ranks,train.batch]]",
        "repeats=2",
    )
    exclude = 'campaign.exclude=["ranks == 1 and strategy != single"]'
    code, lines, _ = bench(*words, exclude, "dry_run=true", "campaign.ci_target=0.1")
    assert code == 0
    assert lines[:7] == [
        "matrix: 4 configurations x 2 repeats = 8 points, 0 finished",
        "factor strategy: single, data",
        "factor ranks: 1, 2",
        "factor train.batch: 8, 16",
        "zipped ranks with train.batch: 6 of 18 combinations",
        "excluded 1 of 6 combinations by: ranks == 1 and strategy != single",
        "excluded: strategy=data ranks=1 train.batch=8",
    ]
    assert lines[7].startswith("time: about 7 min for 8 points: 8 by settings")
    assert lines[8] == (
        "repeats go on until the 95 % interval of time and energy is within ±10 % of the median: 6 to 20 of each point, which "
        "the time above does not count"
    )
    assert list(tmp_path.iterdir()) == []
    for bad, message in (
        (("-m", "ranks=1,2", "campaign.zip=[[ranks,train.batch]]"), "names train.batch, which is not swept"),
        (("campaign.zip=[[ranks,train.batch]]",), "campaign.zip needs a sweep: start with -m"),
        (("-m", "ranks=1,2", 'campaign.exclude=["rank == 1"]'), "names the unknown value rank; did you mean ranks?"),
        (('campaign.exclude=["ranks == 2"]',), "leaves none of 1 combinations"),
        (("campaign.fail_fats=true",), "unknown key campaign.fail_fats; did you mean campaign.fail_fast?"),
        (("-m", "campaign.fail_fast=true,false"), "it is of the whole campaign, give one"),
    ):
        code, lines, errors = bench(*bad)
        assert (code, lines, errors.count("\n")) == (2, [], 1), errors
        assert message in errors
    assert list(tmp_path.iterdir()) == []


def test_two_campaigns_and_a_killed_one(bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    """The second gets one line. When the first is killed the lock is free, and what it left running is ended."""
    first = started(tmp_path, f"seed={HANG}", "study=first")
    code, lines, errors = bench("strategy=single", "study=second")
    assert (code, lines, errors.count("\n")) == (2, [], 1)
    start = f"error: cluster local is in use (host localhost): process {first.pid} of "
    assert errors.startswith(start)
    assert "measures study first since 20" in errors
    assert errors.endswith(f"; wait for its end, or end it with: kill -INT {first.pid}\n")
    assert not (tmp_path / "results/second").exists()

    (run_id,) = run_ids(tmp_path)
    first.kill()
    first.communicate(timeout=30)
    assert survivors(run_id)
    monkeypatch.setenv("STAND_IN_HEALED", "1")
    code, lines, errors = bench("strategy=single", f"seed={HANG}", "study=first")
    assert (code, errors) == (0, "")
    assert survivors(run_id) == []


def test_a_second_ctrl_c_kills(tmp_path: Path) -> None:
    """A job that does not end when asked: the second Ctrl-C does not wait for it, and nothing is left."""
    process = started(tmp_path, f"seed={STUBBORN}", "study=stubborn")
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert "1 points" in output.splitlines()[-1]
    assert [survivors(run_id) for run_id in run_ids(tmp_path)] == [[]]
    assert "ok" not in statuses(tmp_path)


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "edgejoule-test", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"mounting needs root: {mounted.stderr.decode().strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


PAGE = 4096


@pytest.mark.parametrize("during", ["study", "start", "record"])
def test_a_full_disk_in_the_middle(bench, tmp_path: Path, during: str) -> None:  # type: ignore[no-untyped-def]
    """The first point is finished, then the disk is full: before the others are noted down as planned, before the second
    begins, or when its record is written."""
    with small_disk(tmp_path / "results"):
        assert bench("strategy=single", "study=full")[0] == 0
        (done,) = tmp_path.glob("results/full/*/result.json")
        whole = done.read_text()
        others = [path for path in done.parent.iterdir() if path != done]
        needed = PAGE * sum(-(-path.stat().st_size // PAGE) for path in others) + PAGE
        left = {"study": 0, "start": PAGE, "record": needed}[during]
        with (tmp_path / "results/filler").open("wb", buffering=0) as filler:
            space = os.statvfs(tmp_path / "results")
            filler.write(b"x" * (space.f_bavail * space.f_frsize - left))
        code, lines, errors = bench("-m", "strategy=single", "seed=0,1,2", "study=full")
        assert code == 2
        last = errors.splitlines()[-1]
        where = ";" if during == "study" else ", so single-n1-gpt2-tiny-reviews-r0-"
        assert last.startswith(f"error: results cannot be written (No space left on device){where}")
        assert last.endswith("1 of 3 points are finished and stay so: make room and start the same command again")
        assert done.read_text() == whole
        assert statuses(tmp_path).count("ok") == 1
        (tmp_path / "results/filler").unlink()
        code, lines, _ = bench("-m", "strategy=single", "seed=0,1,2", "study=full")
        assert (code, lines[-1]) == (0, "3 of 3 points: 3 ok. Records in results/full")


def test_a_file_that_may_not_grow(tmp_path: Path) -> None:
    """The same without root, by a limit on the size of files."""
    done = subprocess.run(
        [*LINE, "study=limited"],
        cwd=tmp_path,
        env=environment(EDGEJOULE_WORKER=WORKER),
        capture_output=True,
        text=True,
        timeout=120,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500)),
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: results cannot be written (File too large), so single-n1-")
    assert statuses(tmp_path) == []


def test_a_point_can_be_run_again_from_its_own_words(bench, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """What a sweep wrote down of a point composes the same point in a single run, also out of a zipped experiment."""
    sweep = ("experiment=sequence_length", "cluster=local", "cluster.oversubscribe=true", "smoke=true", "study=words")
    assert bench(*sweep)[0] == 0
    found = {path.parent.name: json.loads(path.read_text())["overrides"] for path in tmp_path.glob("results/*/*/config.json")}
    assert len(found) == 6
    name, words = next((name, words) for name, words in found.items() if "train.seq=128" in words)
    assert "train.batch=4" in words
    code, lines, errors = bench("hydra.mode=RUN", *words, "dry_run=true")
    assert (code, errors) == (0, "")
    assert lines[0] == "matrix: 1 configurations x 1 repeats = 1 points, 1 finished"
    assert any(line.strip().startswith(name) for line in lines)
