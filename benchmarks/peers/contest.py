"""Both sides of a line live at once and take turns: a round is a few steps of each, and the order changes every round.

Each round gives a ratio, so what slows the machine slows all. All sides train on the same batches in the same order, so that
their losses are compared step by step.
"""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from mpi4py import MPI

from bench.training.trainer import make_optimizer
from benchmarks.peers.peer_pairs import Workload, make_batch
from benchmarks.peers.torch_side.torch_peer import WEIGHT_DECAY, TorchPeer
from benchmarks.peers.torch_side.twin_model import SEED
from strategies.base import Batch, check_options, get
from strategies.comm.comm_choice import RankCores
from strategies.comm.comm_options import CommOptions
from strategies.comm.ledger import Ledger
from strategies.comm.mesh import Mesh
from strategies.models.pretrained_weights import WeightLoader
from strategies.plan.shapes import MeshShape, Plan, StepShape

LEARNING_RATE = 1e-4
EAGER_PIECE = 2**15
"""Bytes that go without asking the other side first. The answer to a large message's question queues behind what is sent the
other way; where the question comes late (a busy machine), one direction follows the other and the link seems half as fast."""
WARM_UP_STEPS = 2
LONG_STEP = 1 / 8
"""A step of more than this share of the budget is warmed up once."""


def plan_ours(work: Workload, ranks: int, strategy: str, options: Mapping[str, object]) -> Plan:
    """The plan of one of our strategies with as many micro-batches as it prefers.

    Args:
        work: The model and its batch.
        ranks: How many there are.
        strategy: Its name.
        options: What differs from the defaults.

    Returns:
        The plan.

    Raises:
        PlanError: It cannot run.
    """
    cls = get(strategy)
    mesh = cls.mesh_for(ranks, {}) if cls.axes else MeshShape()
    shape = StepShape(work.batch, work.seq, cls.micro_batches(None, mesh, work.batch))
    return cls.plan(work.spec, shape, mesh, check_options(cls, options))


class Ours:
    """A strategy with its optimizer, as a point of the suite has it by default."""

    def __init__(self, plan: Plan, comm: MPI.Intracomm, comm_words: Mapping[str, str], cores: RankCores | None = None) -> None:
        cls = get(plan.strategy)
        self.plan, self.ledger = plan, Ledger()
        asked = CommOptions(**comm_words)  # type: ignore[arg-type]
        self.mesh = Mesh(comm, plan.mesh, self.ledger, asked, volumes=plan.volumes, cores=cores)
        self.strategy = cls(plan, self.mesh)
        with WeightLoader(plan.model, None, SEED) as load:
            self.strategy.build(load, torch.float32)
        parameters = self.strategy.trainable()
        self.optimizer = make_optimizer(parameters, optimizer="adamw", lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
        self.optimizer_s = 0.0

    def step(self, batch: Batch) -> float:
        """One training step with the optimizer's. Collective.

        Args:
            batch: All samples.

        Returns:
            What this rank adds to the loss.
        """
        loss = self.strategy.step(batch)
        begin = time.monotonic()
        self.optimizer.step()
        self.optimizer_s = time.monotonic() - begin
        self.strategy.updated()
        self.ledger.entries.clear()
        return float(loss)

    @property
    def choices(self) -> str:
        """How it communicates: ``data: progress thread, wait spin, ...``."""
        return "; ".join(f"{choice.axis}: {choice.option} {choice.value}" for choice in self.mesh.choices)

    def close(self) -> None:
        """End what runs beside the computation. Collective."""
        self.strategy.close()


@dataclass
class Side:
    """One that takes turns: seconds of a step in each round, and the losses of all steps.

    Attributes:
        step: One step of a batch; what this rank adds to the loss, or None.
        close: Ends it.
        alone: Whether every rank trains by itself, so that its loss is already the whole one.
        rounds_s: Seconds of a step of each round, of the slowest rank.
        losses: What this rank adds to the loss, step by step.
    """

    step: Callable[[Batch], float | None]
    close: Callable[[], None] = lambda: None
    alone: bool = False
    rounds_s: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)

    def run(self, comm: MPI.Intracomm, batches: Sequence[Batch]) -> float:
        """A few steps, begun together.

        Args:
            comm: All ranks.
            batches: One for each step.

        Returns:
            Seconds of one step, of the slowest rank.
        """
        comm.Barrier()
        begin = time.monotonic()
        losses = [self.step(batch) for batch in batches]
        took = (time.monotonic() - begin) / len(batches)
        self.losses += [loss or 0.0 for loss in losses]
        return float(comm.allreduce(took, op=MPI.MAX))

    def whole_losses(self, comm: MPI.Intracomm) -> list[float]:
        """The loss of every step. Collective.

        Args:
            comm: All ranks.

        Returns:
            In the order of the steps.
        """
        return [float(comm.allreduce(loss)) / (comm.size if self.alone else 1) for loss in self.losses]


