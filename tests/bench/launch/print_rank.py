"""What a rank was given: its rank, host name and some variables, one line on standard output."""

from __future__ import annotations

import os
import sys

from mpi4py import MPI

values = [f"{name}={os.environ.get(name)}" for name in sys.argv[1:]]
print("told", MPI.COMM_WORLD.Get_rank(), MPI.Get_processor_name(), *values, flush=True)
