"""``mpirun edgejoule monitor -- PROGRAM`` on boards of three kinds and one behind a plug: every host's joules are the truth."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from bench.launch.mpirun import find_mpirun
from bench.launch.supervised_process import session_folder
from tests import fake_boards
from tests.bench.monitor.monitored import left_behind, record_of
from tests.command_line import environment
from tests.fake_boards import CLASSES, LOADS, Plug
from tests.project import ROOT

pytestmark = [pytest.mark.machine, pytest.mark.slow]

KINDS = {"x86": "rapl", "orin": "jetson", "pi": "pi5", "plug": "tasmota"}
PROGRAM = """
import sys, time
import edgejoule
from mpi4py import MPI
comm = MPI.COMM_WORLD
with edgejoule.region("work"):
    end = time.monotonic() + 3 + 0.5 * comm.rank
    while time.monotonic() < end:
        time.sleep(0.01)
with edgejoule.region("wait"):
    request = comm.Ibarrier()
    while not request.Test():
        time.sleep(0.005)
print("rank", comm.rank, "of", comm.size)
"""


@contextmanager
def live_boards(folder: Path) -> Iterator[Path]:
    """The inventory of boards whose sensors follow their loads."""
    trees = folder / "trees"
    trees.mkdir()
    fake_boards.plant(trees)
    plug = Plug()
    line = [sys.executable, "-m", "tests.fake_boards", str(trees)]
    sensors = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)
    assert sensors.stdin is not None
    assert sensors.stdout is not None
    hosts = "".join(f"  - {{name: {name}, address: {name}, board: {CLASSES[name]}}}\n" for name in KINDS)
    inventory = folder / "boards.yaml"
    inventory.write_text(
        f"hosts:\n{hosts}meters:\n  wall: {{source: tasmota, address: 'http://127.0.0.1:{plug.port}', hosts: [plug]}}\n"
        "others:\n  switch: {power_W: 6.5, source: 'https://example.org/data-sheet'}\n"
    )
    try:
        sensors.stdout.readline()
        yield inventory
    finally:
        sensors.stdin.close()
        sensors.wait(10)
        sensors.stdout.close()
        plug.close()


def mpirun(folder: Path, contexts: Sequence[Sequence[str]]) -> list[str]:
    """One mpirun line: each context is a rank of one host, all on this machine."""
    line = [str(find_mpirun())]
    for number, words in enumerate(contexts):
        line += [":"] * (number > 0) + ["-n", "1", "--oversubscribe", sys.executable, "-m", "edgejoule", "monitor", *words]
    return line


def launch(folder: Path, contexts: Sequence[Sequence[str]], timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
    with session_folder() as variables:
        return subprocess.run(
            mpirun(folder, contexts),
            cwd=folder,
            env=environment(TMPDIR=str(folder), **variables),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
        )


def test_every_host_has_the_joules_of_its_window(tmp_path: Path) -> None:
    """Counters, power rails, a PMIC and a plug; each host in its own window; regions with their true joules."""
    with live_boards(tmp_path) as inventory:
        trees = tmp_path / "trees"
        contexts = [
            ["--host", name, "--hostfile", str(inventory), "--energy", "source=measured", f"root={trees}/%h", "period_s=0.1",
             "--idle", "1", "--", sys.executable, "-c", PROGRAM]
            for name in KINDS
        ]  # fmt: skip
        done = launch(tmp_path, contexts)
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(done.stdout.splitlines()) == [f"rank {rank} of 4" for rank in range(4)]
    record = record_of(tmp_path)
    assert record["status"] == "ok", record["reason"]
    assert [rank["host"] for rank in record["ranks"]] == list(KINDS)
    (folder,) = (path.parent for path in tmp_path.glob("results/*/*/monitored.json"))
    _judge(record, folder)
    assert left_behind(tmp_path) == []


def _judge(record: dict[str, Any], folder: Path) -> None:
    energy = record["energy"]
    assert energy["kind"] == "measured"
    assert {host["host"]: host["source"] for host in energy["by_host"]} == KINDS
    power = pq.read_table(folder / "power.parquet").to_pandas()
    # All ran on this machine's clock, whose second 0 on the record's axis is here.
    zero_s = float(np.median((power["t_before_ns"] + power["t_after_ns"]) / 2e9 - power["t_s"]))
    windows, total_J = {window["host"]: window for window in record["windows"]}, 0.0
    for host in energy["by_host"]:
        window, load = windows[host["host"]], LOADS[host["host"]]
        true_J = load.energy_J(zero_s + window["end_s"]) - load.energy_J(zero_s + window["start_s"])
        total_J += true_J
        assert host["quality"] == "good", host
        assert abs(host["total_J"] - true_J) <= 3 * host["uncertainty_J"], (host["host"], host["total_J"], true_J)
        assert host["uncertainty_J"] < 0.06 * host["total_J"], host["host"]  # and that says something
        assert window["idle_s"] == pytest.approx(1, abs=0.2)
    assert abs(energy["total_J"] - total_J) <= 3 * energy["uncertainty_J"]
    assert energy["dynamic_J"] == pytest.approx(energy["total_J"] - energy["idle_J"])
    seconds = max(window["end_s"] for window in windows.values()) - min(window["start_s"] for window in windows.values())
    assert energy["system_J"] == pytest.approx(energy["total_J"] + 6.5 * seconds)
    _judge_regions(record, folder, zero_s)


def _judge_regions(record: dict[str, Any], folder: Path, zero_s: float) -> None:
    """A region's joules are those of the load in its stretch: one rank a host has all of its host's power."""
    calls = pq.read_table(folder / "regions.parquet").to_pandas()
    rows = {(row["host"], row["region"]): row for row in record["regions_by_rank"]}
    assert {region for _, region in rows} == {"work", "wait"}
    hosts = {host["host"]: host for host in record["energy"]["by_host"]}
    for (host, region), row in rows.items():
        spans = calls[(calls["host"] == host) & (calls["region"] == region)]
        load = LOADS[host]
        true_J = sum(
            load.energy_J(zero_s + t1) - load.energy_J(zero_s + t0) for t0, t1 in zip(spans["t0_s"], spans["t1_s"], strict=True)
        )
        assert row["seconds"] == pytest.approx(float((spans["t1_s"] - spans["t0_s"]).sum()), abs=1e-3)
        if row["joules"] is not None:  # the sensor's own error is not in the standard error of the attribution
            u_J = (row["standard_error_J"] ** 2 + (hosts[host]["uncertainty_J"] / hosts[host]["total_J"] * true_J) ** 2) ** 0.5
            assert abs(row["joules"] - true_J) <= 3 * u_J, (host, region, row["joules"], true_J, u_J)
    work = {host: rows[host, "work"]["joules"] for host in KINDS}
    assert work["x86"] is not None  # RAPL is fast enough for seconds
    assert work["orin"] is not None


def test_a_host_that_did_not_hand_in_is_missing_never_less(tmp_path: Path) -> None:
    """Hosts without a common folder: what one of them says, ``--merge`` of one part, then of both."""
    contexts = [
        ["--host", name, "--energy", "source=none", "--out", f"{name}/study", "--name", "run",
         "--", sys.executable, "-c", "import time; time.sleep(1)"]
        for name in ("a", "b")
    ]  # fmt: skip
    done = launch(tmp_path, contexts)
    assert done.returncode == 0, done.stderr
    assert "1 of 2 ranks have handed in" in done.stderr
    assert not list(tmp_path.glob("*/*/*/monitored.json"))
    merged = _merge(tmp_path, "a/study/run")
    assert "invalid: every rank handed in: missing: 1" in merged
    (tmp_path / "b/study/run/parts/b").rename(tmp_path / "a/study/run/parts/b")
    _merge(tmp_path, "a/study/run")
    record = json.loads((tmp_path / "a/study/run/monitored.json").read_text())
    assert (record["status"], [rank["host"] for rank in record["ranks"]]) == ("ok", ["a", "b"])


def _merge(folder: Path, run: str) -> str:
    line = [sys.executable, "-m", "edgejoule", "monitor", "--merge", run]
    done = subprocess.run(line, cwd=folder, env=environment(), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_rank_that_dies_ends_the_job_and_is_in_the_record(tmp_path: Path) -> None:
    """mpirun kills the others when one rank is killed: the readings until then are kept, nobody is left."""
    code = (
        "import os, sys, time\nfrom mpi4py import MPI\nc = MPI.COMM_WORLD\nc.Barrier()\n"
        "if c.rank == 1: os.kill(os.getpid(), 11)\ntime.sleep(60)"
    )
    words = ["--energy", "source=rapl", f"root={ROOT / 'tests/boards/x86-desktop'}", "--", sys.executable, "-c", code]
    line = [str(find_mpirun()), "-n", "2", "--oversubscribe", sys.executable, "-m", "edgejoule", "monitor", *words]
    begin_s = time.monotonic()
    with session_folder() as variables:
        done = subprocess.run(
            line, cwd=tmp_path, env=environment(TMPDIR=str(tmp_path), **variables), stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=100,
        )  # fmt: skip
    assert done.returncode != 0
    assert time.monotonic() - begin_s < 50
    assert left_behind(tmp_path) == []
    ends = {rank["rank"]: rank for rank in record_of(tmp_path)["ranks"]}
    assert ends[1]["signal"] == "SIGSEGV"
    assert ends[0]["exit_code"] != 0
    assert not _alive(tmp_path)


def _alive(folder: Path) -> list[int]:
    """Processes with this test's folder in their environment."""
    pids = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"TMPDIR={folder}".encode() in path.read_bytes() and int(path.parent.name) != os.getpid():
                pids.append(int(path.parent.name))
        except OSError:
            continue
    return pids


