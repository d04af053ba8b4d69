"""What every rank does: the lines of an order, one after the other. Rank 0 hands in each cell as soon as it is measured."""

from __future__ import annotations

import faulthandler
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from mpi4py import MPI

from benchmarks.peers import contest
from benchmarks.peers.contest import LEARNING_RATE, Ours, Side
from benchmarks.peers.peer_pairs import PAIRS, Pair, Workload, options_for, peer_stages, workload
from benchmarks.peers.starting.peer_order import Order
from benchmarks.peers.tables.peer_record import OWN_NETWORK, SHARED_MEMORY, Cell
from benchmarks.peers.torch_side.peer_list import check_model, peer_class, start_gloo
from benchmarks.peers.torch_side.torch_peer import PeerRefused, PeerWork
from benchmarks.schedule_limit import schedule_limit
from strategies.common.plan_error import PlanError
from strategies.plan.shapes import Plan

MEMINFO = Path("/proc/meminfo")
LOSS_TOLERANCE, LOSS_TOLERANCE_16_BIT = 1e-3, 2e-2
"""Relative, over all steps. The same sums in another order differ by 1e-6 at first and a little more with each step; 16 bits
in the gradients have 3 decimal digits, and AdamW's first steps have one size whatever the gradient's."""
LINK_TRIES, FAITHFUL = 3, 0.6
"""A link that carries less than this share of its rate is not the one that was asked for."""


Hand = Callable[[dict[str, Any]], None]
"""Takes ``{"begin": number of the line}``, ``{"cell": ...}``, or ``{"network": why it cannot be measured}``."""


