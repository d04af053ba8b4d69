"""The real worker, of which a rank ends a while after the power mode was set: ``CONFIG ROOT killed|aborts``."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

from mpi4py import MPI

from bench.run.worker import main
from tests.bench.power_modes.machine_trees import governor

AFTER_S = 4.0  # by then the ranks train
RANK = {"killed": 0, "aborts": 1}  # the rank that owns the guard is killed outright; another one ends the job


def die(root: Path, how: str) -> None:
    while governor(root) != "powersave":
        time.sleep(0.05)
    time.sleep(AFTER_S)
    print(f"{how} in {governor(root)}", flush=True)
    if how == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    MPI.COMM_WORLD.Abort(1)


if __name__ == "__main__":
    _, config, root, how = sys.argv
    if MPI.COMM_WORLD.Get_rank() == RANK[how]:
        threading.Thread(target=die, args=(Path(root), how), daemon=True).start()
    sys.exit(main([config]))
