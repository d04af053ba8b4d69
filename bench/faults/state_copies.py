"""The state of the training, copied every few steps into the memory of the ranks, and brought to where it is needed.

Every rank keeps its own part. What would be lost with its host goes also to a rank on another one: nothing in data
parallelism, where every replica has everything, and a stage's or a shard's weights and optimizer states elsewhere. Two
copies are kept, so that a failure during the second leaves the first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from bench.faults.state_pieces import Piece, alone, covering, keepers, pieces, transfers
from strategies.base import Strategy
from strategies.comm.mpi_buffers import as_mpi, nbytes
from strategies.models.pretrained_weights import WeightLoader
from strategies.plan.model_spec import ModelSpec, Parameter, parameters
from strategies.plan.partition import Span
from strategies.plan.shapes import Plan
from strategies.step.training_checkpoint import states_of

if TYPE_CHECKING:
    from mpi4py import MPI

TAG = 4801
WEIGHT = "weight"
Held = dict[Piece, dict[str, Tensor]]
"""Of every piece its weight and the optimizer's states by name, on the CPU."""


@dataclass(frozen=True)
class Copy:
    """The state after ``step`` steps: this rank's pieces, and those that it keeps for another."""

    step: int
    held: Held


class Copies:
    """Copies of the state of ``strategy`` and its optimizer, on ranks of ``comm`` that run on ``hosts``."""

    def __init__(self, comm: MPI.Intracomm, strategy: Strategy, optimizer: torch.optim.Optimizer, hosts: Sequence[str]) -> None:
        self.comm, self.strategy, self.optimizer = comm, strategy, optimizer
        self.kept: list[Copy] = []
        self.payload_bytes = 0
        rank, placement, spec = comm.Get_rank(), strategy.step_plan.placements, strategy.spec
        self._local_pieces = pieces(placement[rank], spec)
        keeper, sole = keepers(hosts), alone(placement, spec, hosts)
        self._sole_pieces, self._keeper = sole[rank], keeper[rank]
        self._wards = [(other, sole[other]) for other in range(len(hosts)) if keeper[other] == rank and sole[other]]

    def take(self, step: int) -> None:
        """Copy the state. Collective. ``payload_bytes`` grows by what this rank sends.

        Args:
            step: The steps that the state has taken.
        """
        state = self._state()
        held = self.kept[0].held if len(self.kept) == 2 else self._room(list(state))
        with torch.no_grad():
            for piece in self._local_pieces:
                for kind, values in state.items():
                    held[piece][kind].copy_(values[piece.name])
        arriving = [(tensor, ward) for ward, theirs in self._wards for piece in theirs for tensor in held[piece].values()]
        leaving = [(tensor, self._keeper) for piece in self._sole_pieces for tensor in held[piece].values()]
        exchange(self.comm, leaving, arriving)
        self.payload_bytes += sum(nbytes(tensor) for tensor, _ in leaving)
        self.comm.Barrier()  # a copy counts when every rank has its own
        self.kept = [*self.kept[-1:], Copy(step, held)]

    @property
    def memory_bytes(self) -> int:
        """Memory of the newest copy on this rank."""
        return sum(nbytes(tensor) for by_kind in self.kept[-1].held.values() for tensor in by_kind.values())

    def _room(self, kinds: Sequence[str]) -> Held:
        """For a copy; made twice, and then used in turns."""
        dtype = next(self.strategy.module.parameters()).dtype
        copied = [*self._local_pieces, *(piece for _, theirs in self._wards for piece in theirs)]
        known = {parameter.name: parameter for parameter in parameters(self.strategy.spec)}
        return {
            piece: {kind: torch.empty(known[piece.name].part(piece.span), dtype=dtype) for kind in kinds} for piece in copied
        }

    def _state(self) -> dict[str, Mapping[str, Tensor]]:
        weights = dict(self.strategy.module.named_parameters())
        states = states_of(self.strategy, self.optimizer)
        return {WEIGHT: weights, **{state: self.strategy.local(values) for state, values in states.items()}}


