"""The entry of every rank: ``mpirun ... python -m mpi4py -m bench.run.worker config.json``.

Rank 0 reads the resolved configuration and broadcasts it; no shared file system and no Hydra is needed. The stages of a point
are those of ``point_run.py``; here are the power mode around them, exit codes and errors.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.common.exit_codes import BAD_INPUT, FAILED
from bench.common.exit_codes import OUT_OF_MEMORY as OOM
from bench.common.user_error import UserError
from bench.config.point_config import PointConfig
from bench.faults.recovery import leave
from bench.launch.held_job import GO, HELD
from bench.point.plan_errors import in_command_line_words
from bench.power_modes.hosts_in_mode import PowerModes
from bench.run.point_run import PointRun
from bench.training.rank_setup import host_identity, locate
from strategies.common.plan_error import PlanError

if TYPE_CHECKING:
    from mpi4py import MPI

HELD_POLL_S = 0.01
OUT_OF_MEMORY = ("can't allocate memory", "out of memory", "cannot allocate memory")


def main(argv: list[str]) -> int:
    """Entry of each rank. Errors of the user's making are one line; the job ends on all ranks."""
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


def _may_go(comm: MPI.Intracomm) -> bool:
    """Wait, without computing, for the word on rank 0's input where this job was started before its turn. Collective."""
    if HELD not in os.environ:
        return True
    word = np.zeros(1, dtype=np.int32)
    if comm.Get_rank() == 0:
        word[0] = sys.stdin.buffer.readline() == GO
    request = comm.Ibcast(word)
    while not request.Test():  # a blocking wait would spin
        time.sleep(HELD_POLL_S)
    return bool(word[0])


def _read(argv: list[str]) -> tuple[PointConfig | None, str | None]:
    """The configuration, or why it cannot be read."""
    try:
        return PointConfig.from_json(json.loads(Path(argv[0]).read_text()), argv[0]), None
    except (OSError, ValueError, IndexError, UserError) as problem:
        return None, f"cannot read the point's configuration: {problem}"


def run(config: PointConfig, comm: MPI.Intracomm) -> int:
    """Run one point on this rank. Rank 0 writes the record into the point's folder.

    A rank that cannot go on ends the whole job: the others would wait for it.

    Args:
        config: The point.
        comm: All its ranks.

    Returns:
        0 when the record is ok, else 1.
    """
    try:
        return 0 if _in_power_mode(config, comm) else FAILED
    except (UserError, PlanError) as error:
        print(f"error: {in_command_line_words(error)}", file=sys.stderr, flush=True)
        comm.Abort(BAD_INPUT)
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and not any(text in str(error).lower() for text in OUT_OF_MEMORY):
            raise
        print(f"error: out of memory on rank {comm.Get_rank()}: {error}", file=sys.stderr, flush=True)
        comm.Abort(OOM)
    return FAILED


def _in_power_mode(config: PointConfig, comm: MPI.Intracomm) -> bool:
    """Set the hosts' power mode first of all, for it decides how many cores there are; run the point; put the mode back."""
    place = locate(config, comm)
    modes = PowerModes.of(config, comm, host_identity(place))
    try:
        modes.apply()
        return PointRun(config, comm, place, modes).run()
    finally:
        modes.release()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
