"""The ``comm`` block: how ranks communicate."""

from __future__ import annotations

from dataclasses import dataclass

from bench.config.config_field import setting
from strategies.comm.comm_options import ALL_REDUCES, CUDAS, PROGRESSES, WAITS


@dataclass(frozen=True)
class CommConfig:
    """Communication of one point. In a resolved point ``progress`` is never null."""

    wait: str = setting("spin", "while waiting: spin (fastest, burns a core) or poll (sleeps between tests)", choices=WAITS)
    progress: str | None = setting(
        None,
        "thread (communication beside computation) or inline; null: what suits the strategy",
        choices=PROGRESSES,
    )
    cuda: str = setting(
        "staged",
        "with device=cuda: staged (pinned host memory) or aware (MPI takes GPU buffers; tried first)",
        choices=CUDAS,
    )
    all_reduce: str = setting(
        "mpi",
        "algorithm of all-reduces: mpi (the library's own choice), ring, recursive_doubling",
        choices=ALL_REDUCES,
    )
