"""One point on this rank, its power mode around it, and how its errors end the job."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from bench.common.exit_codes import BAD_INPUT, FAILED
from bench.common.exit_codes import OUT_OF_MEMORY as OOM
from bench.common.user_error import UserError
from bench.config.point_config import PointConfig
from bench.point.plan_errors import in_command_line_words
from bench.power_modes.hosts_in_mode import PowerModes
from bench.run.point_run import PointRun
from bench.training.rank_setup import host_identity, locate
from strategies.common.plan_error import PlanError

if TYPE_CHECKING:
    from mpi4py import MPI

OUT_OF_MEMORY = ("can't allocate memory", "out of memory", "cannot allocate memory")


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
