"""How all operations of a mesh communicate: one frozen set of choices. Neither torch nor MPI is imported here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Wait = Literal["spin", "poll"]
Progress = Literal["thread", "inline"]
AllReduce = Literal["mpi", "ring", "recursive_doubling"]
Cuda = Literal["staged", "aware"]

WAITS: tuple[Wait, ...] = get_args(Wait)
PROGRESSES: tuple[Progress, ...] = get_args(Progress)
ALL_REDUCES: tuple[AllReduce, ...] = get_args(AllReduce)
CUDAS: tuple[Cuda, ...] = get_args(Cuda)


@dataclass(frozen=True)
class CommOptions:
    """Choices that every group of a mesh shares.

    Attributes:
        wait: How a rank waits for its partners: ``spin`` (MPI's own way, a core at full load) or ``poll`` (sleeps between
            tests, ``waiting.py``).
        progress: ``thread`` moves gradients and messages beside the computation (``progress_thread.py``), ``inline`` after it.
        all_reduce: The library's own choice (``mpi``) or an algorithm of ``all_reduce_algorithms.py``.
        cuda: Buffers on a GPU go through pinned host memory (``staged``) or to MPI as they are (``aware``,
            ``cuda_buffers.py``).
    """

    wait: Wait = "spin"
    progress: Progress = "thread"
    all_reduce: AllReduce = "mpi"
    cuda: Cuda = "staged"

    @property
    def cuda_aware(self) -> bool:
        """Whether MPI gets buffers on a GPU as they are."""
        return self.cuda == "aware"
