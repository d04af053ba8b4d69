"""The entry of every rank: ``mpirun ... python -m mpi4py -m bench.run.worker config.json``.

Rank 0 reads the resolved configuration and broadcasts it; no shared file system and no Hydra is needed. The stages of a point
are those of ``point_run.py``; here are its start, exit codes, and a quick end. What is heavy is imported by ``_load``.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from bench.common.exit_codes import BAD_INPUT, FAILED

if TYPE_CHECKING:
    from mpi4py import MPI

    from bench.config.point_config import PointConfig

HELD_POLL_S = 0.01


def main(argv: list[str]) -> int:
    """Entry of each rank. Errors of the user's making are one line; the job ends on all ranks."""
    run, leave = _load()
    from mpi4py import MPI  # importing it starts MPI: only a rank may

    comm = MPI.COMM_WORLD
    if not _may_go(comm):
        return FAILED
    config, error = comm.bcast(_read(argv) if comm.Get_rank() == 0 else None)
    if error is not None:
        if comm.Get_rank() == 0:
            print(f"error: {error}", file=sys.stderr)
        return BAD_INPUT
    run(config, comm)  # an invalid point is the record's to say: an exit code would only make mpirun complain
    return leave(config, 0)


def _load() -> tuple[Callable[[PointConfig, MPI.Intracomm], int], Callable[[PointConfig, int], int]]:
    """Import what a point needs, torch first of all, without looking for garbage meanwhile: there is none.

    Afterwards the collector leaves all of it alone, so that no step is the one in which it visits half a million objects.
    """
    gc.disable()
    from bench.faults.recovery import leave
    from bench.run.guarded_run import run

    gc.freeze()
    gc.enable()
    return run, leave


def _may_go(comm: MPI.Intracomm) -> bool:
    """Wait, without computing, for the word on rank 0's input where this job was started before its turn. Collective."""
    from bench.launch.held_job import GO, HELD

    if HELD not in os.environ:
        return True
    import numpy as np

    word = np.zeros(1, dtype=np.int32)
    if comm.Get_rank() == 0:
        word[0] = sys.stdin.buffer.readline() == GO
    request = comm.Ibcast(word)
    while not request.Test():  # a blocking wait would spin
        time.sleep(HELD_POLL_S)
    return bool(word[0])


def _read(argv: list[str]) -> tuple[PointConfig | None, str | None]:
    """The configuration, or why it cannot be read."""
    from bench.common.user_error import UserError
    from bench.config.point_config import PointConfig

    try:
        return PointConfig.from_json(json.loads(Path(argv[0]).read_text()), argv[0]), None
    except (OSError, ValueError, IndexError, UserError) as problem:
        return None, f"cannot read the point's configuration: {problem}"


def _end_at_once() -> NoReturn:
    """End MPI, then this process as it is.

    Taking the interpreter apart costs every rank half a second, for memory that the kernel takes back anyway.
    """
    from mpi4py import MPI

    MPI.Finalize()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    code = main(sys.argv[1:])
    if code == 0:
        _end_at_once()
    sys.exit(code)
