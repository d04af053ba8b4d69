"""From what the ranks hand in to the record of a point: rank 0 only, when the run is over."""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.common import atomic_files
from bench.common.median_interval import median_interval
from bench.common.phases import PHASES
from bench.conditions import environment, host_agreement, host_checks
from bench.faults.fault_block import checks as fault_checks
from bench.faults.fault_block import fault_block
from bench.joules.attribution import seconds
from bench.joules.cover import Cover, find_cover
from bench.joules.energy_block import Run, step_joules, summary, window_energy
from bench.record import checks, repeat_spread
from bench.record.check_record import Check
from bench.record.point_block import point_block
from bench.record.record import RESULT, MeasuredRecord
from bench.run.learning_block import learning_block
from bench.timeline import rank_states
from bench.timeline.measured_schedule import schedule_block
from bench.timeline.rank_report import RankReport, RunFacts, Timeline
from strategies.plan.shapes import Plan

if TYPE_CHECKING:
    from bench.timeline.clock_model import ClockModel

STATES = ("parameters_bytes", "gradients_bytes", "optimizer_bytes")


def write(
    config: Mapping[str, Any],
    plan: Plan,
    reports: Sequence[RankReport],
    traces: Any,
    clock: ClockModel,
    facts: RunFacts,
    plan_after: Plan | None = None,
) -> str:
    """Write result.json, power.parquet and events.parquet of the point; the record's status.

    ``plan_after`` is that of the survivors where a rank was killed; all other blocks are of the time before.
    """
    folder = Path(config["paths"]["point"])

    def to_common(rank: int, t_ns: float) -> float:
        return (clock.to_common(rank, t_ns) - facts.begin_ns) / 1e9

    timeline = Timeline.of(reports, to_common)
    entries = {report.rank: report.entries for report in reports}
    by_state = rank_states.rank_states(entries, to_common)
    time_block = _time(config, timeline, by_state, reports, facts)
    run = Run(
        windows=timeline.windows,
        idle_windows=[(to_common(0, begin), to_common(0, end)) for begin, end in reports[0].idle_ns],
        rank_host={report.rank: report.facts["host"] for report in reports},
        stretches={rank: rank_states.stretches(entries[rank], found, rank, to_common) for rank, found in by_state.items()},
        samples=time_block["samples"],
        tokens=time_block["tokens"],
        steps=time_block["steps"],
    )
    found = find_cover(traces, run.hosts, to_common)
    energy = summary(found, traces, clock.bound_s, run, config["energy"])
    replication = _replication(facts, found, clock.bound_s, to_common)
    joules = step_joules(found, timeline.edges)
    schedule = schedule_block(plan, reports, timeline, to_common)
    record: dict[str, Any] = {
        "schema": RESULT,
        "status": "ok",
        "reason": None,
        "point": _point(config, reports),
        "plan": _plan(config, plan, reports),
        "time": {
            **time_block,
            "idle": [{"start_s": begin, "end_s": end} for begin, end in run.idle_windows],
            "phases": _phases(run),
            **({} if schedule is None else {"schedule": schedule}),
            "clock": clock.summary(),
        },
        "energy": energy,
        "traffic": _traffic(plan, reports, timeline.timed_steps()),
        "memory": _memory(plan, reports),
        "replication": replication,
        "learning": learning_block(config, reports, timeline, joules),
        "checks": [],
        "environment": _environment(config, reports, facts),
    }
    fault_checked: list[Check] = []
    if plan_after is not None:
        lives, hosts = [report.lived for report in reports], [report.facts["host"] for report in reports]
        covers = functools.partial(find_cover, traces, to_common=to_common)
        record["fault"] = fault_block(config, plan_after, lives, hosts, covers, clock.bound_s, to_common)
        fault_checked = fault_checks(config, record["fault"], (plan, plan_after), lives, hosts)
    judged = [*_checks(config, MeasuredRecord.from_dict(record), reports), *fault_checked]
    typed = MeasuredRecord.from_dict(record)
    judged.append(repeat_spread.agree(typed, folder))
    status, reason = checks.overall(judged)
    typed = replace(typed, status=status, reason=reason, checks=judged)
    if traces:
        atomic_files.write_power(folder / "power.parquet", traces, to_common, found.in_total)
    atomic_files.write_events(folder / "events.parquet", _event_rows(entries, to_common))
    atomic_files.write_json(folder / "result.json", typed.to_dict())
    return status


