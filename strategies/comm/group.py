"""The ranks along one mesh axis: their communicator, its operations, and the counting of every byte.

| operation  | payload (what a rank hands to MPI) | wire (sent per rank, bandwidth-optimal) |
|------------|------------------------------------|-----------------------------------------|
| all_reduce | the buffer                         | 2 (n-1)/n of it                         |
| all_gather | the rank's own part                | (n-1) times it                          |
| send       | the message, counted by its sender | the message                             |
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from strategies.comm.buffers import as_mpi, nbytes
from strategies.comm.ledger import Ledger
from strategies.comm.waiting import Wait, finish
from strategies.plan import all_reduce_wire

if TYPE_CHECKING:
    from mpi4py import MPI


class Group:
    """``axis`` names the group in the ledger; ``members`` are its world ranks in the order of the communicator."""

    def __init__(
        self,
        comm: MPI.Comm,
        axis: str,
        members: tuple[int, ...],
        ledger: Ledger,
        wait: Wait = "spin",
        thread: str = "main",
    ) -> None:
        self.comm, self.axis, self.members, self.ledger, self.wait, self.thread = (
            comm,
            axis,
            members,
            ledger,
            wait,
            thread,
        )
        self.size, self.rank = comm.Get_size(), comm.Get_rank()
        self._calls = 0

    def for_thread(self) -> Group:
        """The same ranks on a duplicated communicator, for use by one communication thread. Collective."""
        return Group(self.comm.Dup(), self.axis, self.members, self.ledger, self.wait, "comm")

    def all_reduce(self, tensor: Tensor, phase: str | None = None) -> Tensor:
        """The sum over the group as a new tensor; ``tensor`` stays as it is."""
        if self.size == 1:
            return tensor
        total = torch.empty_like(tensor)
        self._collect("all_reduce", as_mpi(tensor), as_mpi(total), nbytes(tensor), phase)
        return total

    def all_reduce_(self, tensor: Tensor, phase: str | None = None) -> None:
        """Replace ``tensor`` by the sum over the group."""
        if self.size > 1:
            from mpi4py import MPI

            self._collect("all_reduce", MPI.IN_PLACE, as_mpi(tensor), nbytes(tensor), phase)

    def all_gather(self, tensor: Tensor, phase: str | None = None) -> Tensor:
        """[size, *tensor.shape]: the tensors of all ranks, which must have the same shape."""
        gathered = tensor.new_empty((self.size, *tensor.shape))
        if self.size == 1:
            gathered[0] = tensor
        else:
            self._collect("all_gather", as_mpi(tensor), as_mpi(gathered), nbytes(tensor), phase)
        return gathered

    def _collect(self, op: str, send: Any, receive: Any, payload: int, phase: str | None) -> None:
        blocking, nonblocking = {
            "all_reduce": (self.comm.Allreduce, self.comm.Iallreduce),
            "all_gather": (self.comm.Allgather, self.comm.Iallgather),
        }[op]
        wire = all_reduce_wire(payload, self.size) if op == "all_reduce" else float((self.size - 1) * payload)
        t0 = time.monotonic_ns()
        if self.wait == "spin":
            blocking(send, receive)
        else:
            finish(nonblocking(send, receive), self.wait)
        self._calls += 1
        match: tuple[int | str, ...] = (self.thread, self._calls, *self.members)
        self.ledger.add(self.axis, op, payload, wire, t0, match, phase=phase, thread=self.thread)

    def send(self, tensor: Tensor, to: int, tag: int) -> Message:
        """Begin to send to group rank ``to``. The message keeps the tensor alive until it is waited for."""
        t0, payload = time.monotonic_ns(), nbytes(tensor)
        request = self.comm.Isend(as_mpi(tensor), dest=to, tag=tag)
        self.ledger.add(self.axis, "send", payload, float(payload), t0, (self.members[self.rank], self.members[to], tag))
        return Message(self, request, tensor, "send", (self.members[self.rank], self.members[to], tag))

    def receive(self, tensor: Tensor, source: int, tag: int) -> Message:
        """Begin to receive into ``tensor`` from group rank ``source``."""
        request = self.comm.Irecv(as_mpi(tensor), source=source, tag=tag)
        return Message(self, request, tensor, "receive", (self.members[source], self.members[self.rank], tag))


class Message:
    """A message under way. ``finish`` returns its tensor when the buffer may be used."""

    def __init__(
        self, group: Group, request: Any, tensor: Tensor, op: Literal["send", "receive"], match: tuple[int, int, int]
    ) -> None:
        self.group, self.request, self.tensor, self.op, self.match = group, request, tensor, op, match

    def finish(self) -> Tensor:
        t0 = time.monotonic_ns()
        finish(self.request, self.group.wait)
        op = "receive" if self.op == "receive" else "send_wait"
        self.group.ledger.add(self.group.axis, op, 0, 0.0, t0, self.match)
        return self.tensor
