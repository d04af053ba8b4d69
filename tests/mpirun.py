"""Starting mpirun from tests: a bounded time, and no process left behind."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.cluster.inventory import Host
from bench.launch.mpirun import Job, find_mpirun, launcher_for
from bench.launch.supervised_process import SESSIONS, session_folder
from tests.project import ROOT

# Tests of several checkouts and users share a machine; the locks of each session are its own.
LOCKS = tempfile.TemporaryDirectory(prefix="edgejoule-locks-")
# And so are the files of mpirun: one that another session's killed mpirun left would stop ours when it gets the same PID.
FILES = tempfile.TemporaryDirectory(prefix="edgejoule-mpirun-", ignore_cleanup_errors=True)


def environment(**extra: str) -> dict[str, str]:
    """One thread a rank, the project importable, root allowed as in containers; locks and mpirun's files of this session."""
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


def run(
    ranks: int, module: str, *arguments: str, timeout_s: float = 300, prefix: Sequence[str] = (), **extra: str
) -> subprocess.CompletedProcess[str]:
    """``python -m mpi4py -m MODULE ARGUMENTS`` on ``ranks`` ranks of this machine, as the suite itself starts jobs.

    ``prefix`` goes before mpirun, ``extra`` into its environment.
    """
    launcher, here = launcher_for(find_mpirun()), [Host("localhost", 1)]
    with tempfile.TemporaryDirectory() as folder, session_folder() as variables:
        hostfile = Path(folder) / "hostfile"
        hostfile.write_text(launcher.hostfile(here))
        job = Job(ranks, here, hostfile, module, arguments, oversubscribe=True, root=os.geteuid() == 0)
        return subprocess.run(
            [*prefix, *launcher.command(job)],
            cwd=ROOT,
            env=environment(**variables, **extra),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
        )