def _replication(facts: RunFacts, found: Cover, clock_s: float, to_common: rank_states.ToCommon) -> dict[str, Any] | None:
    """Seconds, bytes and joules of bringing the weights to the ranks; null where that was not asked for."""
    sent = facts.replication
    if sent is None:
        return None
    window = (to_common(0, sent.begin_ns), to_common(0, sent.end_ns))
    energy = window_energy(found, clock_s, window)
    return {"start_s": window[0], "seconds": window[1] - window[0], "payload_bytes": sent.payload_bytes, **energy}


def _point(config: Mapping[str, Any], reports: Sequence[RankReport]) -> dict[str, Any]:
    return {**point_block(config), "threads": max(report.facts["threads"] for report in reports)}


def _plan(config: Mapping[str, Any], plan: Plan, reports: Sequence[RankReport]) -> dict[str, Any]:
    block = plan.to_dict()
    for place, report in zip(block["placement"], reports, strict=True):
        place["host"] = report.facts["host"]
    drawn = sorted({name for report in reports for name in report.drawn})
    if drawn:
        block["notes"].append(f"not in the checkpoint, drawn at random: {', '.join(drawn)}")
    return block | ({"predicted": config["predicted"]} if "predicted" in config else {})


def _time(
    config: Mapping[str, Any],
    timeline: Timeline,
    by_state: Mapping[int, rank_states.RankStates],
    reports: Sequence[RankReport],
    facts: RunFacts,
) -> dict[str, Any]:
    windows, durations = timeline.windows, timeline.durations(timed=True)
    window_s, steps = math.fsum(end - begin for begin, end in windows), len(durations)
    samples = steps * config["train"]["batch"]
    by_rank = [{"rank": rank, **rank_states.totals(found, windows)} for rank, found in sorted(by_state.items())]
    share = 1 / (len(by_rank) * steps)
    warm = timeline.durations(timed=False)
    return {
        "windows": [{"start_s": b, "end_s": e, "steps": n} for (b, e), n in zip(windows, _counts(timeline), strict=True)],
        "window_s": window_s,
        "steps": steps,
        "samples": samples,
        "tokens": samples * config["train"]["seq"],
        "step_s": {**median_interval(durations), "values": durations},
        "samples_per_s": samples / window_s,
        "tokens_per_s": samples * config["train"]["seq"] / window_s,
        "by_phase": {key: share * math.fsum(rank[key] for rank in by_rank) for key in ("compute_s", "communicate_s", "wait_s")},
        "by_rank": by_rank,
        "startup_s": (facts.ready_ns - facts.begin_ns) / 1e9,
        "warmup": {"steps": len(warm), "step_s": warm, "stable": reports[0].history.warmup_stable},
    }


def _phases(run: Run) -> dict[str, float]:
    """Seconds of a step in each phase, mean over ranks: they add up to the step."""
    spent = [seconds(own, run.windows, PHASES) for own in run.stretches.values()]
    share = 1 / (len(spent) * run.steps)
    return {f"{phase}_s": share * math.fsum(own[phase] for own in spent) for phase in PHASES}


def _counts(timeline: Timeline) -> list[int]:
    return [len(edge) - 1 for edge, timed in zip(timeline.edges, timeline.timed, strict=True) if timed]


def _traffic(plan: Plan, reports: Sequence[RankReport], timed: Sequence[int]) -> dict[str, Any]:
    """Bytes per optimizer step, summed over ranks; a step that moved other bytes than the rest is not averaged away."""
    steps = set(timed)
    payload: Counter[tuple[str, int]] = Counter()
    wire: Counter[str] = Counter()
    for report in reports:
        for entry in report.entries:
            if entry.kind == "comm" and entry.payload_bytes and entry.step in steps:
                key = f"{entry.axis}.{entry.op}.{entry.phase}"
                payload[key, entry.step] += entry.payload_bytes
                wire[key] += entry.wire_bytes
    theory = {volume.key: volume.payload_bytes for volume in plan.volumes}
    keys = sorted({key for key, _ in payload} | set(theory))
    by_step = {key: {payload[key, step] for step in steps} for key in keys}
    return {
        # A step that differs from the others is shown by its own number, so that the comparison with theory fails.
        "payload_bytes": {key: _odd_one(sizes, theory.get(key, 0)) for key, sizes in by_step.items()},
        "theory_bytes": {key: theory.get(key, 0) for key in keys},
        "wire_bytes": {key: wire[key] / len(steps) for key in keys},
    }


