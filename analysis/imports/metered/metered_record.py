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

from analysis.imports.log.column_hosts import Meter
from analysis.imports.metered import reading_density, run_timeline
from analysis.imports.metered.meter_traces import Alignment, begin_ns, traces_of
from bench.joules.channel import Trace
from bench.joules.cover import Cover, Window, find_cover
from bench.joules.energy_block import energy_block, step_joules, window_energy
from bench.joules.energy_shares import refused
from bench.joules.host_limits import DESCRIBING, HostLimit
from bench.joules.metered_parts import EnergyContext
from bench.joules.plausibility import plausibility_checks
from bench.joules.timed_run import Run
from bench.record import checks, repeat_spread
from bench.record.block import as_json
from bench.record.check_record import Check
from bench.record.energy_record import EnergyRecord
from bench.record.host_energy_record import LeftOutRecord
from bench.record.learning_record import EvaluationRecord, LearningRecord
from bench.record.record import MeasuredRecord
from bench.record.spent_record import ReplicationRecord

MOST_MISALIGNED = 0.01
FOLLOWING = ("status", "reason", "energy", "learning", "replication", "checks")
"""Blocks of a record that follow from the readings."""


@dataclass(frozen=True)
class MeteredRecord:
    """The new record, its traces with their cover, and how well meter and run are aligned."""

    record: MeasuredRecord
    traces: tuple[Trace, ...]
    cover: Cover
    within_s: float
    """In seconds."""

    def blocks(self) -> dict[str, Any]:
        """As JSON, the blocks that follow from the readings; all others are those of the record before."""
        return {name: as_json(getattr(self.record, name)) for name in FOLLOWING}


@dataclass(frozen=True)
class _Joules:
    """The readings of one run: their cover of its hosts, the error bound of times (s), and the hosts without readings."""

    traces: Sequence[Trace]
    cover: Cover
    clock_s: float
    without: Mapping[str, str]


def to_common_s(_: int, t_ns: float) -> float:
    """Traces of meters have their times on the common axis already.

    Args:
        _: The rank, which does not matter.
        t_ns: ns on the common axis.

    Returns:
        The same in seconds.
    """
    return t_ns / 1e9


def metered_record(
    record: MeasuredRecord, folder: Path, meters: Sequence[Meter], alignment: Alignment, into: Path
) -> MeteredRecord:
    """The record of a point with its energy by other meters.

    Args:
        record: Of the point.
        folder: The point's.
        meters: All of the log.
        alignment: Of the log's times.
        into: The new folder of the point; earlier repeats lie beside it.

    Returns:
        The new record with its checks, its traces, and how well meter and run are aligned.

    Raises:
        UserError: The record does not say when or where the point ran, or its events cannot be read.
    """
    events = run_timeline.read_events(folder)
    hosts = run_timeline.rank_hosts(record)
    begin, within_s = begin_ns(record, alignment)
    traces, without = traces_of(record, meters, begin, run_timeline.end_s(record, events))
    cover = find_cover(traces, list(dict.fromkeys(host for _, host in sorted(hosts.items()))), to_common_s)
    joules = _Joules(traces, cover, (record.time.clock.bound_s or 0.0) + within_s, without)
    phases, unknown = run_timeline.stretches(record, events)
    slowest_s = max((trace.period_s for trace in traces), default=0.0)
    if unknown is None and within_s > slowest_s:
        unknown = f"meter and run are aligned within {within_s:.3g} s, and readings come every {slowest_s:.3g} s"
    idle = run_timeline.rests(record, folder)
    if not _whole(cover, idle):  # idle power is then unknown; the windows may be known all the same
        idle = run_timeline.no_rests(record)
    time = record.time
    run = Run(run_timeline.windows(record), idle, hosts, phases, time.samples, time.tokens, time.steps)
    new = replace(
        record,
        energy=_energy(joules, run, _context(record, folder), unknown),
        learning=_learning(record, cover),
        replication=_replication(record.replication, joules),
    )
    # A log may hold a smoothed or nominal power, and its meter's steps are not known: one that never changes is said only.
    plausible = plausibility_checks(cover, run, _limits(folder), _context(record, folder).others, frozen="warned")
    judged = _judged(new, without, within_s, into, plausible)
    status, reason = checks.overall(judged)
    return MeteredRecord(replace(new, checks=judged, status=status, reason=reason), tuple(traces), cover, within_s)


def _whole(cover: Cover, windows: Sequence[Window]) -> bool:
    """Whether all windows have their readings."""
    return all(part.energies(windows, 0.0).quality == "good" for part in cover.parts)


