"""The state of each rank at any time: computing, communicating, or waiting for others.

An operation that needs all ranks of a group can only begin to move data when the last of them has arrived: what comes
before is waiting, the rest communication. A receive waits until its message was sent. Pure functions of the ledgers.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from bench.common.phases import PHASES

if TYPE_CHECKING:
    from strategies.comm.ledger import Entry

Exchange = Literal["communicate", "wait"]
COLLECTIVES = ("all_reduce", "all_gather", "reduce_scatter", "all_to_all")


class Interval(NamedTuple):
    """A stretch of a thread in which it did not compute, s on the common axis; ``operation`` as in ``data.all_reduce``."""

    t0_s: float
    t1_s: float
    state: Exchange
    operation: str = ""


class RankStates(NamedTuple):
    """``main`` in order of time, without overlaps; ``beside`` is the work of the communication thread."""

    main: list[Interval]
    beside: list[Interval]


ToCommon = Callable[[int, float], float]


def rank_states(entries: Mapping[int, Sequence[Entry]], to_common: ToCommon) -> dict[int, RankStates]:
    """States of every rank.

    Args:
        entries: The ledger of every rank.
        to_common: ``to_common(rank, t_ns)`` gives seconds on the common axis.

    Returns:
        When each rank communicated and waited.
    """
    ready = _ready_times(entries, to_common)
    return {rank: _states_of(rank, ledger, ready, to_common) for rank, ledger in entries.items()}


def _key(entry: Entry) -> tuple[object, ...]:
    # Numbers of collectives run through the whole life of a group; tags of messages start anew in each step.
    return (entry.axis, *entry.match) if entry.op in COLLECTIVES else (entry.axis, entry.step, *entry.match)


def _ready_times(entries: Mapping[int, Sequence[Entry]], to_common: ToCommon) -> dict[tuple[object, ...], float]:
    """When data could begin to move: the last arrival of a collective, the sending of a message."""
    ready: dict[tuple[object, ...], float] = {}
    for rank, ledger in entries.items():
        for entry in ledger:
            if entry.kind == "comm" and (entry.op in COLLECTIVES or entry.op == "send"):
                t0_s = to_common(rank, entry.t0_ns)
                ready[_key(entry)] = max(ready.get(_key(entry), t0_s), t0_s)
    return ready


def _states_of(
    rank: int, ledger: Sequence[Entry], ready: Mapping[tuple[object, ...], float], to_common: ToCommon
) -> RankStates:
    main: list[Interval] = []
    beside: list[Interval] = []
    drains: list[Interval] = []
    for entry in ledger:
        t0_s, t1_s, operation = to_common(rank, entry.t0_ns), to_common(rank, entry.t1_ns), f"{entry.axis}.{entry.op}"
        if entry.kind == "wait":
            drains.append(Interval(t0_s, t1_s, "communicate", operation))
        elif entry.kind == "comm":
            begins = ready.get(_key(entry), t0_s) if entry.op in (*COLLECTIVES, "receive") else t0_s
            (beside if entry.thread != "main" else main).extend(_split(t0_s, t1_s, begins, operation))
    for drain in drains:
        main.extend(_drained(drain, beside))
    return RankStates(sorted(main), sorted(beside))


def _split(t0_s: float, t1_s: float, ready_s: float, operation: str) -> list[Interval]:
    turn = min(max(ready_s, t0_s), t1_s)
    halves = [Interval(t0_s, turn, "wait", operation), Interval(turn, t1_s, "communicate", operation)]
    return [interval for interval in halves if interval.t1_s > interval.t0_s]


def _drained(drain: Interval, beside: Sequence[Interval]) -> list[Interval]:
    """The main thread waits for its communication thread: its state is what that thread is doing."""
    states, reached_s = [], drain.t0_s
    for interval in sorted(beside):
        begin, end = max(interval.t0_s, reached_s), min(interval.t1_s, drain.t1_s)
        if end <= begin:
            continue
        if begin > reached_s:  # between two buckets: handing over
            states.append(drain._replace(t0_s=reached_s, t1_s=begin))
        states.append(interval._replace(t0_s=begin, t1_s=end))
        reached_s = end
    if reached_s < drain.t1_s:
        states.append(drain._replace(t0_s=reached_s))
    return states


def stretches(
    ledger: Sequence[Entry], states: RankStates, rank: int, to_common: ToCommon
) -> dict[str, list[tuple[float, float]]]:
    """The times at which a rank's main thread was in each of PHASES but ``other``.

    Args:
        ledger: The rank's entries.
        states: When it communicated and waited, from ``rank_states``.
        rank: The rank.
        to_common: ``to_common(rank, t_ns)`` gives seconds on the common axis.

    Returns:
        ``(begin, end)`` in seconds by phase, in the order of time; computation without the communication inside it.
    """
    busy = [(interval.t0_s, interval.t1_s) for interval in states.main]
    spans: dict[str, list[tuple[float, float]]] = {phase: [] for phase in PHASES[1:]}
    for interval in states.main:
        spans[interval.state].append((interval.t0_s, interval.t1_s))
    computed = [(to_common(rank, e.t0_ns), to_common(rank, e.t1_ns), e.phase) for e in ledger if e.kind == "phase"]
    first = 0
    for t0_s, t1_s, phase in sorted(computed):
        while first < len(busy) and busy[first][1] <= t0_s:
            first += 1
        spans[phase] += _without(t0_s, t1_s, busy, first)
    return spans


def _without(t0_s: float, t1_s: float, busy: Sequence[tuple[float, float]], first: int) -> list[tuple[float, float]]:
    """The rest of a span without those of ``busy`` from ``first`` on, which are in order of time."""
    left = []
    for begin, end in itertools.islice(busy, first, None):
        if begin >= t1_s:
            break
        if begin > t0_s:
            left.append((t0_s, begin))
        t0_s = max(t0_s, end)
    return [*left, (t0_s, t1_s)] if t1_s > t0_s else left


def clipped(intervals: Sequence[Interval], windows: Sequence[tuple[float, float]]) -> list[Interval]:
    """The parts of intervals inside windows.

    Args:
        intervals: Stretches of a thread, in seconds on the common axis.
        windows: Begin and end of each window.

    Returns:
        The parts with their states, window by window.
    """
    return [
        i._replace(t0_s=max(i.t0_s, begin), t1_s=min(i.t1_s, end))
        for begin, end in windows
        for i in intervals
        if min(i.t1_s, end) > max(i.t0_s, begin)
    ]


def totals(states: RankStates, windows: Sequence[tuple[float, float]]) -> dict[str, float]:
    """Seconds of a rank inside windows.

    Args:
        states: When it communicated and waited.
        windows: Begin and end of each, in seconds on the common axis.

    Returns:
        ``compute_s``, ``communicate_s`` and ``wait_s``, which add up to the windows' length, and ``overlapped_s``, the
        communication that ran beside the computation.
    """
    main = clipped(states.main, windows)
    spent = {state: sum(i.t1_s - i.t0_s for i in main if i.state == state) for state in ("communicate", "wait")}
    length = sum(end - begin for begin, end in windows)
    inside = sum(i.t1_s - i.t0_s for i in clipped(states.beside, windows))
    covered = [(i.t0_s, i.t1_s) for i in main]
    exposed = sum(i.t1_s - i.t0_s for i in clipped(states.beside, covered)) if states.beside else 0.0
    return {
        "compute_s": length - spent["communicate"] - spent["wait"],
        "communicate_s": spent["communicate"],
        "wait_s": spent["wait"],
        "overlapped_s": inside - exposed,
    }


def exposed_seconds(states: RankStates, windows: Sequence[tuple[float, float]]) -> dict[str, float]:
    """What communication costs a rank: the time of its main thread in operations, and in waiting for them.

    Args:
        states: When it communicated and waited.
        windows: Begin and end of each, in seconds on the common axis.

    Returns:
        Seconds by ``axis.operation``; they add up to ``communicate_s`` and ``wait_s`` of ``totals``.
    """
    spent: defaultdict[str, float] = defaultdict(float)
    for interval in clipped(states.main, windows):
        spent[interval.operation] += interval.t1_s - interval.t0_s
    return dict(spent)
