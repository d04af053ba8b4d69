"""The readings of meters around a run, as traces on the run's common axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.imports.log import civil_times
from analysis.imports.log.column_hosts import Meter
from analysis.imports.log.meter_log import IntArray, Readings, span_text, usual_period_s
from analysis.imports.metered import run_timeline
from bench.common.user_error import UserError
from bench.joules.channel import Trace
from bench.joules.cover import Window
from bench.record.record import MeasuredRecord

TO_THE_SECOND_S = 1.0
BESIDE = 3
"""Readings that are kept before the start and after the end of a run."""
LEAST_INSIDE = 2


@dataclass(frozen=True)
class Alignment:
    """``offset_s`` is added to the log's times; ``within_s`` is how well they then agree with the hosts'.

    Of ``within_s`` None means: as well as the record tells.
    """

    offset_s: float | None = None
    within_s: float | None = None


def begin_ns(record: MeasuredRecord, alignment: Alignment) -> tuple[int, float]:
    """Second 0 of the common axis in the log's time.

    Args:
        record: Of the point.
        alignment: Of the log's times.

    Returns:
        ns since 1970, and how well the two agree in seconds.

    Raises:
        UserError: The record does not say when the run started, or is of dilated boards.
    """
    if record.dilation is not None:
        raise UserError(
            f"{record.point.name}: its boards are emulated and their time dilated, so no meter has their joules; leave it out"
        )
    started = record.environment.started
    if not started:
        raise UserError(f"{record.point.name}: the record does not say when the run started (environment.started)")
    started_ns, exact = civil_times.started_ns(started)
    unknown_s = 0.0 if exact or alignment.offset_s is not None else TO_THE_SECOND_S
    within_s = unknown_s if alignment.within_s is None else alignment.within_s
    return started_ns - round(1e9 * (alignment.offset_s or 0.0)), within_s


def span_ns(record: MeasuredRecord, alignment: Alignment) -> tuple[int, int]:
    """From when to when the run was measured.

    Args:
        record: Of the point.
        alignment: Of the log's times.

    Returns:
        Begin and end in the log's own time, ns since 1970.

    Raises:
        UserError: The record does not say when the run started, or is of dilated boards.
    """
    begin, _ = begin_ns(record, alignment)
    return begin, begin + round(1e9 * max(end for _, end in run_timeline.windows(record)))


def traces_of(record: MeasuredRecord, meters: Sequence[Meter], begin: int, end_s: float) -> tuple[list[Trace], dict[str, str]]:
    """The readings of every meter of the run's hosts.

    Args:
        record: Of the run.
        meters: All of the log.
        begin: Second 0 of the common axis in the log's time, ns.
        end_s: The end of the run on the common axis, s.

    Returns:
        The traces, and by host why its meter does not have the whole of every window.
    """
    hosts = set(run_timeline.rank_hosts(record).values())
    traces: list[Trace] = []
    without: dict[str, str] = {}
    for meter in meters:
        participants = [host for host in meter.hosts if host in hosts]
        if not participants:
            continue
        trace = _trace(record, meter, participants[0], begin, end_s)
        if isinstance(trace, Trace):
            traces.append(trace)
        else:
            without.update(dict.fromkeys(participants, trace))
    return traces, without


def _trace(record: MeasuredRecord, meter: Meter, host: str, begin: int, end_s: float) -> Trace | str:
    """The meter's readings around the run on the common axis, or why they do not have its windows."""
    end = begin + round(1e9 * end_s)
    stretch = max(meter.stretches, key=lambda one: min(int(one.t_ns[-1]), end) - max(int(one.t_ns[0]), begin))
    first, last = np.searchsorted(stretch.t_ns, [begin, end])
    kept = slice(max(int(first) - BESIDE, 0), int(last) + BESIDE)
    t_ns = stretch.t_ns[kept] - begin
    why = _short_of(stretch, t_ns, begin, run_timeline.windows(record))
    if why is not None:
        return why
    machine = next((one for one in record.environment.hosts or () if one.host == host), None)
    processors = {rank.host: rank.processor for rank in record.environment.ranks or ()}
    return Trace(
        host=processors.get(host) or host,
        boot_id=(machine.boot_id if machine else None) or "",
        board=(machine.board if machine else None) or "unknown",
        source=stretch.source,
        kind=stretch.kind,
        period_s=usual_period_s(t_ns),
        channels=stretch.channels,
        # The length of a reading, which an uncertainty knows of, is here how far its time may be off.
        t_before_ns=t_ns - stretch.known_ns,
        t_after_ns=t_ns + stretch.known_ns,
        raw=stretch.raw[kept],
        label=host,
        covers=meter.hosts,
        meter=meter.name,
        left_out=stretch.left_out,
        not_measured=stretch.not_measured,
        errors=stretch.blanks,
        rank=min(rank for rank, name in run_timeline.rank_hosts(record).items() if name == host),
    )


def _short_of(stretch: Readings, t_ns: IntArray, begin: int, windows: Sequence[Window]) -> str | None:
    """Why readings do not have the whole of every window; a sum over a part of it would be smaller without saying so."""
    for begin_s, end_s in windows:
        inside = int(((t_ns >= 1e9 * begin_s) & (t_ns <= 1e9 * end_s)).sum())
        if len(t_ns) < LEAST_INSIDE or t_ns[0] > 1e9 * begin_s or t_ns[-1] < 1e9 * end_s:
            span = (begin + round(1e9 * begin_s), begin + round(1e9 * end_s))
            whole = (int(stretch.t_ns[0]), int(stretch.t_ns[-1]))
            return f"{stretch.name} has {span_text(*whole)}, a window is {span_text(*span)}"
        if inside < LEAST_INSIDE:
            usual = f"{stretch.name} has one every {stretch.period_s:.3g} s"
            return f"{inside} reading(s) in a window of {end_s - begin_s:.3g} s, {usual}"
    return None
