"""A group of ranks: their communicator, its operations, and the counting of every byte (``plan/traffic.py`` has the table).

Collectives are MPI's own; ``GroupOptions.all_reduce`` may replace that of all-reduce (``all_reduce_algorithms.py``).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from strategies.comm.all_reduce_algorithms import add_up, ring_all_gather, ring_reduce_scatter
from strategies.comm.comm_options import AllReduce, GroupOptions, Progress, Wait
from strategies.comm.ledger import Ledger
from strategies.comm.message_latency import arrive_later, is_under_way, latencies
from strategies.comm.mpi_buffers import as_mpi, from_host, host_like, nbytes, parts_as_mpi, to_host
from strategies.comm.processor_clock import on_processor_clock
from strategies.comm.waiting import Waiting
from strategies.plan.partition import Span, spans
from strategies.plan.traffic import wire_bytes

if TYPE_CHECKING:
    from mpi4py import MPI


PIECE_BYTES = 4 * 2**20


class Group:
    """A communicator and its counted operations.

    Args:
        comm: The communicator.
        axis: The name of the group in the ledger.
        members: World ranks in the order of the communicator.
        ledger: Where every operation is counted.
        options: How its operations wait, which all-reduce they use, and who moves messages beside the computation.
        opened: All communicators of the mesh; those made here are appended.
        thread: Which thread calls: ``main``, or ``comm`` beside the computation.
    """

    def __init__(
        self,
        comm: MPI.Comm,
        axis: str,
        members: tuple[int, ...],
        ledger: Ledger,
        options: GroupOptions | None = None,
        opened: list[MPI.Comm] | None = None,
        thread: str = "main",
    ) -> None:
        self.comm, self.axis, self.members, self.ledger = comm, axis, members, ledger
        self.options = options or GroupOptions()
        self.opened = [comm] if opened is None else opened
        self.thread = thread
        self.size, self.rank = comm.Get_size(), comm.Get_rank()
        self._calls = 0

    @property
    def wait(self) -> Wait:
        """How its operations wait."""
        return self.options.wait

    @property
    def waiting(self) -> Waiting:
        """The same, with the sleeps that suit this rank's share of a core and the messages that suit the transport."""
        return Waiting(self.wait, self.options.cores, self.options.segment_bytes)

    def algorithm(self, payload_bytes: int) -> AllReduce:
        """Which all-reduce sums a buffer.

        Args:
            payload_bytes: Of the buffer.

        Returns:
            Its name.
        """
        return self.options.all_reduce.algorithm(payload_bytes)

    @property
    def progress(self) -> Progress:
        """Who moves its messages while a rank computes."""
        return self.options.progress

    @property
    def aware(self) -> bool:
        """Whether MPI gets buffers on a GPU as they are."""
        return self.options.cuda_aware

    def for_thread(self) -> Group:
        """The same ranks on a duplicated communicator, for use by one communication thread. Collective."""
        return Group(self.duplicate(), self.axis, self.members, self.ledger, self.options, self.opened, thread="comm")

    def duplicate(self) -> MPI.Comm:
        """Another communicator of the same ranks. Collective."""
        self.opened.append(self.comm.Dup())
        return self.opened[-1]

    @on_processor_clock
    def all_reduce(self, tensor: Tensor, phase: str | None = None) -> Tensor:
        """Add up over the group; ``tensor`` stays as it is.

        Args:
            tensor: This rank's summand, contiguous, of the same shape and dtype on all ranks.
            phase: The phase in the ledger; None for the current one.

        Returns:
            The sum as a new tensor; ``tensor`` itself in a group of one.
        """
        if self.size == 1:
            return tensor
        total = torch.empty_like(tensor)
        host, summed = to_host(tensor, self.aware), host_like(total, self.aware)
        self._counted("all_reduce", lambda: self._add_up(host, summed), nbytes(tensor), phase)
        return from_host(summed, total)

    @on_processor_clock
    def all_reduce_(self, tensor: Tensor, phase: str | None = None) -> None:
        """Replace ``tensor`` by the sum over the group.

        Args:
            tensor: This rank's summand, contiguous, of the same shape and dtype on all ranks.
            phase: The phase in the ledger; None for the current one.
        """
        if self.size == 1:
            return
        host = to_host(tensor, self.aware)
        self._counted("all_reduce", lambda: self._add_up(host, host), nbytes(tensor), phase)
        from_host(host, tensor)

    def _add_up(self, sent: Tensor, summed: Tensor) -> None:
        """All-reduce in pieces: over shared memory Open MPI sums 4 MiB at 8.7 GiB/s, and 64 MiB, beyond the caches, at 2."""
        length = max(1, PIECE_BYTES // sent.element_size())
        for source, target in zip(sent.view(-1).split(length), summed.view(-1).split(length), strict=True):
            algorithm = self.algorithm(nbytes(target))
            add_up(self.comm, target if sent is summed else source, target, algorithm, self.waiting, self.aware)
            arrive_later(latencies("all_reduce", self.size, algorithm), self.options.receive_delay_s)

    @on_processor_clock
    def all_gather(self, tensor: Tensor, phase: str | None = None) -> Tensor:
        """Gather the tensors of all ranks.

        Args:
            tensor: This rank's, contiguous, of the same shape and dtype on all ranks.
            phase: The phase in the ledger; None for the current one.

        Returns:
            [size, ...] with the shape of ``tensor`` behind, in the order of the ranks.
        """
        gathered = tensor.new_empty((self.size, *tensor.shape))
        if self.size == 1:
            gathered[0] = tensor
            return gathered
        host, all_of_it = to_host(tensor, self.aware), host_like(gathered, self.aware)
        self._collect("all_gather", self._buffer(host), self._buffer(all_of_it), nbytes(tensor), phase)
        return from_host(all_of_it, gathered)

    @on_processor_clock
    def all_gather_(self, flat: Tensor, parts: list[Span], phase: str | None = None) -> None:
        """Fill a tensor of which each rank has its own part with those of all.

        Args:
            flat: 1-d. 16-bit floats may be moved.
            parts: The span of each rank.
            phase: The phase in the ledger; None for the current one.
        """
        if self.size == 1:
            return
        from mpi4py import MPI

        begin, end = parts[self.rank]
        host = to_host(flat, self.aware)
        payload = (end - begin) * flat.element_size()
        if self._by_ring:
            pieces = [host[begin:end] for begin, end in parts]
            self._counted("all_gather_v", lambda: ring_all_gather(self.comm, pieces, self.waiting), payload, phase)
            from_host(host, flat)
            return
        self._collect("all_gather_v", MPI.IN_PLACE, parts_as_mpi(host, parts, moved=True, aware=self.aware), payload, phase)
        from_host(host, flat)

    @on_processor_clock
    def reduce_scatter(self, flat: Tensor, parts: list[Span], phase: str | None = None) -> Tensor:
        """This rank's part of the sum over the group.

        Reduce_scatter with counts: Open MPI's Reduce_scatter_block reduces to one rank and scatters, 1.5 times the bytes.

        Args:
            flat: This rank's summand, 1-d; it stays as it is.
            parts: The span of each rank.
            phase: The phase in the ledger; None for the current one.

        Returns:
            The sum of that part, 1-d, in memory of its own.
        """
        begin, end = parts[self.rank]
        if self.size == 1:
            return flat[begin:end].clone()
        part = flat.new_empty(end - begin)
        host, summed = to_host(flat, self.aware), host_like(part, self.aware)
        if self._by_ring:
            spoilt = host.clone() if host is flat else host
            self._counted("reduce_scatter", lambda: self._ring_scatter(spoilt, parts, summed), nbytes(flat), phase)
            return from_host(summed, part)
        counts = [stop - start for start, stop in parts]
        self._collect("reduce_scatter", self._buffer(host), self._buffer(summed), nbytes(flat), phase, counts)
        return from_host(summed, part)

    @on_processor_clock
    def reduce_scatter_(self, flat: Tensor, parts: list[Span], phase: str | None = None) -> None:
        """Put the sum over the group into this rank's part of a tensor; the rest is left in disorder.

        Args:
            flat: This rank's summand, 1-d.
            parts: The span of each rank.
            phase: The phase in the ledger; None for the current one.
        """
        if self.size == 1:
            return
        from mpi4py import MPI

        host, (begin, end) = to_host(flat, self.aware), parts[self.rank]
        if self._by_ring:
            self._counted("reduce_scatter", lambda: self._ring_scatter(host, parts), nbytes(flat), phase)
            from_host(host, flat)
            return
        counts = [stop - start for start, stop in parts]
        self._collect("reduce_scatter", MPI.IN_PLACE, self._buffer(host), nbytes(flat), phase, counts)
        if begin:
            host[begin:end] = host[: end - begin].clone()  # in place, MPI leaves the result in front
        from_host(host, flat)

    @property
    def _by_ring(self) -> bool:
        """Whether large parts travel by messages of our own.

        The library's non-blocking reduce-scatter reduces to one rank and scatters from there, its all-gather sends all parts at
        once: ZeRO-1 over four boards at 1 Gbit/s took 4.1 s a step with them, and 2.3 s with a ring.
        """
        return self.wait == "poll" and not self.aware

    def _ring_scatter(self, flat: Tensor, parts: list[Span], summed: Tensor | None = None) -> None:
        pieces = [flat[begin:end] for begin, end in parts]
        ring_reduce_scatter(self.comm, pieces, self.waiting)
        if summed is not None:
            summed.copy_(pieces[self.rank])

    @on_processor_clock
    def all_to_all(self, parts: Sequence[Tensor], shapes: Sequence[Sequence[int]], phase: str | None = None) -> list[Tensor]:
        """Part i goes to rank i.

        Args:
            parts: One tensor for each rank. 16-bit floats may be moved.
            shapes: Shapes of the parts that come from each rank.
            phase: The phase in the ledger; None for the current one.

        Returns:
            The parts that came from all ranks.
        """
        if self.size == 1:
            return [parts[0].clone()]
        sent = torch.cat([part.reshape(-1) for part in parts])
        sizes = [math.prod(shape) for shape in shapes]
        received = sent.new_empty(sum(sizes))
        host, arrived = to_host(sent, self.aware), host_like(received, self.aware)
        send = parts_as_mpi(host, spans([part.numel() for part in parts]), moved=True, aware=self.aware)
        self._collect(
            "all_to_all", send, parts_as_mpi(arrived, spans(sizes), moved=True, aware=self.aware), nbytes(sent), phase
        )
        return [part.view(*shape) for part, shape in zip(from_host(arrived, received).split(sizes), shapes, strict=True)]

    def _buffer(self, tensor: Tensor) -> list[Any]:
        return as_mpi(tensor, aware=self.aware)

    def _collect(self, op: str, send: Any, receive: Any, payload: int, phase: str | None, *more: Any) -> None:
        comm = self.comm
        blocking, nonblocking = {
            "all_gather": (comm.Allgather, comm.Iallgather),
            "all_gather_v": (comm.Allgatherv, comm.Iallgatherv),
            "reduce_scatter": (comm.Reduce_scatter, comm.Ireduce_scatter),
            "all_to_all": (comm.Alltoallv, comm.Ialltoallv),
        }[op]
        if self.wait == "spin":
            self._counted(op, lambda: blocking(send, receive, *more), payload, phase)
        else:
            self._counted(op, lambda: self.waiting.finish(nonblocking(send, receive, *more)), payload, phase)

    def _counted(self, op: str, call: Callable[[], object], payload: int, phase: str | None) -> None:
        t0 = time.monotonic_ns()
        if self.thread != "main" and self.wait == "spin":
            # Spinning beside the computation would take its core: sleep until all have come, then let MPI do it.
            replace(self.waiting, wait="poll").finish(self.comm.Ibarrier())
        call()
        ring = self._by_ring and op in ("reduce_scatter", "all_gather_v")
        op = op.removesuffix("_v")
        if op != "all_reduce":  # whose pieces have come one by one
            arrive_later(latencies(op, self.size, "ring" if ring else "mpi"), self.options.receive_delay_s)
        self._calls += 1
        match: tuple[int | str, ...] = (self.thread, self._calls, *self.members)
        wire = wire_bytes(op, payload, self.size)
        self.ledger.add(self.axis, op, payload, wire, t0, match, phase=phase, thread=self.thread)

    @on_processor_clock
    def send(self, tensor: Tensor, to: int, tag: int) -> Message:
        """Begin to send. The message keeps the tensor alive until it is waited for.

        Args:
            tensor: Contiguous; not to be changed before the message is finished.
            to: Rank in the group.
            tag: The same number on both ends.

        Returns:
            The message on its way; its ``finish`` waits for it.
        """
        t0, payload, host = time.monotonic_ns(), nbytes(tensor), to_host(tensor, self.aware)
        requests = [self.comm.Isend(piece, dest=to, tag=tag) for piece in self._messages(host)]
        match = (self.members[self.rank], self.members[to], tag)
        self.ledger.add(self.axis, "send", payload, float(payload), t0, match)
        return Message(self, requests, host, host, "send", match)

    @on_processor_clock
    def receive(self, tensor: Tensor, source: int, tag: int) -> Message:
        """Begin to receive.

        Args:
            tensor: What is received into; contiguous, and not to be read before the message is finished.
            source: Rank in the group.
            tag: The same number on both ends.

        Returns:
            The message on its way; its ``finish`` waits for it and returns ``tensor``.
        """
        host = host_like(tensor, self.aware)
        requests = [self.comm.Irecv(piece, source=source, tag=tag) for piece in self._messages(host)]
        return Message(self, requests, host, tensor, "receive", (self.members[source], self.members[self.rank], tag))

    def _messages(self, host: Tensor) -> list[list[Any]]:
        """The buffers of a message: pieces within the eager limit, where it is not so long that it could fill its receiver."""
        if self.aware or not self.options.segment_bytes or nbytes(host) > PIECE_BYTES:
            return [self._buffer(host)]
        return [as_mpi(piece) for piece in self.waiting.pieces(host.view(-1))]


class Message:
    """A message under way. ``finish`` returns its tensor when the buffer may be used."""

    def __init__(
        self,
        group: Group,
        requests: list[Any],
        host: Tensor,
        tensor: Tensor,
        op: Literal["send", "receive"],
        match: tuple[int, int, int],
    ) -> None:
        self.group, self.requests, self.host, self.tensor, self.op, self.match = group, requests, host, tensor, op, match
        self.ledger, self.thread = group.ledger, group.thread

    @on_processor_clock
    def finish(self) -> Tensor:
        """Wait until the message is complete; the tensor that was sent, or that was received into."""
        t0 = time.monotonic_ns()
        delay_s = self.group.options.receive_delay_s if self.op == "receive" else 0.0
        late = is_under_way(self.requests, delay_s)
        self.group.waiting.finish_all(self.requests)
        arrive_later(int(late), delay_s)
        op = "receive" if self.op == "receive" else "send_wait"
        self.group.ledger.add(self.group.axis, op, 0, 0.0, t0, self.match)
        return from_host(self.host, self.tensor)
