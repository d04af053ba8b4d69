"""The ``comm`` block: how ranks communicate."""

from __future__ import annotations

from dataclasses import dataclass

from bench.config.config_field import setting
from strategies.comm.comm_options import ALL_REDUCES, AUTO, CUDAS, PROGRESSES, WAITS


@dataclass(frozen=True)
class CommConfig:
    """Communication of a point; its record says what ``auto`` became, and why. ``progress`` of a resolved point is not null."""

    wait: str = setting(
        AUTO,
        "while waiting: spin (fastest, burns a core), poll (sleeps between tests) or auto (by a rank's cores)",
        choices=(AUTO, *WAITS),
    )
    progress: str | None = setting(
        AUTO,
        "thread (messages move beside the computation), inline, or auto (by where the ranks are); null: auto",
        choices=(AUTO, *PROGRESSES),
    )
    cuda: str = setting(
        "staged",
        "with device=cuda: staged (pinned host memory) or aware (MPI takes GPU buffers; tried first)",
        choices=CUDAS,
    )
    all_reduce: str = setting(
        AUTO,
        "mpi (the library's own choice), ring, recursive_doubling, or auto (the fastest when tried at set-up)",
        choices=(AUTO, *ALL_REDUCES),
    )
