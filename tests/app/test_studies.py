"""Every study of conf/experiment composes into points that can run, on the boards that it is for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests import mpirun

STUDIES = sorted(path.stem for path in (Path(__file__).resolve().parents[2] / "conf/experiment").glob("*.yaml"))
OWN_CLUSTER = {"topology", "participants", "power_modes"}
POINTS = {
    "bandwidth": 12, "batch_size": 6, "cpu_gpu": 4, "device_scaling": 7, "failures": 4, "learn": 5, "micro_batches": 6,
    "paper_case_study": 26, "participants": 7, "power_modes": 6, "quickstart": 5, "replication": 3, "sequence_length": 6,
    "topology": 6, "wait_mode": 4,
}  # fmt: skip


@pytest.mark.parametrize("study", STUDIES)
def test_the_matrix_is_as_described(study: str, tmp_path: Path) -> None:
    """One repeat of each with smoke=true; excluded and zipped combinations are not in it."""
    cluster = [] if study in (*OWN_CLUSTER, "learn", "quickstart", "cpu_gpu") else ["cluster=emulated4"]
    done = subprocess.run(
        [sys.executable, "-m", "bench", f"experiment={study}", "smoke=true", "dry_run=true", *cluster],
        cwd=tmp_path, env=mpirun.environment(), capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"matrix: {POINTS[study]} configurations x 1 repeats = {POINTS[study]} points" in done.stdout
    assert list(tmp_path.iterdir()) == []