def test_mpirun_that_is_ended_ends_all(tmp_path: Path) -> None:
    """SIGTERM to mpirun: the program gets it and may end as it likes; the record says how."""
    code = (
        "import os, signal, time\nsignal.signal(15, lambda n, f: os._exit(7))\n"
        "from mpi4py import MPI\nMPI.COMM_WORLD.Barrier()\nopen(f'up-{MPI.COMM_WORLD.rank}', 'w').close()\ntime.sleep(60)"
    )
    words = ["--energy", "source=none", "--", sys.executable, "-c", code]
    line = [str(find_mpirun()), "-n", "2", "--oversubscribe", sys.executable, "-m", "edgejoule", "monitor", *words]
    with session_folder() as variables:
        job = subprocess.Popen(
            line, cwd=tmp_path, env=environment(TMPDIR=str(tmp_path), **variables), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        deadline_s = time.monotonic() + 60
        while len(list(tmp_path.glob("up-*"))) < 2 and time.monotonic() < deadline_s:
            time.sleep(0.1)
        job.send_signal(signal.SIGTERM)
        assert job.wait(40) != 0
    assert left_behind(tmp_path) == []
    assert not _alive(tmp_path)
    assert {rank["exit_code"] for rank in record_of(tmp_path)["ranks"]} == {7}
