"""A run's record with the readings of another meter: what would have stood in it had we read that meter.

Civil time joins them: ``environment.started`` is second 0 of the common axis of events, windows and power.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from analysis.imports.log import civil_times
from analysis.imports.log.column_hosts import Meter
from analysis.imports.log.meter_log import IntArray, Readings, span_text, usual_period_s
from analysis.imports.metered import run_timeline
from bench.common.user_error import UserError
from bench.joules.channel import Trace
from bench.joules.cover import Cover, Window, find_cover
from bench.joules.energy_block import energy_block, step_joules, window_energy
from bench.joules.energy_shares import refused
from bench.joules.metered_parts import EnergyContext
from bench.joules.timed_run import Run
from bench.record import checks, repeat_spread
from bench.record.check_record import Check
from bench.record.energy_record import EnergyRecord
from bench.record.host_energy_record import LeftOutRecord
from bench.record.record import MeasuredRecord

Record = dict[str, Any]
TO_THE_SECOND_S = 1.0
BESIDE = 3
"""Readings that are kept before the start and after the end of a run."""
LEAST_INSIDE = 2
MOST_MISALIGNED = 0.01


@dataclass(frozen=True)
class Alignment:
    """``offset_s`` is added to the log's times; ``within_s`` is how well they then agree with the hosts' (None: as told)."""

    offset_s: float | None = None
    within_s: float | None = None


@dataclass(frozen=True)
class Joined:
    """The new record, its traces with their cover, and how well meter and run are aligned."""

    record: Record
    traces: tuple[Trace, ...]
    cover: Cover
    within_s: float


def to_common_s(_: int, t_ns: float) -> float:
    """Traces have their times on the common axis already, in nanoseconds."""
    return t_ns / 1e9


def join(record: Record, folder: Path, meters: Sequence[Meter], how: Alignment, into: Path) -> Joined:
    """The record of the point in ``folder`` with its energy by ``meters``; ``into`` is its new folder."""
    events = run_timeline.read_events(folder)
    hosts = run_timeline.rank_hosts(record)
    begin_ns, within_s = _begin(record, how)
    end_s = run_timeline.end_s(record, events)
    traces: list[Trace] = []
    without: dict[str, str] = {}
    for meter in meters:
        own = [host for host in meter.hosts if host in hosts.values()]
        found = _trace(record, meter, own, begin_ns, end_s, run_timeline.windows(record)) if own else None
        if isinstance(found, Trace):
            traces.append(found)
        elif found is not None:
            without.update(dict.fromkeys(own, found))
    cover = find_cover(traces, list(dict.fromkeys(host for _, host in sorted(hosts.items()))), to_common_s)
    resting = run_timeline.rests(record, folder)
    if not _whole(cover, resting):  # idle power is then unknown; the windows may be known all the same
        resting = run_timeline.no_rests(record)
    phases, unknown = run_timeline.stretches(record, events)
    slowest_s = max((trace.period_s for trace in traces), default=0.0)
    if unknown is None and within_s > slowest_s:
        unknown = f"meter and run are aligned within {within_s:.3g} s, and readings come every {slowest_s:.3g} s"
    run = Run(
        run_timeline.windows(record), resting, hosts, phases, *(record["time"][key] for key in ("samples", "tokens", "steps"))
    )
    clock_s = record["time"]["clock"].get("bound_s", 0.0) + within_s
    new = {**record, "energy": _energy(record, folder, traces, cover, clock_s, run, without, unknown).to_dict()}
    new["learning"] = _learning(record, cover)
    new["replication"] = _replication(record, cover, clock_s)
    judged = _judged(MeasuredRecord.from_dict(new), without, within_s, into)
    new["checks"] = [check.to_dict() for check in judged]
    new["status"], new["reason"] = checks.overall(judged)
    return Joined(new, tuple(traces), cover, within_s)


def span_ns(record: Record, how: Alignment) -> tuple[int, int]:
    """From when to when the run was measured, in the log's own time."""
    begin_ns, _ = _begin(record, how)
    return begin_ns, begin_ns + round(1e9 * max(end for _, end in run_timeline.windows(record)))