def _odd_one(sizes: set[int], expected: int) -> int:
    others = sorted(sizes - {expected})
    return others[-1] if others else expected


def _memory(plan: Plan, reports: Sequence[RankReport]) -> dict[str, Any]:
    baseline = [report.memory["baseline_bytes"] for report in reports]
    return {
        "peak_bytes": [report.memory["peak_bytes"] for report in reports],
        "predicted_bytes": [b + m.total_bytes for b, m in zip(baseline, plan.memory, strict=True)],
        "baseline_bytes": baseline,
        "states": [{key: report.memory[key] for key in STATES} for report in reports],
        "activations_bytes": [report.memory["activations_bytes"] for report in reports],
    }


def _environment(config: Mapping[str, Any], reports: Sequence[RankReport], facts: RunFacts) -> dict[str, Any]:
    hosts: list[dict[str, Any]] = []
    for report in reports:
        own = report.facts
        if own["first"]:
            before, after = report.host_states
            ends = {"before": before, "after": after, "mode": report.mode}
            hosts.append({**own["machine"], "host": own["host"], "board": own["board"], **ends})
    keep = ("rank", "host", "processor", "pid", "affinity", "threads")
    return {
        **environment.collect_code(),
        "mpi": {"library": reports[0].facts["mpi"], "thread_level": reports[0].facts["thread_level"]},
        "hosts": hosts,
        "ranks": [{key: report.facts[key] for key in keep} for report in reports],
        "command": config.get("command"),
        "overrides": config.get("overrides"),
        # To the microsecond: it is where the common axis of events and power begins, for meters that tell civil time.
        "started": facts.started.isoformat(timespec="microseconds"),
        "finished": facts.finished.isoformat(timespec="seconds"),
    }


def _event_rows(entries: Mapping[int, Sequence[Any]], to_common: rank_states.ToCommon) -> list[dict[str, Any]]:
    return [
        {
            "rank": rank,
            **{k: getattr(e, k) for k in ("step", "kind", "axis", "op", "phase", "payload_bytes", "thread")},
            "match": " ".join(map(str, e.match)),
            "t0_s": to_common(rank, e.t0_ns),
            "t1_s": to_common(rank, e.t1_ns),
        }
        for rank, own in entries.items()
        for e in own
    ]


def _checks(config: Mapping[str, Any], record: MeasuredRecord, reports: Sequence[RankReport]) -> list[Check]:
    time, energy, train = record["time"], record["energy"], config["train"]
    hashes: dict[str, list[str]] = {}
    for at, report in zip(record["plan"]["placement"], reports, strict=True):
        place = at["coordinates"]
        hashes.setdefault(f"stage {at['stage'][0]} part {place['tensor']}", []).append(report.weights_hash)
    hosts = energy["by_host"]
    return [
        checks.traffic(record["traffic"]["payload_bytes"], record["traffic"]["theory_bytes"]),
        checks.memory_states(record["memory"]["states"], record["plan"]["memory"]),
        checks.loss_finite(record["learning"]["curve"]["loss"]),
        checks.replicas_equal(hashes),
        checks.energy_quality(energy["kind"], energy["coverage"]["missing"], {h["host"]: h["quality"] for h in hosts}),
        checks.one_level(energy["coverage"]["levels"]),
        checks.participants(energy["coverage"]["also_measured"]),
        checks.cross_checks(energy["cross_checks"]),
        checks.window_length(time["window_s"], config["window_s"], config["smoke"], train["steps"] is not None),
        checks.power_samples([host["samples"] for host in hosts], config["smoke"]),
        checks.sampler_cost(energy["sampler"]["cost_fraction"]),
        checks.warm_up(time["warmup"]["stable"], time["warmup"]["steps"]),
        checks.idle_agrees(energy["idle"]["before_W"], energy["idle"]["after_W"]),
        checks.threads(*([r.facts[key] for r in reports] for key in ("threads_planned", "threads"))),
        checks.rank_map(*([r.facts[key] for r in reports] for key in ("host", "processor"))),
        host_agreement.same_code(record["environment"]["hosts"]),
        host_agreement.quiet_before(record["environment"]["hosts"]),
        *host_checks.of(record["environment"]["hosts"]),
        checks.step_time_stable(time["step_s"]["values"], config["smoke"]),
        checks.clock(time["clock"]["bound_s"], time["clock"]["residual_s"], time["step_s"]["median"]),
    ]
