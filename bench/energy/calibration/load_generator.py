"""A load for a calibration: matrix products on a fraction of the cores, in processes that end with their parent.

``python -m bench.energy.calibration.load_generator SHARE`` is one of them: it works for SHARE of the time on one core.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from types import TracebackType

from bench.common.paths import JOB_FOLDER

PERIOD_S = 0.02
"""Of work and rest, where a core is busy for part of the time only: shorter than any meter's renewal."""
SIZE = 256
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def shares(fraction: float, cores: int) -> list[float]:
    """How busy each worker is: whole cores first, then what is left.

    Args:
        fraction: Share of all cores that is busy, 0 to 1.
        cores: How many cores there are.

    Returns:
        The share of its core of each worker, in (0, 1]; empty for no load.
    """
    busy = fraction * cores
    whole = int(busy + 1e-9)
    return [1.0] * whole + ([busy - whole] if busy - whole > 1e-9 else [])


class Load:
    """``with Load(0.5):`` keeps half of the cores that this process may use busy. Enters when all workers are at it."""

    def __init__(self, fraction: float) -> None:
        self.shares = shares(fraction, len(os.sched_getaffinity(0)))
        self._workers: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Load:
        for share in self.shares:
            worker = subprocess.Popen(
                [sys.executable, "-m", "bench.energy.calibration.load_generator", str(share)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                cwd=JOB_FOLDER,
                env={**os.environ, **ONE_THREAD},
            )
            self._workers.append(worker)
        for worker in self._workers:
            assert worker.stdout is not None
            worker.stdout.readline()  # empty where it died: then the load is too small, which the powers show
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for worker in self._workers:
            worker.kill()
            worker.wait()
            for pipe in (worker.stdin, worker.stdout):
                if pipe is not None:
                    pipe.close()
        self._workers = []


def work(share: float) -> None:
    """Matrix products for part of the time, until stdin closes.

    Args:
        share: The part of the time, 0 to 1.
    """
    import numpy as np

    threading.Thread(target=_end_with_parent, daemon=True).start()
    left, right = np.random.default_rng(0).random((2, SIZE, SIZE), dtype=np.float32)
    print("ready", flush=True)
    while True:
        begin = time.monotonic()
        while time.monotonic() - begin < share * PERIOD_S:
            left @ right
        if share < 1:
            time.sleep((1 - share) * PERIOD_S)


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    work(float(sys.argv[1]))
