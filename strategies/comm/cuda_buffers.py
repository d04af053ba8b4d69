"""Whether this MPI takes buffers on a GPU. Most do not: then they pass through pinned host memory.

The PyPI wheels are built without CUDA, and on Jetson boards Open MPI's support does not work even where it was built in: a
buffer on the GPU ends in a segmentation fault. So it is asked for by ``comm.cuda=aware``, and tried before it is used.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from strategies.comm.mpi_buffers import as_mpi

if TYPE_CHECKING:
    from mpi4py import MPI

BUILT_IN = "mpi_built_with_cuda_support:value:true"


def why_not_aware(comm: MPI.Comm) -> str | None:
    """Whether buffers on a GPU can be handed to MPI. Collective.

    The library's own word comes first, because asking a library that cannot may end the process.

    Args:
        comm: The ranks that try a small all-reduce of one.

    Returns:
        The reason why not, or None where the sum was right.
    """
    reason = _built_without(comm)
    if reason is not None:
        return reason
    if not torch.cuda.is_available():
        return f"torch {torch.__version__} finds no GPU"
    tensor = torch.full((3,), float(comm.Get_rank()), device="cuda")
    summed = torch.zeros_like(tensor)
    torch.cuda.synchronize()
    comm.Allreduce(as_mpi(tensor, aware=True), as_mpi(summed, aware=True))
    expected = comm.Get_size() * (comm.Get_size() - 1) / 2
    if bool((summed == expected).all()):
        return None
    return f"a small all-reduce on the GPU gave {summed.tolist()} instead of {expected}"


def _built_without(comm: MPI.Comm) -> str | None:
    from mpi4py import MPI

    vendor, _ = MPI.get_vendor()
    if vendor != "Open MPI":
        return f"{vendor} cannot be asked whether it was built with CUDA"
    # The tool of the same installation: of the wheel it lies beside python, else on the path.
    beside = Path(sys.executable).with_name("ompi_info")
    tool = str(beside) if beside.exists() else shutil.which("ompi_info")
    if tool is None:
        return "ompi_info is missing, which says whether Open MPI was built with CUDA"
    said = subprocess.run([tool, "--parsable", "--all"], capture_output=True, text=True, check=False).stdout
    return None if comm.allreduce(BUILT_IN in said, op=MPI.LAND) else "Open MPI was built without CUDA (ompi_info)"
