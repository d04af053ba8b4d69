"""Validity of a point: each check is a finding in words, and the record carries all of them.

A failed check makes the point ``invalid``: its numbers stay in the record and stay out of comparisons. A warning says
what a careful reader should know.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from statistics import median
from typing import Literal

from bench.record.check_record import Check, Verdict
from bench.record.host_energy_record import CrossCheckRecord
from bench.record.memory_record import StateBytesRecord
from bench.record.plan_record import PlannedMemoryRecord

MOST_SAMPLER_COST = 0.01
LEAST_POWER_SAMPLES = 60
IDLE_SPREAD = 0.10
LEAST_THIRD = 3
WARNING_DRIFT, FAILING_DRIFT = 0.05, 0.20


def finding(name: str, good: bool, detail: str, otherwise: Verdict = "failed") -> Check:
    """A check of something that could be looked at.

    Args:
        name: The check's name in the report.
        good: Whether it passed.
        detail: The finding in words, with its numbers.
        otherwise: The verdict where it is not good.

    Returns:
        The check.
    """
    return Check(name=name, status="passed" if good else otherwise, detail=detail)


def skipped(name: str, why: str) -> Check:
    """A check that there was nothing to look at for.

    Args:
        name: The check's name in the report.
        why: The reason in words.

    Returns:
        The check.
    """
    return Check(name=name, status="skipped", detail=why)


def traffic(payload: Mapping[str, int], theory: Mapping[str, int]) -> Check:
    """Bytes of every step equal those of the plan, exactly.

    Args:
        payload: Bytes that were sent in a step, by axis, operation and phase.
        theory: Bytes of the plan, by the same keys.

    Returns:
        Failed where any of them differs.
    """
    wrong = [
        f"{k}: {payload.get(k, 0)} not {theory.get(k, 0)}" for k in {**payload, **theory} if payload.get(k) != theory.get(k)
    ]
    good = f"{sum(payload.values())} bytes per step in {len(payload)} kinds of operation, as planned"
    return finding("traffic equals theory", not wrong, "; ".join(sorted(wrong)) or good)


def memory_states(measured: Sequence[StateBytesRecord], planned: Sequence[PlannedMemoryRecord]) -> Check:
    """Parameters, gradients and optimizer states of every rank are within 10 % of the plan.

    Args:
        measured: Bytes of every rank.
        planned: Bytes of the plan, for the same ranks.

    Returns:
        Failed where one of them is off.
    """
    off = [
        f"rank {rank} {key.removesuffix('_bytes')} {held} bytes, planned {plan[key]}"
        for rank, (states, plan) in enumerate(zip(map(asdict, measured), map(asdict, planned), strict=True))
        for key, held in states.items()
        if abs(held - plan[key]) > 0.1 * plan[key]
    ]
    return finding("memory", not off, "; ".join(off) or "parameters, gradients and optimizer states as planned, within 10 %")


def loss_finite(losses: Sequence[float]) -> Check:
    """The training loss of every step is a number.

    Args:
        losses: The loss of each step, the first one first.

    Returns:
        Failed with the first step whose loss is not finite.
    """
    bad = [step for step, loss in enumerate(losses, 1) if not math.isfinite(loss)]
    return finding("loss is finite", not bad, f"not finite at step {bad[0]}" if bad else f"{len(losses)} steps")


def replicas_equal(hashes: Mapping[str, Sequence[str]]) -> Check:
    """Ranks that hold the same shard hold the same bits.

    Args:
        hashes: The hashes of each shard's weights, one a rank that holds it.

    Returns:
        Failed where those of a shard differ; skipped where no shard is held twice.
    """
    wrong = sorted(shard for shard, copies in hashes.items() if len(set(copies)) > 1)
    count = sum(len(copies) for copies in hashes.values())
    detail = f"weights differ between replicas of {', '.join(wrong)}" if wrong else f"{count} shards, {len(hashes)} distinct"
    if all(len(copies) == 1 for copies in hashes.values()):
        return skipped("replicas are equal", "no shard is held twice")
    return finding("replicas are equal", not wrong, detail)


def energy_quality(kind: str, missing: Sequence[str], qualities: Mapping[str, str]) -> Check:
    """Every host has power readings over the whole of every window.

    Args:
        kind: The record's kind of energy; ``none`` where none was asked for.
        missing: Hosts without any reading.
        qualities: The quality of each other host's readings.

    Returns:
        Failed where a quality is not ``good`` or a host is missing; skipped without energy.
    """
    if kind == "none" and not missing:
        return skipped("power covers every host", "no energy was asked for")
    bad = [f"{host}: {quality}" for host, quality in qualities.items() if quality != "good"]
    bad += [f"{host}: no readings" for host in missing]
    return finding("power covers every host", not bad, "; ".join(bad) or f"{len(qualities)} host(s) without gaps")


def one_level(levels: Sequence[str]) -> Check:
    """All hosts are metered at the same place: a sum of wall and board powers compares with nothing.

    Args:
        levels: The different places at which hosts are metered.

    Returns:
        Warned where there are several; skipped without energy.
    """
    if not levels:
        return skipped("hosts are metered alike", "no energy was asked for")
    return finding("hosts are metered alike", len(levels) == 1, f"energy at: {', '.join(levels)}", "warned")


def cross_checks(rows: Sequence[CrossCheckRecord]) -> Check:
    """A sensor read two ways gives the same joules, within three uncertainties and 2 %.

    Args:
        rows: Comparisons of two sources of a host, in joules.

    Returns:
        Warned where two readings of the same sensor are apart; skipped where there are none.
    """
    same = [row for row in rows if row.same_sensor]
    if not same:
        return skipped("sources agree", "no sensor was read two ways")
    apart = [row for row in same if abs(row.joules - row.against_J) > 3 * row.uncertainty_J + 0.02 * abs(row.against_J)]
    text = ", ".join(f"{r.source} {r.joules:.4g} J, {r.against} {r.against_J:.4g} J on {r.host}" for r in apart or same)
    return finding("sources agree", not apart, text, "warned")


def participants(also_measured: Sequence[str]) -> Check:
    """A meter of the run has no hosts that take no part: their idle power is in the total.

    Args:
        also_measured: Hosts without a rank that a meter of the run has in its total.

    Returns:
        Warned where there are any.
    """
    detail = f"in the total without a rank: {', '.join(also_measured)}" if also_measured else "no other host is in the total"
    return finding("only participants are metered", not also_measured, detail, "warned")


def window_length(window_s: float, least_s: float, smoke: bool, fixed_steps: bool) -> Check:
    """The timed windows are as long as the configuration asks for.

    Args:
        window_s: All timed windows together, s.
        least_s: The length that was asked for, s.
        smoke: Whether the point is a smoke run: warned in any case.
        fixed_steps: Whether the number of steps was given: warned only, if too short.

    Returns:
        Failed where the windows are too short, with the exceptions above.
    """
    detail = f"{window_s:.1f} s, {least_s:.1f} s wanted"
    if smoke:
        return finding("window is long enough", False, f"smoke run: {detail}", "warned")
    return finding("window is long enough", window_s >= least_s, detail, "warned" if fixed_steps else "failed")


def power_samples(samples: Sequence[int], smoke: bool) -> Check:
    """At least 60 readings of the slowest host in the windows (the rule of MLPerf Power).

    Args:
        samples: Readings of each host in the windows.
        smoke: Whether the point is a smoke run: warned only.

    Returns:
        Failed where there are too few; skipped without energy.
    """
    if not samples:
        return skipped("enough power samples", "no energy was asked for")
    good = min(samples) >= LEAST_POWER_SAMPLES
    detail = f"{min(samples)} readings, {LEAST_POWER_SAMPLES} wanted"
    return finding("enough power samples", good, detail, "warned" if smoke else "failed")


def sampler_cost(fraction: float | None) -> Check:
    """Reading the sensors took less than 1 % of the cores.

    Args:
        fraction: The sampler's share of the cores, 0 to 1; None where none ran.

    Returns:
        Warned where it took more.
    """
    if fraction is None:
        return skipped("sampler costs under 1 %", "no sampler ran")
    return finding("sampler costs under 1 %", fraction < MOST_SAMPLER_COST, f"{100 * fraction:.2f} % of the cores", "warned")


def warm_up(stable: bool, steps: int) -> Check:
    """Step times agreed before the windows began.

    Args:
        stable: Whether the last step times of the warm-up agreed.
        steps: Steps of the warm-up.

    Returns:
        Warned where they did not.
    """
    return finding("warm-up became flat", stable, f"{steps} warm-up steps", "warned")


def idle_agrees(before_W: float | None, after_W: float | None, reused_from: str | None = None) -> Check:
    """Power at idle was the same before and after, within 10 %.

    Args:
        before_W: Power in the first idle phase, W; None where it was not measured.
        after_W: Power in the last one, W.
        reused_from: The point that measured both, where it is another.

    Returns:
        Warned where they are further apart.
    """
    if before_W is None or after_W is None:
        return skipped("idle before and after agree", "idle power was not measured")
    largest_W = max(abs(before_W), abs(after_W))
    apart = abs(after_W - before_W) / largest_W if largest_W else 0.0
    detail = f"{before_W:.2f} W before, {after_W:.2f} W after"
    origin = f", measured by {reused_from}" if reused_from else ""
    return finding("idle before and after agree", apart <= IDLE_SPREAD, detail + origin, "warned")


def threads(planned: Sequence[int], used: Sequence[int]) -> Check:
    """Every rank computes with as many threads as its share of the host's cores.

    Args:
        planned: Threads of each rank as planned.
        used: Threads that each rank had.

    Returns:
        Warned where a rank had another number.
    """
    wrong = [
        f"rank {rank}: {real} not {plan}" for rank, (plan, real) in enumerate(zip(planned, used, strict=True)) if plan != real
    ]
    return finding("threads as planned", not wrong, "; ".join(wrong) or f"{used[0]} for each rank", "warned")


def rank_map(planned: Sequence[str], processors: Sequence[str]) -> Check:
    """Ranks planned on one host run on one machine, and those on different hosts do not share one.

    Args:
        planned: The host of each rank as planned.
        processors: The machine of each rank, as MPI names it.

    Returns:
        Failed where a host is several machines, or a machine several hosts.
    """
    homes: dict[str, set[str]] = {}
    for plan, real in zip(planned, processors, strict=True):
        homes.setdefault(plan, set()).add(real)
    machines = [real for of_host in homes.values() for real in of_host]
    good = all(len(of_host) == 1 for of_host in homes.values()) and len(set(machines)) == len(machines)
    detail = ", ".join(f"{plan} on {'/'.join(sorted(real))}" for plan, real in sorted(homes.items()))
    return finding("ranks run where planned", good, detail)


def step_time_stable(values_s: Sequence[float], smoke: bool) -> Check:
    """The median step of the last third of the window is that of the first third: warned from 5 %, failed from 20 %.

    A median step speaks of a steady state. A drift of 5 % is more than the interval that repeats aim at (2.5 %), so a reader
    should know; one of 20 % is as large as the differences between strategies that are to be told apart, whatever it comes
    from (heat, other load, a supply that gives in), so the point is not valid. Medians of thirds ignore single slow steps.

    Args:
        values_s: The duration of each timed step, s.
        smoke: Whether the point is a smoke run, which is too short to fail.

    Returns:
        Warned or failed by the drift; skipped with fewer than nine steps.
    """
    third = len(values_s) // 3
    if third < LEAST_THIRD:
        return skipped("step time is stable", f"{len(values_s)} steps are too few to tell, {3 * LEAST_THIRD} wanted")
    first, last = median(values_s[:third]), median(values_s[-third:])
    drift = last / first - 1
    detail = f"median {first:.4g} s in the first third, {last:.4g} s in the last ({100 * drift:+.1f} %)"
    verdict: Verdict = "failed" if abs(drift) >= FAILING_DRIFT and not smoke else "warned"
    return finding("step time is stable", abs(drift) < WARNING_DRIFT, detail, verdict)


def clock(bound_s: float, residual_s: float, step_s: float) -> Check:
    """The clocks of the hosts agree far better than a step takes.

    Args:
        bound_s: The error bound of the clocks' agreement, s.
        residual_s: The largest standard deviation of the exchanges from their fit, s.
        step_s: The median step, s.

    Returns:
        Warned where the bound is more than 1 % of a step.
    """
    detail = f"within {1e6 * bound_s:.1f} us, residual {1e6 * residual_s:.1f} us"
    return finding("clocks agree", bound_s < 0.01 * step_s, detail, "warned")


def overall(judged: Sequence[Check]) -> tuple[Literal["ok", "invalid"], str | None]:
    """The status of a point that follows from its checks.

    Args:
        judged: All checks of the point.

    Returns:
        ``ok`` and None, or ``invalid`` and the failed checks in words.
    """
    failed = [f"{check.name}: {check.detail}" for check in judged if check.status == "failed"]
    return ("invalid", "; ".join(failed)) if failed else ("ok", None)
