"""The halves of a batch by turns: one computes while the other's reduction is on its way.

    computing       | A1 | B1 | A2 | B2 | A3 ...      A, B: halves of a micro-batch; 1, 2, ...: what lies between two reductions
    communicating        | A1 | B1 | A2 | B2 ...

The second half has a thread of its own, so that both can stop in the middle of a layer, forward or backward. Only one of them
ever computes, and they change in strict order: every rank adds up in the same order, so replicated weights stay equal to the
last bit. (Others cut tokens or products into tiles: Ye et al., Galaxy, INFOCOM 2024; Wang et al., ASPLOS 2023.)
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Literal

import torch

from strategies.comm.comm_options import AllReduce, Wait
from strategies.comm.group import Group
from strategies.comm.ledger import OUTSIDE, Ledger
from strategies.comm.progress_thread import CommThread


class Abandoned(Exception):
    """The other half ended with an error; this one ends too."""


class Turns:
    """Runs two halves by turns, and their communication beside them.

    Args:
        ledger: Has a phase for each stretch that a half computes, and a wait for each time that nothing was left to compute.
        axis: The name of the group in the ledger.
    """

    def __init__(self, ledger: Ledger, axis: str) -> None:
        self.ledger, self.axis = ledger, axis
        self.active = False
        self._messages, self._second = CommThread(), CommThread()
        self._begin(-1)
        threads = torch.get_num_threads()
        self._second.submit(lambda: torch.set_num_threads(threads)).result()

    def run(self, first: Callable[[], None], second: Callable[[], None], micro: int) -> None:
        """Run both halves to their ends. Every rank runs the same ones.

        Args:
            first: Begins; on the thread of the caller.
            second: Computes while ``first`` waits, on a thread of its own.
            micro: The number of the micro-batch, for the ledger.

        Raises:
            Exception: The first one that ended a half; the other half has ended with it.
        """
        self._begin(micro)
        self.active, outer = True, self.ledger.phase
        other = self._second.submit(lambda: self._half(1, second))
        errors = [self._error_of(lambda: self._half(0, first)), self._error_of(other.result)]
        self.active, self.ledger.phase = False, outer
        raised = [error for error in errors if error is not None]
        if raised:
            raise next((error for error in raised if not isinstance(error, Abandoned)), raised[0])

    def enter(self, phase: str) -> None:
        """Begin a phase of the half that computes.

        Args:
            phase: ``forward`` or ``backward``.
        """
        self._note()
        self.ledger.phase = phase

    def beside(self, call: Callable[[], None]) -> None:
        """Communicate beside the computation of the other half; returns when the call is done.

        Args:
            call: A communication; the halves of every rank make the same ones in the same order.
        """
        half, phase = self._turn, self.ledger.phase
        self._note()
        spent_ns = list[int]()
        future = self._messages.submit(lambda: spent_ns.append(_processor_ns(call)))
        self._hand_over(half)
        self.ledger.phase = phase
        self._finish(future)
        self.ledger.spend("comm", sum(spent_ns))

    def close(self) -> None:
        """End both threads."""
        self._messages.close()
        self._second.close()

    def _begin(self, micro: int) -> None:
        self._gates = (threading.Semaphore(0), threading.Semaphore(0))
        self._done, self._failed, self._turn = [False, False], False, 0
        self._began_ns, self._mark = time.monotonic_ns(), (micro, 0)

    def _half(self, number: int, compute: Callable[[], None]) -> None:
        if number:
            self._wait_for_turn(number)
        try:
            compute()
        except BaseException:
            self._failed = True
            raise
        finally:
            self._note()
            self._done[number] = True
            self._turn = 1 - number
            self._gates[1 - number].release()

    def _hand_over(self, half: int) -> None:
        """The other half's turn, until it communicates in its turn or ends."""
        if self._done[1 - half]:
            return
        self._turn = 1 - half
        self._gates[1 - half].release()
        self._wait_for_turn(half)

    def _wait_for_turn(self, half: int) -> None:
        self._gates[half].acquire()
        self._turn = half
        if self._failed:
            raise Abandoned("the other half of the batch ended with an error")
        self._began_ns = time.monotonic_ns()

    def _finish(self, future: Future[None]) -> None:
        """Wait for a communication for which the other half's computation was too short."""
        begin_ns = time.monotonic_ns()
        future.result()
        self.ledger.add(self.axis, "drain", 0, 0.0, begin_ns, (), kind="wait")
        self._began_ns = time.monotonic_ns()

    def _note(self) -> None:
        """End the stretch in which a half computed: the phases of two halves do not overlap. Before its first there is none."""
        if self.ledger.phase != OUTSIDE:
            self.ledger.add("", self.ledger.phase, 0, 0.0, self._began_ns, self._mark, kind="phase")
        self._began_ns = time.monotonic_ns()

    @staticmethod
    def _error_of(call: Callable[[], None]) -> BaseException | None:
        try:
            call()
        except BaseException as error:  # noqa: BLE001 - raised again once both halves have ended
            return error
        return None


def _processor_ns(call: Callable[[], None]) -> int:
    """Run a communication; its processor time. A thread of its own does not know that autograd has been switched off."""
    begin_ns = time.thread_time_ns()
    with torch.no_grad():
        call()
    return time.thread_time_ns() - begin_ns


class HiddenGroup(Group):
    """A group whose operations go on beside the other half's computation while ``turns`` runs; else as those of ``group``.

    Its communicator is used by one thread at a time: by that of the messages while halves take turns, else by the caller's.

    Args:
        group: The ranks.
        turns: Of the halves.
        free: Whether nobody asked for a certain all-reduce. Then none is the library's own beside a computation: its
            non-blocking one of two or three ranks reduces to one of them and broadcasts, in twice the time.
    """

    def __init__(self, group: Group, turns: Turns, free: bool) -> None:
        self.turns, self.free = turns, free
        super().__init__(group.comm, group.axis, group.members, group.ledger, group.options, group.opened)

    @property
    def thread(self) -> Literal["main", "comm"]:
        """Which thread calls."""
        return "comm" if self.turns.active else "main"

    @thread.setter
    def thread(self, thread: str) -> None:
        """Left alone: the turns say it.

        Args:
            thread: That of the group at its making.
        """

    @property
    def wait(self) -> Wait:
        """How the operations wait: beside the computation they sleep between tests, since spinning takes a core."""
        return "poll" if self.turns.active else self.options.wait

    def algorithm(self, payload_bytes: int) -> AllReduce:
        """Which all-reduce sums a buffer.

        Args:
            payload_bytes: Of the buffer.

        Returns:
            Its name.
        """
        chosen = super().algorithm(payload_bytes)
        return "ring" if chosen == "mpi" and self.free and self.turns.active else chosen

    def _counted(self, op: str, call: Callable[[], object], payload: int, phase: str | None) -> None:
        if not self.turns.active:
            super()._counted(op, call, payload, phase)
            return
        phase, counted = phase or self.ledger.phase, super()._counted
        self.turns.beside(lambda: counted(op, call, payload, phase))
