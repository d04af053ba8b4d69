"""Work for MPI beside the computation: a communication thread and a progress pump.

``Iallreduce`` does not advance by itself in Open MPI or MPICH; a blocking all-reduce on a thread of its own does,
because mpi4py releases the interpreter lock while it blocks. Messages need a nudge as well: a rendezvous between
two computing ranks stands still until one of them enters MPI.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING

from strategies.comm.processor_clock import thread_clock_ns

if TYPE_CHECKING:
    from strategies.comm.group import Group


class CommThread:
    """Runs submitted calls one after the other, in order, on one thread. Every rank must submit the same order."""

    def __init__(self) -> None:
        self._work: queue.SimpleQueue[tuple[Callable[[], None], Future[None]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="comm", daemon=True)
        self._thread.start()

    def submit(self, call: Callable[[], None]) -> Future[None]:
        """Put a call at the end of the queue.

        Args:
            call: Runs on the thread; every rank submits the same ones in the same order.

        Returns:
            Done when the call is; has its exception if it raised one.
        """
        future: Future[None] = Future()
        self._work.put((call, future))
        return future

    def close(self) -> None:
        """End the thread after the calls that were submitted."""
        self._work.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (item := self._work.get()) is not None:
            call, future = item
            try:
                call()
            except BaseException as error:  # noqa: BLE001 - it belongs to whoever waits for the future
                future.set_exception(error)
            else:
                future.set_result(None)


class Pump:
    """While active, enters MPI up to a few thousand times a second, so that messages move while this rank computes."""

    def __init__(self, group: Group) -> None:
        self._comm, self._ledger, self._begin_ns = group.duplicate(), group.ledger, 0
        self._period_s = group.waiting.pump_period_s
        self._active, self._closed = threading.Event(), False
        self._thread = threading.Thread(target=self._run, name="pump", daemon=True)
        self._thread.start()

    def __enter__(self) -> Pump:
        if self._thread.is_alive():  # it ends where a rank died
            self._begin_ns = thread_clock_ns(self._thread.ident)
        self._active.set()
        return self

    def __exit__(self, *_: object) -> None:
        self._active.clear()
        if self._thread.is_alive():
            self._ledger.spend("pump", thread_clock_ns(self._thread.ident) - self._begin_ns)

    def close(self) -> None:
        """End the thread."""
        self._closed = True
        self._active.set()
        self._thread.join()

    def _run(self) -> None:
        from mpi4py import MPI

        while self._active.wait() and not self._closed:
            try:
                self._comm.Iprobe()
            except MPI.Exception:  # a rank is dead: whoever waits for it finds out, and says so
                return
            time.sleep(self._period_s)
