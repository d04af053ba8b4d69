"""The ladder's rungs that need several ranks: tests/mpi under one mpirun for each world size."""

from __future__ import annotations

import re

import pytest
import torch

from tests import mpirun

pytestmark = pytest.mark.machine

LONGEST_S = 900
"""Until a rung counts as hanging, on a machine that does other things too."""


@pytest.mark.parametrize("ranks", [2, 3, 4])
def test_ladder(ranks: int) -> None:
    """Every rank passes every test; three ranks make all shares uneven."""
    # Outside of this suite's own testpaths, so that a plain pytest does not start it without MPI.
    done = mpirun.run(ranks, "pytest", "-x", "--color=no", "-p", "no:cacheprovider", "tests/mpi", timeout_s=LONGEST_S)
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    passed = {int(n) for n in re.findall(r"(\d+) passed", done.stdout)}
    assert len(re.findall(r"\d+ passed", done.stdout)) == ranks, done.stdout[-2000:]
    assert len(passed) == 1
    assert min(passed) > 50
    assert "failed" not in done.stdout
    assert "skipped" not in done.stdout


def test_three_axes_at_once() -> None:
    """Eight ranks: every mesh of 2 x 2 x 2, with every model."""
    meshes = " or ".join(f"hybrid-{mesh}-m3-spin" for mesh in ("p2d2s2", "p2d2t2", "p2s2t2", "d2s2t2"))
    target = "tests/mpi/test_equality.py::test_equals_one_process"
    done = mpirun.run(
        8,
        *("pytest", "-x", "--color=no", "-p", "no:cacheprovider", target),
        *("-k", f"({meshes}) and not m3-spin-inline"),
        timeout_s=LONGEST_S,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    passed = [int(n) for n in re.findall(r"(\d+) passed", done.stdout)]
    assert len(passed) == 8
    assert min(passed) >= 12


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here: host staging and the GPU's attention are not tested")
def test_equality_on_a_gpu() -> None:
    """Three ranks share one GPU, through pinned host memory."""
    target = "tests/mpi/test_equality.py"
    done = mpirun.run(
        3, "pytest", "-x", "--color=no", "-p", "no:cacheprovider", target, timeout_s=LONGEST_S, EDGEJOULE_TEST_DEVICE="cuda"
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    assert len(re.findall(r"\d+ passed", done.stdout)) == 3