def _begin(record: Record, how: Alignment) -> tuple[int, float]:
    """Second 0 of the common axis in the log's time, and how well they agree in seconds."""
    started = record["environment"].get("started")
    if not started:
        raise UserError(f"{record['point']['name']}: the record does not say when the run started (environment.started)")
    begin_ns, exact = civil_times.started_ns(started)
    unknown_s = 0.0 if exact or how.offset_s is not None else TO_THE_SECOND_S
    return begin_ns - round(1e9 * (how.offset_s or 0.0)), unknown_s if how.within_s is None else how.within_s


def _trace(
    record: Record, meter: Meter, own: Sequence[str], begin_ns: int, end_s: float, windows: Sequence[Window]
) -> Trace | str:
    """The meter's readings around the run on the common axis, or why they do not have its windows."""
    end_ns = begin_ns + round(1e9 * end_s)
    found = max(meter.stretches, key=lambda one: min(int(one.t_ns[-1]), end_ns) - max(int(one.t_ns[0]), begin_ns))
    first, last = np.searchsorted(found.t_ns, [begin_ns, end_ns])
    kept = slice(max(int(first) - BESIDE, 0), int(last) + BESIDE)
    t_ns = found.t_ns[kept] - begin_ns
    why = _short_of(found, t_ns, begin_ns, windows)
    if why is not None:
        return why
    environment = record["environment"]
    about = {host["host"]: host for host in environment.get("hosts", ())}.get(own[0], {})
    processors = {rank["host"]: rank["processor"] for rank in environment.get("ranks", ())}
    return Trace(
        host=processors.get(own[0], own[0]),
        boot_id=about.get("boot_id") or "",
        board=about.get("board") or "unknown",
        source=found.source,
        kind=found.kind,
        period_s=usual_period_s(t_ns),
        channels=found.channels,
        # The length of a reading, which an uncertainty knows of, is here how far its time may be off.
        t_before_ns=t_ns - found.known_ns,
        t_after_ns=t_ns + found.known_ns,
        raw=found.raw[kept],
        label=own[0],
        covers=meter.hosts,
        meter=meter.name,
        left_out=found.left_out,
        not_measured=found.not_measured,
        errors=found.blanks,
        rank=min(rank for rank, host in run_timeline.rank_hosts(record).items() if host == own[0]),
    )


def _short_of(found: Readings, t_ns: IntArray, begin_ns: int, windows: Sequence[Window]) -> str | None:
    """Why readings do not have the whole of every window; a sum over a part of it would be smaller without saying so."""
    for begin_s, end_s in windows:
        inside = int(((t_ns >= 1e9 * begin_s) & (t_ns <= 1e9 * end_s)).sum())
        if len(t_ns) < LEAST_INSIDE or t_ns[0] > 1e9 * begin_s or t_ns[-1] < 1e9 * end_s:
            span = (begin_ns + round(1e9 * begin_s), begin_ns + round(1e9 * end_s))
            whole = (int(found.t_ns[0]), int(found.t_ns[-1]))
            return f"{found.name} has {span_text(*whole)}, a window is {span_text(*span)}"
        if inside < LEAST_INSIDE:
            usual = f"{found.name} has one every {found.period_s:.3g} s"
            return f"{inside} reading(s) in a window of {end_s - begin_s:.3g} s, {usual}"
    return None


def _whole(cover: Cover, windows: Sequence[Window]) -> bool:
    """Whether all windows have their readings."""
    return all(part.energies(windows, 0.0).quality == "good" for part in cover.parts)