def _energy(joules: _Joules, run: Run, context: EnergyContext, unknown: str | None) -> EnergyRecord:
    """The block; shares of phases are refused where it is ``unknown`` when each phase was."""
    block = energy_block(joules.cover, joules.traces, joules.clock_s, run, context)
    if unknown is not None and block.by_phase is not None:
        block = replace(block, **vars(refused(unknown)))
    left_out = [LeftOutRecord(host=host, source="import", why=why) for host, why in joules.without.items()]
    # Nothing of ours read the meter.
    sampler = replace(block.sampler, read_s_median=None, cost_fraction=None)
    return replace(block, sampler=sampler, left_out=[*block.left_out, *left_out])


def _context(record: MeasuredRecord, folder: Path) -> EnergyContext:
    """The settings of the point about carbon and parts that are no hosts; its meters are not those of the log."""
    try:
        settings = json.loads((folder / "config.json").read_text())["energy"]
    except (OSError, ValueError, KeyError):
        settings = {}
    known = record.energy.carbon
    carbon = {"g_per_kWh": known.g_per_kWh if known else None, "source": known.source if known else None}
    return EnergyContext.of(
        {
            "source": "import",
            "meters": {},
            "others": settings.get("others", {}),
            "carbon": settings.get("carbon", carbon),
        }
    )


def _learning(record: MeasuredRecord, cover: Cover) -> LearningRecord:
    """Joules up to each step and evaluation; null where the meter does not have all steps, warm-up included."""
    learning, edges = record.learning, run_timeline.step_edges(record)
    steps = step_joules(cover, edges) if _whole(cover, [(segment[0], segment[-1]) for segment in edges]) else None
    curve = learning.curve
    known = steps is not None and len(steps) == len(curve.step)
    spent = list(itertools.accumulate(steps or (), initial=0.0)) if known else None
    before = curve.step[0] - 1 if curve.step else 0

    def with_energy(evaluation: EvaluationRecord) -> EvaluationRecord:
        return replace(evaluation, energy_J=None if spent is None else spent[evaluation.step - before])

    return replace(
        learning,
        initial=learning.initial and with_energy(learning.initial),
        final=learning.final and with_energy(learning.final),
        curve=replace(curve, energy_J=None if spent is None else spent[1:]),
        evaluations=[with_energy(evaluation) for evaluation in learning.evaluations],
    )


def _replication(sent: ReplicationRecord | None, joules: _Joules) -> ReplicationRecord | None:
    if sent is None:
        return None
    if sent.start_s is None:
        why = "the record does not say when the weights were sent"
        return replace(sent, kind="none", joules=None, uncertainty_J=None, quality=why)
    spent = window_energy(joules.cover, joules.clock_s, (sent.start_s, sent.start_s + sent.seconds))
    return replace(sent, kind=spent.kind, joules=spent.joules, uncertainty_J=spent.uncertainty_J, quality=spent.quality)


def _limits(folder: Path) -> dict[str, HostLimit]:
    """The most that each host of the point can draw, where its configuration has it."""
    try:
        config = json.loads((folder / "config.json").read_text())
        hosts, boards = config["cluster"]["hosts"], config["boards"]
        stated = Path(config["cluster"]["hostfile"] or "").suffix in DESCRIBING
        limits = {host.get("name") or host["address"]: (host["board"], boards[host["board"]].get("max_W")) for host in hosts}
    except (OSError, ValueError, LookupError, TypeError):
        return {}
    return {name: HostLimit(float(most["value"]), board, stated) for name, (board, most) in limits.items() if most}


def _judged(
    record: MeasuredRecord, without: Mapping[str, str], within_s: float, into: Path, plausible: Sequence[Check]
) -> list[Check]:
    """The checks that the energy decides, judged again in their places; the others as they were."""
    energy, smoke = record.energy, record.point.smoke
    qualities = {host.host: host.quality for host in energy.by_host} | dict(without)
    missing = [host for host in energy.coverage.missing if host not in without]
    again = [
        checks.energy_quality("measured", missing, qualities),  # whatever was found: energy was asked for
        checks.one_level(energy.coverage.levels),
        checks.participants(energy.coverage.also_measured),
        checks.cross_checks(energy.cross_checks),
        *plausible,
        reading_density.enough_readings(energy, smoke),
        checks.sampler_cost(energy.sampler.cost_fraction),
        checks.idle_agrees(energy.idle.before_W, energy.idle.after_W),
        _aligned(within_s, record.time.window_s),
    ]
    by_name = {check.name: check for check in again}
    kept = [by_name.pop(check.name, check) for check in record.checks if check.name != "repeats agree"]
    return [*kept, *by_name.values(), repeat_spread.agree(record, into)]


def _aligned(within_s: float, window_s: float) -> Check:
    agree = f"within {within_s:.3g} s" if within_s else "the clocks of the meter and of the hosts are taken as one"
    detail = f"{agree}; windows of {window_s:.1f} s"
    return checks.finding("meter and run are aligned", within_s <= MOST_MISALIGNED * window_s, detail, "warned")
