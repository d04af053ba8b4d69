"""Points on emulated boards through the ordinary command line: trained, swept over rates, out of memory, killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from bench.emulation import lifecycle
from bench.emulation.cgroups import find_cgroups
from bench.emulation.state_files import STATE, read_state
from bench.launch.supervised_process import survivors
from tests.bench.campaign.stand_in_worker import HANG
from tests.bench.emulation.real_boards import Boards, nothing_left
from tests.command_line import environment

pytestmark = pytest.mark.machine

TINY = ("model=gpt2-tiny", "energy=none", "train.batch=8", "train.seq=16", "train.steps=6", "window_s=0.2", "idle_s=0.1")
FREE = ", compute: unlimited"  # where the speed is not the point, the start need not be slow
RANKS = 2


def line(boards: Boards, *words: str) -> list[str]:
    return [sys.executable, "-m", "bench", *words, *boards.words]


def bench(folder: Path, boards: Boards, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(line(boards, *words), cwd=folder, env=environment(), capture_output=True, text=True, timeout=240)


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(folder.glob("results/*/*/result.json"))]


def test_two_boards_and_two_rates(tmp_path: Path) -> None:
    """A sweep over rates: ranks run on their boards, traffic is as planned, and a slow link takes its time."""
    with Boards.of(tmp_path, 2) as boards:
        done = bench(tmp_path, boards, "-m", "strategy=data", "cluster.link_rate_bit_s=1.0e+9,1.0e+8", "task=lm", *TINY)
        assert done.returncode == 0, done.stdout + done.stderr
        assert nothing_left(boards.name) == []  # the campaign brought them up
        found, rates = records(tmp_path), {}
        assert [record["status"] for record in found] == ["ok"] * 2
        for record in found:
            assert [rank["processor"] for rank in record["environment"]["ranks"]] == ["b1", "b2"]
            assert [rank["threads"] for rank in record["environment"]["ranks"]] == [1, 1]
            assert {host["host"] for host in record["environment"]["hosts"]} == {"b1", "b2"}
            assert record["traffic"]["payload_bytes"] == record["traffic"]["theory_bytes"]
            (path,) = tmp_path.glob(f"results/*/{record['point']['name']}/config.json")
            emulated = json.loads(path.read_text())["cluster"]["emulated"]
            assert emulated["scale_cores"] == (os.cpu_count() or 1) / 2
            rates[emulated["boards"][0]["link"]["rate_bit_s"]] = record
        assert set(rates) == {1e9, 1e8}
        # Each of two ranks sends its gradients once: at 100 Mbit/s nothing can make that faster, short of a burst.
        sent = sum(rates[1e8]["traffic"]["wire_bytes"].values()) / RANKS
        assert rates[1e8]["time"]["step_s"]["median"] > 0.9 * sent / (1e8 / 8)


def test_four_boards_hybrid(tmp_path: Path) -> None:
    with Boards.of(tmp_path, 4) as boards:
        words = ("strategy=hybrid", "ranks=4", "mesh.pipeline=2", "mesh.data=2", "task=lm")
        done = bench(tmp_path, boards, *words, *TINY)
        assert done.returncode == 0, done.stdout + done.stderr
        (record,) = records(tmp_path)
        assert [rank["processor"] for rank in record["environment"]["ranks"]] == ["b1", "b2", "b3", "b4"]
        assert [place["host"] for place in record["plan"]["placement"]] == ["b1", "b2", "b3", "b4"]
        assert record["status"] == "ok"


def test_a_board_without_enough_memory(tmp_path: Path) -> None:
    """The kernel ends the rank that needs more than its board has: a result, and the end of the job. A smaller one runs."""
    with Boards.of(tmp_path, 2, more=FREE, each=", memory_bytes: 400.0e+6") as boards:
        models = ("-m", "model=gpt2-small,gpt2-tiny")
        begin = time.monotonic()
        done = bench(tmp_path, boards, *models, "strategy=pipeline", "task=lm", "timeout_s=100", *TINY[1:])
        assert done.returncode == 0, done.stdout + done.stderr
        found = {record["point"]["model"]: record for record in records(tmp_path)}
        assert found["gpt2-tiny"]["status"] == "ok"
        assert [rank["processor"] for rank in found["gpt2-tiny"]["environment"]["ranks"]] == ["b1", "b2"]
        assert found["gpt2-small"]["status"] == "oom"
        reason = found["gpt2-small"]["reason"]
        assert reason.startswith("out of memory: the kernel ended a process at the memory limit of b")
        assert "(381 MiB)" in reason
        assert time.monotonic() - begin < 90
        assert nothing_left(boards.name) == []


def hanging(folder: Path, boards: Boards, words: Sequence[str] = ()) -> tuple[subprocess.Popen[str], str]:
    """A campaign whose ranks hang on the boards by now, and its run id."""
    env = environment(EDGEJOULE_WORKER="tests.bench.campaign.stand_in_worker")
    command = line(boards, "strategy=data", f"seed={HANG}", "model=gpt2-tiny", "energy=none", *words)
    process = subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while sum(log.read_text().count("hangs") for log in folder.glob("results/*/*/mpirun.log")) < RANKS:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    (path,) = folder.glob("results/*/*/config.json")
    return process, json.loads(path.read_text())["run_id"]


def test_ctrl_c_takes_the_boards_down(tmp_path: Path) -> None:
    with Boards.of(tmp_path, 2, more=FREE) as boards:
        process, run_id = hanging(tmp_path, boards)
        assert all(find_cgroups().processes(boards.name, board) for board in ("b1", "b2"))
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
        assert (process.returncode, errors) == (130, "")
        assert "interrupted" in output.splitlines()[-1]
        assert survivors(run_id) == []
        assert nothing_left(boards.name) == []


def kill_campaign(process: subprocess.Popen[str], run_id: str) -> None:
    process.kill()


def kill_mpirun(process: subprocess.Popen[str], run_id: str) -> None:
    """mpirun is the one that is no child of a daemon: its command line begins with its name."""
    lines = {pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in survivors(run_id)}
    (pid,) = [pid for pid, words in lines.items() if Path(words.split(b"\0")[0].decode()).name in ("mpirun", "prterun")]
    os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("kill", [kill_campaign, kill_mpirun])
def test_what_a_kill_leaves(tmp_path: Path, kill: Callable[[subprocess.Popen[str], str], None]) -> None:
    """A killed campaign cleans up nothing: ``down`` does, the mpirun included. A killed mpirun is a failed point."""
    with Boards.of(tmp_path, 2, more=FREE) as boards:
        process, run_id = hanging(tmp_path, boards)
        kill(process, run_id)
        output, errors = process.communicate(timeout=60)
        if kill is kill_campaign:
            assert read_state(boards.name, STATE) is not None
            assert survivors(run_id)
            assert lifecycle.down(boards.name)
        else:
            assert process.returncode == 1, output + errors
            assert [record["status"] for record in records(tmp_path)] == ["failed"]
        assert survivors(run_id) == []
        assert nothing_left(boards.name) == []


def test_the_next_campaign_ends_what_a_killed_one_left(tmp_path: Path) -> None:
    """Boards that were up stay up; ranks of the dead campaign do not disturb the new one."""
    with Boards.of(tmp_path, 2, more=FREE) as boards:
        process, run_id = hanging(tmp_path, boards)
        process.kill()
        process.communicate(timeout=10)
        env = environment(EDGEJOULE_WORKER="tests.bench.campaign.stand_in_worker")
        words = ("strategy=data", "seed=1", "model=gpt2-tiny", "energy=none")
        done = subprocess.run(line(boards, *words), cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
        assert survivors(run_id) == []
        assert read_state(boards.name, STATE) is not None
