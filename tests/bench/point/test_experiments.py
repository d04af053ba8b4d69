"""Every study of conf/experiment composes into points that can run, on the boards that it is for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.prediction import made_profiles as made_up
from tests.command_line import environment
from tests.project import ROOT

pytestmark = pytest.mark.slow

STUDIES = sorted(path.stem for path in (ROOT / "conf/experiment").glob("*.yaml"))
OWN_CLUSTER = {"topology", "participants", "planned_split", "power_modes"}
POINTS = {
    "bandwidth": 12, "batch_size": 6, "cpu_gpu": 4, "device_scaling": 7, "failures": 4, "learn": 5, "micro_batches": 6,
    "paper_case_study": 52, "participants": 7, "planned_split": 8,
    "power_modes": 6, "quickstart": 5, "replication": 3, "sequence_length": 6,
    "topology": 6, "wait_mode": 4,
}  # fmt: skip


@pytest.mark.parametrize("study", STUDIES)
def test_the_matrix_is_as_described(study: str, tmp_path: Path) -> None:
    """One repeat of each with smoke=true; excluded and zipped combinations are not in it."""
    made = []
    if study == "planned_split":  # needs what the boards can do, measured before
        given = made_up.written(tmp_path, ["cluster=emulated-mixed", "model=minilm", "model.checkpoint=null", "task=reviews"],
                                (2.0, 1.0, 0.5, 0.25))  # fmt: skip
        made = [f"planner.profile={given}", "model.checkpoint=null"]
    cluster = [] if study in (*OWN_CLUSTER, "learn", "quickstart", "cpu_gpu") else ["cluster=emulated4"]
    done = subprocess.run(
        [sys.executable, "-m", "bench", f"experiment={study}", "smoke=true", "dry_run=true", *cluster, *made],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"matrix: {POINTS[study]} configurations x 1 repeats = {POINTS[study]} points" in done.stdout
    assert not (tmp_path / "results").exists()
    assert [path.name for path in tmp_path.iterdir()] == (["profile.json"] if made else [])