def _energy(
    record: Record,
    folder: Path,
    traces: Sequence[Trace],
    cover: Cover,
    clock_s: float,
    run: Run,
    without: Mapping[str, str],
    unknown: str | None,
) -> EnergyRecord:
    block = energy_block(cover, traces, clock_s, run, EnergyContext.of(_settings(record, folder)))
    if unknown is not None and block.by_phase is not None:
        block = replace(block, **vars(refused(unknown)))
    left_out = [LeftOutRecord(host=host, source="import", why=why) for host, why in without.items()]
    # Nothing of ours read the meter.
    sampler = replace(block.sampler, read_s_median=None, cost_fraction=None)
    return replace(block, sampler=sampler, left_out=[*block.left_out, *left_out])


def _settings(record: Record, folder: Path) -> dict[str, Any]:
    """What the point was told of carbon and of parts that are no hosts; meters of then are not those of now."""
    try:
        told = json.loads((folder / "config.json").read_text())["energy"]
    except (OSError, ValueError, KeyError):
        told = {}
    was = record["energy"]["carbon"]
    carbon = {"g_per_kWh": None, "source": None} if was is None else {key: was[key] for key in ("g_per_kWh", "source")}
    return {"source": "import", "meters": {}, "others": told.get("others", {}), "carbon": told.get("carbon", carbon)}


def _learning(record: Record, cover: Cover) -> dict[str, Any]:
    """Joules up to each step and evaluation; null where the meter does not have all steps, warm-up included."""
    learning, edges = record["learning"], run_timeline.step_edges(record)
    steps = step_joules(cover, edges) if _whole(cover, [(own[0], own[-1]) for own in edges]) else None
    curve = learning["curve"]
    known = steps is not None and len(steps) == len(curve["step"])
    spent = list(itertools.accumulate(steps or (), initial=0.0)) if known else None
    begun = curve["step"][0] - 1 if curve["step"] else 0

    def with_energy(found: dict[str, Any] | None) -> dict[str, Any] | None:
        return None if found is None else {**found, "energy_J": None if spent is None else spent[found["step"] - begun]}

    return {
        **learning,
        "initial": with_energy(learning["initial"]),
        "final": with_energy(learning["final"]),
        "curve": {**curve, "energy_J": None if spent is None else spent[1:]},
        "evaluations": [with_energy(found) for found in learning["evaluations"]],
    }


def _replication(record: Record, cover: Cover, clock_s: float) -> dict[str, Any] | None:
    sent = record.get("replication")
    if sent is None:
        return None
    begin = sent.get("start_s")
    if begin is None:
        nothing = {"kind": "none", "joules": None, "uncertainty_J": None}
        return {**sent, **nothing, "quality": "the record does not say when the weights were sent"}
    return {**sent, **window_energy(cover, clock_s, (begin, begin + sent["seconds"])).to_dict()}


def _judged(record: MeasuredRecord, without: Mapping[str, str], within_s: float, into: Path) -> list[Check]:
    """The checks that the energy decides, judged again in their places; the others as they were."""
    energy, smoke = record.energy, record.point.smoke
    qualities = {host.host: host.quality for host in energy.by_host} | dict(without)
    aligned = f"within {within_s:.3g} s" if within_s else "the clocks of the meter and of the hosts are taken as one"
    missing = [host for host in energy.coverage.missing if host not in without]
    window_s = record.time.window_s
    again = [
        checks.energy_quality("measured", missing, qualities),  # whatever was found: energy was asked for
        checks.one_level(energy.coverage.levels),
        checks.participants(energy.coverage.also_measured),
        checks.cross_checks(energy.cross_checks),
        checks.power_samples([host.samples for host in energy.by_host], smoke),
        checks.sampler_cost(energy.sampler.cost_fraction),
        checks.idle_agrees(energy.idle.before_W, energy.idle.after_W),
        checks.finding(
            "meter and run are aligned",
            within_s <= MOST_MISALIGNED * window_s,
            f"{aligned}; windows of {window_s:.1f} s",
            "warned",
        ),
    ]
    named = {check.name: check for check in again}
    kept = [named.pop(check.name, check) for check in record.checks if check.name != "repeats agree"]
    return [*kept, *named.values(), repeat_spread.agree(record, into)]
