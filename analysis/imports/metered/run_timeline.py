"""When things happened in a run that is over, from its record and its events: windows, steps, rests, and the ranks' states."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq

from analysis.imports.log import civil_times
from bench.common.user_error import UserError
from bench.joules.attribution import Stretches
from bench.joules.cover import Window
from bench.record.record import MeasuredRecord
from bench.timeline import rank_states

LONGEST_SETTLE_S = 0.2
"""Rest begins so long after all ranks have come to it (``bench/run/worker.py``), or a quarter of it where that is shorter."""


class Event(NamedTuple):
    """A row of events.parquet for ``bench.timeline.rank_states``; its times are seconds of the common axis already."""

    step: int
    kind: str
    axis: str
    op: str
    phase: str
    thread: str
    t0_ns: float
    t1_ns: float
    match: tuple[str, ...]


def windows(record: MeasuredRecord) -> list[Window]:
    """Begin and end of the timed windows.

    Args:
        record: Of the point.

    Returns:
        Seconds on the common axis, in order.
    """
    return [(window.start_s, window.end_s) for window in record.time.windows]


def rank_hosts(record: MeasuredRecord) -> dict[int, str]:
    """Where each rank ran.

    Args:
        record: Of the point.

    Returns:
        The host by rank.

    Raises:
        UserError: The record does not say so.
    """
    placed = {place.rank: place.host for place in record.plan.placement}
    ran = {rank.rank: rank.host for rank in record.environment.ranks or ()}
    hosts = _known(placed) or _known(ran)
    if not hosts:
        raise UserError(f"{record.point.name}: the record does not say on which hosts its ranks ran")
    return hosts


def _known(hosts: Mapping[int | None, str | None]) -> dict[int, str]:
    return {rank: host for rank, host in hosts.items() if rank is not None and host is not None}


def step_edges(record: MeasuredRecord) -> list[list[float]]:
    """The boundaries of the steps of every stretch of training.

    Args:
        record: Of the point.

    Returns:
        Seconds on the common axis: of the warm-up, which ends where the first window begins (left out without steps), and of
        every window.
    """
    time = record.time
    warm_up = list(itertools.accumulate(time.warmup.step_s, initial=0.0))
    begin = time.windows[0].start_s - warm_up[-1]
    edges = [[begin + since for since in warm_up]] if len(warm_up) > 1 else []
    lengths = iter(time.step_s.values)
    for window in time.windows:
        steps = itertools.islice(lengths, window.steps)
        edges.append(list(itertools.accumulate(steps, initial=window.start_s)))
    return edges


def rests(record: MeasuredRecord, folder: Path) -> list[Window]:
    """The idle windows before and after the training: two, of no length where the record does not tell.

    Records of before ``time.idle`` do not have them; the one before follows from the end of start-up and the configuration.

    Args:
        record: Of the point.
        folder: The point's; its config.json is read for older records.

    Returns:
        Two (begin, end), s on the common axis.
    """
    if record.time.idle:
        return [(window.start_s, window.end_s) for window in record.time.idle]
    try:
        idle_s = float(json.loads((folder / "config.json").read_text())["idle_s"])
    except (OSError, ValueError, KeyError):
        return no_rests(record)
    begin = record.time.startup_s + min(LONGEST_SETTLE_S, idle_s / 4)
    return [(begin, begin + idle_s), (begin + idle_s, begin + idle_s)]


def no_rests(record: MeasuredRecord) -> list[Window]:
    """Two idle windows of no length.

    Args:
        record: Of the point.

    Returns:
        Both at the begin of the first window, s on the common axis.
    """
    begin = record.time.windows[0].start_s
    return [(begin, begin)] * 2


def end_s(record: MeasuredRecord, events: Sequence[tuple[int, Event]] | None) -> float:
    """When the run was over, or the last thing happened that is known of.

    Args:
        record: Of the point.
        events: Of all ranks (``read_events``), or None.

    Returns:
        Seconds on the common axis.
    """
    ends = [*(end for _, end in windows(record)), *(event.t1_ns for _, event in events or ())]
    environment = record.environment
    if environment.finished and environment.started:
        ends.append((civil_times.started_ns(environment.finished)[0] - civil_times.started_ns(environment.started)[0]) / 1e9)
    return max(ends)


def read_events(folder: Path) -> list[tuple[int, Event]] | None:
    """The events of a point.

    Args:
        folder: The point's, with events.parquet.

    Returns:
        The rank and the event of every row; None where the point has no events.

    Raises:
        UserError: The file cannot be read.
    """
    path = folder / "events.parquet"
    if not path.exists():
        return None
    try:
        rows = pq.read_table(path).to_pylist()
        return [
            (
                row["rank"],
                Event(
                    **{key: row[key] for key in ("step", "kind", "axis", "op", "phase", "thread")},
                    t0_ns=row["t0_s"],
                    t1_ns=row["t1_s"],
                    match=tuple((row.get("match") or "").split()),
                ),
            )
            for row in rows
        ]
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{path} cannot be read ({' '.join(str(error).split())}); copy the point again") from None


def stretches(record: MeasuredRecord, events: Sequence[tuple[int, Event]] | None) -> tuple[dict[int, Stretches], str | None]:
    """When each rank was in which phase.

    Args:
        record: Of the point.
        events: Of all ranks (``read_events``), or None.

    Returns:
        By rank, s on the common axis, all empty where it is not known; and why not, else None.
    """
    ranks = sorted(rank_hosts(record))
    nothing: dict[int, Stretches] = {rank: {} for rank in ranks}
    if not events:
        return nothing, "the point has no events.parquet"
    together = [
        event for _, event in events if event.kind == "comm" and (event.op in rank_states.COLLECTIVES or event.op == "receive")
    ]
    if any(not event.match for event in together):
        return nothing, "events.parquet does not tell which operations belong together, as of older versions"
    by_rank: dict[int, list[Any]] = {rank: [] for rank in ranks}
    for rank, event in events:
        by_rank[rank].append(event)

    def as_it_is(_: int, t_s: float) -> float:
        return t_s

    states = rank_states.rank_states(by_rank, as_it_is)
    return {rank: rank_states.stretches(by_rank[rank], states[rank], rank, as_it_is) for rank in ranks}, None
