"""Processor time of messages: what a rank's threads spend inside communication, by the kernel's clock of each thread.

It covers copies to and from staging buffers, the calls into MPI and, where a group spins, the waiting inside them. It does not
cover what the kernel does for the network in interrupts, which belongs to no thread.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from strategies.comm.ledger import Ledger

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class Communicates(Protocol):
    """What has operations to be timed: the ledger that counts them and the name of the thread that calls."""

    ledger: Ledger
    thread: str


Self = TypeVar("Self", bound=Communicates)


def on_processor_clock(
    method: Callable[Concatenate[Self, Arguments], Result],
) -> Callable[Concatenate[Self, Arguments], Result]:
    """Count the processor time of an operation in its ledger. Two readings of a clock, one or two microseconds.

    Args:
        method: An operation, never called by another one that is counted.

    Returns:
        The same operation, counted.
    """

    @functools.wraps(method)
    def counted(self: Self, /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        begin_ns = time.thread_time_ns()
        try:
            return method(self, *args, **kwargs)
        finally:
            self.ledger.spend(self.thread, time.thread_time_ns() - begin_ns)

    return counted


def thread_clock_ns(ident: int | None) -> int:
    """The processor time of another thread of this process so far.

    Args:
        ident: Its identifier, ``Thread.ident``; None: it has not begun.

    Returns:
        Nanoseconds.
    """
    return 0 if ident is None else time.clock_gettime_ns(time.pthread_getcpuclockid(ident))
