"""A load for a calibration: matrix products on a fraction of the cores, in processes that end with their parent.

``python -m bench.energy.calibration.load_generator SHARE [matrix|stream|send HOST:PORT]`` is one of them: it works for SHARE of
the time on one core.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType

from bench.common.paths import JOB_FOLDER

PERIOD_S = 0.02
"""Of work and rest, where a core is busy for part of the time only: shorter than any meter's renewal."""
SIZE = 256
STREAM_BYTES = 2**23
"""Of an array that is copied: more than a core's caches hold, less than a period takes."""
SENT_BYTES = 2**16
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


class Workers:
    """Keeps cores busy. Enters when all workers are at it.

    Args:
        shares: How busy each worker is.
        words: What they do, as on the command line; none: matrix products.
    """

    def __init__(self, shares: Sequence[float], words: Sequence[str] = ()) -> None:
        self.shares, self.words = list(shares), tuple(words)
        self._workers: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Workers:
        for share in self.shares:
            worker = subprocess.Popen(
                [sys.executable, "-m", "bench.energy.calibration.load_generator", str(share), *self.words],
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


class Load(Workers):
    """``with Load(0.5):`` keeps half of the cores that this process may use busy with matrix products."""

    def __init__(self, fraction: float) -> None:
        super().__init__(shares(fraction, len(os.sched_getaffinity(0))))


def work(share: float, kind: str = "matrix", address: str = "") -> None:
    """Work for part of the time, until stdin closes.

    Args:
        share: The part of the time, 0 to 1.
        kind: ``matrix`` products, a ``stream`` through memory, or ``send`` bytes.
        address: Where bytes are sent to, ``HOST:PORT``.
    """
    threading.Thread(target=_end_with_parent, daemon=True).start()
    once = _piece_of(kind, address)
    print("ready", flush=True)
    while True:
        begin = time.monotonic()
        while time.monotonic() - begin < share * PERIOD_S:
            once()
        if share < 1:
            time.sleep((1 - share) * PERIOD_S)


def _piece_of(kind: str, address: str) -> Callable[[], object]:
    """A short piece of work that is done again and again."""
    import numpy as np

    if kind == "stream":
        source, target = np.zeros((2, STREAM_BYTES // 8))
        return lambda: np.copyto(target, source)
    if kind == "send":
        host, _, port = address.rpartition(":")
        connection, block = socket.create_connection((host, int(port)), timeout=10), bytes(SENT_BYTES)
        connection.settimeout(None)
        return lambda: connection.sendall(block)
    left, right = np.random.default_rng(0).random((2, SIZE, SIZE), dtype=np.float32)
    return lambda: left @ right


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    work(float(sys.argv[1]), *sys.argv[2:])
