"""What waiting costs, on every rank: ``mpirun ... python -m mpi4py -m bench.energy.calibration.waiting_ranks order.json``.

In each round all ranks sleep (idle), then rank 0, and then all ranks but the last, wait in a receive for the last rank, which
sleeps: with ``comm.wait=spin`` and with ``poll``, by the code that the strategies wait with. Rank 0 writes the powers.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from bench.cluster.board_class import BoardClass
from bench.common.exit_codes import BAD_INPUT
from bench.common.user_error import UserError
from bench.energy.calibration.waiting_readings import WaitingReadings, WaitingSegment
from bench.energy.sampling.energy_session import EnergySession
from bench.energy.sampling.energy_settings import EnergySettings
from bench.energy.sampling.host_identity import HostIdentity
from bench.joules.channel import Trace
from bench.joules.cover import Part, find_cover
from strategies.comm.comm_options import Wait
from strategies.comm.waiting import Waiting

if TYPE_CHECKING:
    from mpi4py import MPI

TAG = 11
SETTLE_S = 1.0
TAIL_S = 0.1
SCHEDULER = Path("/proc/self/schedstat")
WAYS: tuple[Wait, ...] = ("spin", "poll")


@dataclass(frozen=True)
class State:
    """``waiting`` ranks wait as ``wait`` says, the others sleep; none waits in idle."""

    name: str
    wait: Wait | None
    waiting: tuple[int, ...]


@dataclass(frozen=True)
class Spent:
    """Of one rank over one state: seconds in all, of processor time, and ready to run without a core."""

    wall_s: float
    cpu_s: float
    queue_s: float


def states(ranks: int) -> list[State]:
    """The states of a round. With two ranks, one rank and all but one are the same.

    Args:
        ranks: Number of ranks, at least 2.

    Returns:
        Idle first, then each group of waiting ranks in each way of waiting.
    """
    groups = {"one": (0,), "all but one": tuple(range(ranks - 1))}
    if ranks == 2:
        del groups["all but one"]
    return [State("idle", None, ()), *(State(name, wait, group) for name, group in groups.items() for wait in WAYS)]


def order_of(ranks: int, rounds: int) -> list[tuple[int, State]]:
    """The order of all states; every second round goes the other way, so that a drift does not fall on one state.

    Args:
        ranks: Number of ranks, at least 2.
        rounds: How often each state comes.

    Returns:
        (round from 0, state).
    """
    in_order = states(ranks)
    return [(number, state) for number in range(rounds) for state in (in_order[::-1] if number % 2 else in_order)]


def settle_s(seconds: float) -> float:
    """How long a state stands before its window.

    Args:
        seconds: Length of the window.

    Returns:
        Seconds, at most a quarter of the window.
    """
    return min(SETTLE_S, seconds / 4)


def stand(comm: MPI.Intracomm, state: State, seconds: float) -> tuple[int, Spent]:
    """Be in a state until its window has passed. Collective.

    Args:
        comm: The ranks of this host.
        state: Which ranks wait, and in which way; the others sleep.
        seconds: Length of the window, after the state has settled.

    Returns:
        When the state began, in ns of this host's monotonic clock, and what this rank spent.
    """
    rank, last = comm.Get_rank(), comm.Get_size() - 1
    comm.Barrier()
    begin_ns, cpu_s, queue_s = time.monotonic_ns(), time.process_time(), _queued_s()
    if rank in state.waiting:
        assert state.wait is not None
        Waiting(state.wait).finish(comm.Irecv(bytearray(1), source=last, tag=TAG))
    else:
        time.sleep(settle_s(seconds) + seconds + TAIL_S)
    spent = Spent((time.monotonic_ns() - begin_ns) / 1e9, time.process_time() - cpu_s, _queued_s() - queue_s)
    if rank == last:
        for other in state.waiting:
            comm.Send(b"x", dest=other, tag=TAG)
    return begin_ns, spent


def _queued_s() -> float:
    """How long this thread has stood in line for a core; 0 where the kernel does not tell."""
    try:
        return int(SCHEDULER.read_text().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


def run(order: Mapping[str, Any], comm: MPI.Intracomm) -> WaitingReadings | None:
    """Measure all rounds. Collective.

    Args:
        order: The values of the order file.
        comm: The ranks of this host.

    Returns:
        The readings, on rank 0; None elsewhere.

    Raises:
        UserError: On all ranks, where there is nothing to read.
    """
    from mpi4py import MPI

    board, seconds = BoardClass.from_dict(order["board"]), order["seconds"]
    boot_id = Path("/proc/sys/kernel/random/boot_id")
    boot = boot_id.read_text().strip() if boot_id.exists() else "unknown"
    home = HostIdentity(MPI.Get_processor_name(), boot, board.name, order["host"])
    session = EnergySession(comm, EnergySettings.from_dict(order["energy"]), {board.name: board}, home)
    session.start()
    rows: list[tuple[int, State, tuple[float, float], list[Spent]]] = []
    try:
        for number, state in order_of(comm.Get_size(), order["rounds"]):
            begin_ns, spent = stand(comm, state, seconds)
            begin_s = begin_ns / 1e9 + settle_s(seconds)
            rows.append((number, state, (begin_s, begin_s + seconds), comm.gather(spent) or []))
    finally:
        session.stop()
    traces = session.gather()
    return None if traces is None else _powers(rows, traces, order["host"])


def _powers(
    rows: Sequence[tuple[int, State, tuple[float, float], list[Spent]]], traces: Sequence[Trace], host: str
) -> WaitingReadings:
    """The power of each segment; a row has its round, its state, its window in seconds, and what each rank spent."""
    cover = find_cover(traces, [host], lambda rank, ns: ns / 1e9)
    if not cover.parts:
        raise UserError(f"{host} has no readings: the power sampler ended before its time; run it again")
    part = cover.parts[0]
    return WaitingReadings(
        kind=part.kind,
        source="+".join(c.trace.meter or c.trace.source for c in part.curves),
        levels=tuple(part.levels()),
        not_measured=tuple(sorted({name for c in part.curves for name in c.trace.not_measured})),
        segments=tuple(_segment(part, number, state, window, spent) for number, state, window, spent in rows),
    )


def _segment(part: Part, number: int, state: State, window: tuple[float, float], spent: Sequence[Spent]) -> WaitingSegment:
    energy, seconds = part.energies([window], 0.0), window[1] - window[0]
    of_ranks = [spent[rank] for rank in state.waiting] or spent
    return WaitingSegment(
        state=state.name,
        wait=state.wait,
        ranks=len(state.waiting),
        round=number,
        watts=energy.joules / seconds,
        random_u_W=energy.random_J / seconds,
        systematic=energy.common_J / energy.joules if energy.joules else 0.0,
        quality=energy.quality,
        cores=fmean(one.cpu_s / one.wall_s for one in of_ranks),
        cores_wanted=fmean((one.cpu_s + one.queue_s) / one.wall_s for one in of_ranks),
    )


def main(argv: list[str]) -> int:
    """Entry of each rank. What the user can mend is one line, and ends the job."""
    from mpi4py import MPI

    comm = MPI.COMM_WORLD
    order = comm.bcast(json.loads(Path(argv[0]).read_text()) if comm.Get_rank() == 0 else None)
    try:
        readings = run(order, comm)
    except UserError as error:
        if comm.Get_rank() == 0:
            print(f"error: {error}", file=sys.stderr, flush=True)
        return BAD_INPUT
    if readings is not None:
        from bench.common.atomic_files import write_json

        write_json(Path(order["found"]), readings.to_dict())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
