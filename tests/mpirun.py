"""Starting mpirun from tests: a bounded time, and no process left behind."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.config.host_config import Host
from bench.launch.mpirun import Job, find_mpirun, launcher_for
from bench.launch.supervised_process import session_folder
from tests.command_line import environment
from tests.project import ROOT


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
        job = Job(ranks, here, hostfile, module, arguments, oversubscribe=True, root=os.geteuid() == 0, environment=extra)
        return subprocess.run(
            [*prefix, *launcher.command(job)],
            cwd=ROOT,
            env=environment(**variables, **extra),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
        )