class Restored(WeightLoader):
    """This rank's part of a state under another plan; ``read`` gives its weights as a file would."""

    def __init__(self, spec: ModelSpec, step: int, state: Mapping[str, Mapping[str, Tensor]], received_bytes: int) -> None:
        super().__init__(spec, None, 0)
        self.step, self.received_bytes = step, received_bytes
        self.weights, self.states = state[WEIGHT], {kind: values for kind, values in state.items() if kind != WEIGHT}

    def read(self, parameter: Parameter, span: Span | None, dtype: torch.dtype) -> Tensor:
        """This rank's part of a weight; ``span`` is that of the plan."""
        return self.weights[parameter.name].to(dtype)


def restore(kept: Sequence[Copy], plan: Plan, comm: MPI.Intracomm) -> Restored:
    """This rank's part of the newest copy that all ranks have. Collective.

    Args:
        kept: The copies on this rank, oldest first.
        plan: The plan whose parts are asked for.
        comm: Its ranks.

    Returns:
        Weights and optimizer states of this rank's parts, and the bytes that it received for them.

    Raises:
        UserError: On every rank, where a part of the state is on none of them.
    """
    spec, rank = plan.model, comm.Get_rank()
    step = min(comm.allgather(kept[-1].step))
    held = next(copy.held for copy in kept if copy.step == step)
    kinds = list(next(iter(held.values())))
    known = {parameter.name: parameter for parameter in parameters(spec)}
    needed = [pieces(placement, spec) for placement in plan.placements]
    todo = transfers(needed, comm.allgather(list(held)))
    dtype = next(iter(held.values()))[WEIGHT].dtype
    state: dict[str, dict[str, Tensor]] = {kind: {} for kind in kinds}
    for piece in needed[rank]:
        for kind in kinds:
            state[kind][piece.name] = torch.empty(known[piece.name].part(piece.span), dtype=dtype)
    arriving, leaving, put = list[tuple[Tensor, int]](), list[tuple[Tensor, int]](), list[Callable[[], object]]()
    local_spans = {piece.name: piece.span for piece in needed[rank]}
    for transfer in todo:
        piece, parameter = transfer.piece, known[transfer.piece.name]
        source = covering(piece, held) if transfer.source == rank else None
        for kind in kinds:
            if source is not None:
                part = cut(held[source][kind], parameter, source.span, piece.span)
                if transfer.target != rank:
                    leaving.append((part.contiguous(), transfer.target))
            if transfer.target == rank:
                room = cut(state[kind][piece.name], parameter, local_spans[piece.name], piece.span)
                if transfer.source == rank:
                    room.copy_(part)
                    continue
                arrived = torch.empty_like(room, memory_format=torch.contiguous_format)
                arriving.append((arrived, transfer.source))
                put.append(lambda room=room, arrived=arrived: room.copy_(arrived))  # type: ignore[misc]
    exchange(comm, leaving, arriving)
    for copy in put:
        copy()
    return Restored(spec, step, state, sum(nbytes(tensor) for tensor, _ in arriving))


def exchange(comm: MPI.Intracomm, leaving: Sequence[tuple[Tensor, int]], arriving: Sequence[tuple[Tensor, int]]) -> None:
    """Send and receive tensors; those between the same two ranks are in the same order on both.

    Args:
        comm: The communicator of the ranks below.
        leaving: Contiguous tensors on the CPU, each with the rank that it goes to.
        arriving: Tensors to fill, each with the rank that it comes from.
    """
    from mpi4py import MPI

    requests = [comm.Irecv(as_mpi(tensor), source=source, tag=TAG) for tensor, source in arriving]
    requests += [comm.Isend(as_mpi(tensor), dest=target, tag=TAG) for tensor, target in leaving]
    MPI.Request.Waitall(requests)


def cut(tensor: Tensor, parameter: Parameter, held: Span, part: Span) -> Tensor:
    """A part of a tensor that is itself a part of a parameter.

    Args:
        tensor: The part ``held`` of the parameter.
        parameter: The whole parameter, which says the axis that spans are along.
        held: The span of ``tensor``.
        part: The span to cut out, inside ``held``.

    Returns:
        A view of ``tensor``.
    """
    if parameter.split is None or held == part:
        return tensor
    return tensor.narrow(parameter.split, part[0] - held[0], part[1] - part[0])
