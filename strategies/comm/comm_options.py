"""How operations of a mesh communicate: what is asked for, and what a group has. Neither torch nor MPI is imported here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Wait = Literal["spin", "poll"]
Progress = Literal["thread", "inline"]
AllReduce = Literal["mpi", "ring", "recursive_doubling"]
Cuda = Literal["staged", "aware"]
Auto = Literal["auto"]

AUTO: Auto = "auto"
WAITS: tuple[Wait, ...] = get_args(Wait)
PROGRESSES: tuple[Progress, ...] = get_args(Progress)
ALL_REDUCES: tuple[AllReduce, ...] = get_args(AllReduce)
CUDAS: tuple[Cuda, ...] = get_args(Cuda)


@dataclass(frozen=True)
class CommOptions:
    """What is asked for; ``auto`` is decided for each axis of the mesh when it is set up (``comm_choice.py``).

    Attributes:
        wait: How a rank waits for its partners: ``spin`` (MPI's own way, a core at full load) or ``poll`` (sleeps between
            tests, ``waiting.py``).
        progress: ``thread`` moves gradients and messages beside the computation (``progress_thread.py``), ``inline`` after it.
        all_reduce: The library's own choice (``mpi``) or an algorithm of ``all_reduce_algorithms.py``.
        cuda: Buffers on a GPU go through pinned host memory (``staged``) or to MPI as they are (``aware``,
            ``cuda_buffers.py``).
        receive_delay_s: Added to every message on its way, s: the latency of dilated boards (``message_latency.py``).
    """

    wait: Wait | Auto = AUTO
    progress: Progress | Auto = AUTO
    all_reduce: AllReduce | Auto = AUTO
    cuda: Cuda = "staged"
    receive_delay_s: float = 0.0


@dataclass(frozen=True)
class AllReduceTable:
    """Which algorithm sums how many bytes.

    Attributes:
        rows: (bytes, algorithm) by size: the algorithm of the first row that is large enough; of the last one beyond.
    """

    rows: tuple[tuple[int, AllReduce], ...]

    @classmethod
    def always(cls, algorithm: AllReduce) -> AllReduceTable:
        """The same algorithm for all sizes.

        Args:
            algorithm: Which.

        Returns:
            A table of one row.
        """
        return cls(((0, algorithm),))

    def algorithm(self, payload_bytes: int) -> AllReduce:
        """The algorithm of an all-reduce.

        Args:
            payload_bytes: Of its buffer.

        Returns:
            Its name.
        """
        return next((name for limit, name in self.rows if payload_bytes <= limit), self.rows[-1][1])

    def __str__(self) -> str:
        *limited, (_, last) = self.rows
        return ", ".join([*(f"{name} up to {limit} B" for limit, name in limited), f"{last} above" if limited else last])


@dataclass(frozen=True)
class GroupOptions:
    """How the operations of one group communicate: ``CommOptions`` without ``auto``, and ``waiting.py`` for this rank."""

    wait: Wait = "spin"
    progress: Progress = "thread"
    all_reduce: AllReduceTable = AllReduceTable.always("mpi")  # noqa: RUF009 - frozen
    cuda: Cuda = "staged"
    receive_delay_s: float = 0.0
    cores: float = 1.0
    segment_bytes: int = 0

    @property
    def cuda_aware(self) -> bool:
        """Whether MPI gets buffers on a GPU as they are."""
        return self.cuda == "aware"
