"""The command line: Hydra composes, the campaign runs, errors are one line.

On a launch host this process never initialises MPI: it starts mpirun. Started *by* an mpirun, every rank goes straight to
the worker; rank 0 composes for all. What takes time to import is imported when it is needed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

INSIDE_MPI = ("OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK")
HELP_WORDS = ("-h", "--help")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code. 2 for what the user can mend, 1 where a point failed."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if any(word in HELP_WORDS for word in arguments):
        from bench.commands.help_text import help_text
        from bench.common.program_names import as_called

        print(as_called(help_text(arguments)), end="")
        return 0
    if any(name in os.environ for name in INSIDE_MPI):
        from bench.commands.inside_mpi import run_inside_mpi

        return run_inside_mpi(arguments)
    from bench.commands.hydra_run import run_hydra

    return run_hydra()