def carry_out(comm: MPI.Intracomm, order: Order, hand_in: Hand) -> None:
    """Measure all lines. Collective; only rank 0 hands in.

    Args:
        comm: All ranks.
        order: What is measured.
        hand_in: Takes what happens.
    """
    torch.set_num_threads(max(1, min(torch.get_num_threads(), (os.cpu_count() or 1) // comm.size)))
    with tempfile.TemporaryDirectory() as folder:
        start_gloo(comm.rank, comm.size, comm.bcast(order.store or str(Path(folder) / "store")))
        rate = 0.0
        for _ in range(LINK_TRIES):
            rate = max(rate, contest.link_rate_byte_s(comm, order.rate_bit_s))
            if order.rate_bit_s is None or 8 * rate >= FAITHFUL * order.rate_bit_s:
                break
        if order.rate_bit_s is not None and 8 * rate < FAITHFUL * order.rate_bit_s:
            hand_in({"network": f"a link of {order.network} carried {8e-6 * rate:.0f} Mbit/s; this machine cannot emulate it"})
        else:
            for number, (model, pair) in enumerate(order.lines):
                hand_in({"begin": number})
                with gives_up(order.hang_s):
                    hand_in({"cell": asdict(measure(comm, order, workload(model), PAIRS[pair], model, rate))})
                contest.collect_garbage(comm)
        dist.destroy_process_group()
        comm.Barrier()


@contextmanager
def gives_up(after_s: float) -> Iterator[None]:
    """End this process, and with it the job, where what is inside hangs.

    Args:
        after_s: Seconds.

    Yields:
        Nothing.
    """
    faulthandler.dump_traceback_later(after_s, exit=True)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def measure(comm: MPI.Intracomm, order: Order, work: Workload, pair: Pair, model: str, rate_byte_s: float) -> Cell:
    """One line. Collective.

    Args:
        comm: All ranks.
        order: Rounds, steps, budget.
        work: The model and its batch.
        pair: What is compared.
        model: The name of the workload.
        rate_byte_s: Of a link.

    Returns:
        The cell; refused where one side cannot run.
    """
    cell = Cell(order.network, comm.size, model, pair.ours, pair.peer, link_bit_s=8 * rate_byte_s)
    try:
        plan = contest.plan_ours(work, comm.size, pair.strategy, options_for(pair, work.spec, comm.size))
        alone = contest.plan_ours(work, 1, "single", {}) if order.limit else None
        check_memory(comm, plan, pair, alone)
        sides, ours, single = make_sides(comm, order, work, pair, plan, alone)
    except (PeerRefused, PlanError) as error:
        return replace(cell, status="refused", reason=" ".join(str(error).split()))
    contest.take_turns(comm, sides, work, order.rounds, order.steps, order.budget_s)
    for side in sides:
        side.close()
    losses = [side.whole_losses(comm) for side in sides]
    apart = contest.loss_difference(losses[0], losses[1:])
    allowed = LOSS_TOLERANCE_16_BIT if "wire" in pair.options else LOSS_TOLERANCE
    cell = replace(cell, loss=losses[0][-1], loss_difference=apart, sent_bytes=sent_bytes(plan), comm=ours.choices)
    if apart > allowed:
        last = ", ".join(f"{each[-1]:.6f}" for each in losses)
        return replace(cell, status="wrong", reason=f"losses differ by {apart:.1e}, at most {allowed:.0e} (last step: {last})")
    if single is not None:
        cell = with_limit(cell, sides[-1], plan, comm.allreduce(single.optimizer_s, op=MPI.MAX))
    peer_s = tuple(sides[1].rounds_s) if pair.peer is not None else ()
    return replace(cell, ours_s=tuple(sides[0].rounds_s), peer_s=peer_s)


def make_sides(
    comm: MPI.Intracomm, order: Order, work: Workload, pair: Pair, plan: Plan, alone: Plan | None
) -> tuple[list[Side], Ours, Ours | None]:
    """Who takes turns: ours, then the peer if there is one, then one process if it is asked for. Collective.

    Args:
        comm: All ranks.
        order: How ours communicates.
        work: The model and its batch.
        pair: What is compared.
        plan: Of ours.
        alone: Of one process; None: it does not take part.

    Returns:
        The sides, ours, and the one process.

    Raises:
        PeerRefused: Torch cannot run the peer.
        PlanError: The model has too few layers for it.
    """
    peer = None
    if pair.peer is not None:  # before ours, whose threads would stay where this is refused
        check_model(work.spec)
        stages = peer_stages(pair, work.spec, comm.size)
        peer_work = PeerWork(work.spec, work.batch, work.seq, plan.shape.micro_batches, LEARNING_RATE, stages)
        peer = peer_class(pair.peer)(peer_work)
    cores = None if order.network == OWN_NETWORK else contest.machine_share(comm)
    ours = Ours(plan, comm, order.comm or {}, cores)
    single = None if alone is None else Ours(alone, MPI.COMM_SELF, {})
    sides = [Side(ours.step, ours.close)]
    if peer is not None:
        sides.append(contest.peer_side(peer))
    if single is not None:
        sides.append(Side(single.step, single.close, alone=True))
    return sides, ours, single


def with_limit(cell: Cell, single: Side, plan: Plan, optimizer_s: float) -> Cell:
    """The cell with what one process took, and what follows from it for the plan.

    Args:
        cell: So far.
        single: One process.
        plan: Of ours.
        optimizer_s: What one process's optimizer took in the last step.

    Returns:
        The cell with ``single_s`` and ``limit_s``.
    """
    shared, rate = cell.network == SHARED_MEMORY, cell.link_bit_s / 8
    limits = [schedule_limit(plan, took, rate, shared, min(optimizer_s, 0.5 * took)).limit_s for took in single.rounds_s]
    return replace(cell, single_s=tuple(single.rounds_s), limit_s=tuple(limits))


def sent_bytes(plan: Plan) -> float:
    """Bytes that a rank must send in a step, mean over ranks.

    Args:
        plan: Of ours.

    Returns:
        The bytes.
    """
    return sum(volume.wire_bytes for volume in plan.volumes) / len(plan.placements)


def check_memory(comm: MPI.Intracomm, plan: Plan, pair: Pair, alone: Plan | None) -> None:
    """Refuse a line that this machine has no memory for: all ranks are on it. Collective.

    Args:
        comm: All ranks.
        plan: Of ours; the peer is taken to need as much.
        pair: Whether there is a peer.
        alone: Of the one process on every rank; None: there is none.

    Raises:
        PeerRefused: It needs more than is available.
    """
    sides = sum(memory.total_bytes for memory in plan.memory) * (1 if pair.peer is None else 2)
    needed = sides + (comm.size * alone.memory[0].total_bytes if alone is not None else 0)
    available = comm.bcast(available_bytes())
    if needed > available:
        advice = "; try --no-limit" if alone is not None and sides <= available else ""
        raise PeerRefused(
            f"both sides need {needed / 2**30:.1f} GiB, this machine has {available / 2**30:.1f} GiB left{advice}"
        )


def available_bytes() -> int:
    """Memory that this machine can still give, as the kernel estimates it."""
    lines = [line.split() for line in MEMINFO.read_text().splitlines()]
    return next(1024 * int(words[1]) for words in lines if words[0] == "MemAvailable:")


def run_order(path: Path) -> int:
    """A rank that the benchmark itself started: what it hands in goes to the order's file, a line of JSON each.

    Args:
        path: The order; results go beside it as ``.results``.

    Returns:
        The exit code.
    """
    comm = MPI.COMM_WORLD
    order = Order.of(json.loads(path.read_text()))
    results = path.with_suffix(".results")

    def hand_in(event: dict[str, Any]) -> None:
        if comm.rank == 0:
            with results.open("a") as file:
                file.write(json.dumps(event) + "\n")

    try:
        carry_out(comm, order, hand_in)
    except PeerRefused as error:
        hand_in({"network": str(error)})
    return 0


def run_by_hand(order: Order, show: Callable[[Cell], None]) -> None:
    """The ranks of somebody's own mpirun. Collective.

    Args:
        order: What is measured.
        show: Takes each cell on rank 0.
    """
    comm = MPI.COMM_WORLD
    if len(set(comm.allgather(MPI.Get_processor_name()))) > 1:
        order = replace(order, network=OWN_NETWORK)

    def hand_in(event: dict[str, Any]) -> None:
        if comm.rank == 0 and "cell" in event:
            show(Cell.of(event["cell"]))
        elif comm.rank == 0 and "network" in event:
            print(f"error: {event['network']}", file=sys.stderr, flush=True)

    carry_out(comm, order, hand_in)
