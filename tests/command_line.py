"""What a command line of the project gets from tests that start it as a process of its own."""

from __future__ import annotations

import os
import tempfile

from bench.launch.supervised_process import SESSIONS
from tests.project import ROOT

# Tests of several checkouts and users share a machine; the locks of each session are its own.
LOCKS = tempfile.TemporaryDirectory(prefix="edgejoule-locks-")
# And so are the files of mpirun: one that another session's killed mpirun left would stop ours when it gets the same PID.
FILES = tempfile.TemporaryDirectory(prefix="edgejoule-mpirun-", ignore_cleanup_errors=True)


def environment(**extra: str) -> dict[str, str]:
    """Variables of a subprocess: one thread a rank, the project importable, root allowed as in containers, and a place of
    this session's own for locks and for mpirun's files."""
    return {
        **os.environ,
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT),
        "EDGEJOULE_LOCKS": LOCKS.name,
        SESSIONS: FILES.name,
        **extra,
    }