def peer_side(peer: TorchPeer) -> Side:
    """A peer as one that takes turns.

    Args:
        peer: The peer.

    Returns:
        Its side.
    """
    return Side(lambda batch: peer.step(batch.ids, batch.mask, batch.targets))


def take_turns(
    comm: MPI.Intracomm, sides: Sequence[Side], work: Workload, rounds: int, steps: int, budget_s: float | None
) -> None:
    """Warm up, then rounds until there are enough or the time is over; one round in any case. Collective.

    Args:
        comm: All ranks.
        sides: Who takes turns.
        work: The model, for its batches.
        rounds: How many there are at most.
        steps: Of one side in a round.
        budget_s: Seconds of the whole; None: as long as it takes.
    """
    begin, gone = time.monotonic(), 0.0
    for number in range(WARM_UP_STEPS):
        took = [side.run(comm, [make_batch(work, number)]) for side in sides]
        gone = comm.bcast(time.monotonic() - begin)
        if budget_s is not None and max(took) > LONG_STEP * budget_s:
            break
    done = number + 1
    for number in range(rounds):
        if number and budget_s is not None and gone * (1 + 1 / (number + 1)) > budget_s:
            break
        batches = [make_batch(work, done + step) for step in range(steps)]
        done += steps
        for side in sides if number % 2 else list(reversed(sides)):
            side.rounds_s.append(side.run(comm, batches))
        gone = comm.bcast(time.monotonic() - begin)


def loss_difference(reference: Sequence[float], others: Sequence[Sequence[float]]) -> float:
    """How far losses are apart, step by step.

    Args:
        reference: Of one side.
        others: Of the other sides, with as many steps.

    Returns:
        The largest relative difference; infinite where one is not a number.
    """
    worst = 0.0
    for losses in others:
        for a, b in zip(reference, losses, strict=True):
            apart = abs(a - b) / max(abs(a), abs(b), 1e-12)
            worst = max(worst, apart) if apart == apart else float("inf")
    return worst


def machine_share(comm: MPI.Intracomm) -> RankCores:
    """A rank's cores where all ranks are on this machine, on boards too: those of the machine over the ranks.

    Args:
        comm: All ranks.

    Returns:
        The cores, as the suite gets them from the quotas of emulated boards.
    """
    return RankCores((os.cpu_count() or 1) / comm.size, torch.get_num_threads(), "this machine's over its ranks")


def link_rate_byte_s(comm: MPI.Intracomm, rate_bit_s: float | None) -> float:
    """The rate of one direction between neighbours that send to each other at once: the best of ten. Collective.

    Args:
        comm: All ranks.
        rate_bit_s: What it should be about, so that a slow link is not measured for long; None: not known.

    Returns:
        Bytes per second; the slowest pair's.
    """
    size = 2**24 if rate_bit_s is None else max(2**16, min(2**24, int(rate_bit_s / 8 * 0.2)))
    piece = size if rate_bit_s is None else EAGER_PIECE
    partner, times = comm.rank ^ 1, [float("inf")] if comm.rank ^ 1 >= comm.size else []
    sent, received = memoryview(bytearray(size)), memoryview(bytearray(size))
    pieces = [slice(begin, begin + piece) for begin in range(0, size, piece)]
    for _ in range(10):
        comm.Barrier()
        begin = time.monotonic()
        if partner < comm.size:
            wait = [comm.Irecv(received[each], partner) for each in pieces] + [
                comm.Isend(sent[each], partner) for each in pieces
            ]
            MPI.Request.Waitall(wait)
            times.append(time.monotonic() - begin)
    best = comm.allgather(min(times))
    return size / max(seconds for seconds in best if seconds != float("inf"))


def collect_garbage(comm: MPI.Intracomm) -> None:
    """Free what a line used before the next one begins. Collective.

    Args:
        comm: All ranks.
    """
    gc.collect()
    comm.Barrier()
