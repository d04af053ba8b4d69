"""Validity of a point: each check is a finding in words, and the record carries all of them.

A failed check makes the point ``invalid``: its numbers stay in the record and stay out of comparisons. A warning says
what a careful reader should know.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

Check = dict[str, str]
MOST_SAMPLER_COST = 0.01
LEAST_POWER_SAMPLES = 60
IDLE_SPREAD = 0.10
LEAST_THIRD = 3
WARNING_DRIFT, FAILING_DRIFT = 0.05, 0.20


def finding(name: str, good: bool, detail: str, otherwise: str = "failed") -> Check:
    return {"name": name, "status": "passed" if good else otherwise, "detail": detail}


def skipped(name: str, why: str) -> Check:
    return {"name": name, "status": "skipped", "detail": why}


def traffic(payload: Mapping[str, int], theory: Mapping[str, int]) -> Check:
    """Bytes of every step equal those of the plan, exactly."""
    wrong = [
        f"{k}: {payload.get(k, 0)} not {theory.get(k, 0)}" for k in {**payload, **theory} if payload.get(k) != theory.get(k)
    ]
    good = f"{sum(payload.values())} bytes per step in {len(payload)} kinds of operation, as planned"
    return finding("traffic equals theory", not wrong, "; ".join(sorted(wrong)) or good)


def memory_states(found: Sequence[Mapping[str, int]], planned: Sequence[Mapping[str, int]]) -> Check:
    """Parameters, gradients and optimizer states of every rank are within 10 % of the plan."""
    off = [
        f"rank {rank} {key.removesuffix('_bytes')} {own[key]} bytes, planned {plan[key]}"
        for rank, (own, plan) in enumerate(zip(found, planned, strict=True))
        for key in own
        if abs(own[key] - plan[key]) > 0.1 * plan[key]
    ]
    return finding("memory", not off, "; ".join(off) or "parameters, gradients and optimizer states as planned, within 10 %")


def loss_finite(losses: Sequence[float]) -> Check:
    bad = [step for step, loss in enumerate(losses, 1) if not math.isfinite(loss)]
    return finding("loss is finite", not bad, f"not finite at step {bad[0]}" if bad else f"{len(losses)} steps")


def replicas_equal(hashes: Mapping[str, Sequence[str]]) -> Check:
    """Ranks that hold the same shard hold the same bits; ``hashes`` lists those of each shard."""
    wrong = sorted(shard for shard, found in hashes.items() if len(set(found)) > 1)
    copies = sum(len(found) for found in hashes.values())
    detail = f"weights differ between replicas of {', '.join(wrong)}" if wrong else f"{copies} shards, {len(hashes)} distinct"
    if all(len(found) == 1 for found in hashes.values()):
        return skipped("replicas are equal", "no shard is held twice")
    return finding("replicas are equal", not wrong, detail)


def energy_quality(kind: str, missing: Sequence[str], qualities: Mapping[str, str]) -> Check:
    """Every host has power readings over the whole of every window."""
    if kind == "none" and not missing:
        return skipped("power covers every host", "no energy was asked for")
    bad = [f"{host}: {quality}" for host, quality in qualities.items() if quality != "good"]
    bad += [f"{host}: no readings" for host in missing]
    return finding("power covers every host", not bad, "; ".join(bad) or f"{len(qualities)} host(s) without gaps")


def one_level(levels: Sequence[str]) -> Check:
    """All hosts are metered at the same place: a sum of wall and board powers compares with nothing."""
    if not levels:
        return skipped("hosts are metered alike", "no energy was asked for")
    return finding("hosts are metered alike", len(levels) == 1, f"energy at: {', '.join(levels)}", "warned")


def cross_checks(rows: Sequence[Mapping[str, Any]]) -> Check:
    """A sensor read two ways gives the same joules, within three uncertainties and 2 %."""
    same = [row for row in rows if row["same_sensor"]]
    if not same:
        return skipped("sources agree", "no sensor was read two ways")
    apart = [
        row for row in same if abs(row["joules"] - row["against_J"]) > 3 * row["uncertainty_J"] + 0.02 * abs(row["against_J"])
    ]
    text = ", ".join(
        f"{r['source']} {r['joules']:.4g} J, {r['against']} {r['against_J']:.4g} J on {r['host']}" for r in apart or same
    )
    return finding("sources agree", not apart, text, "warned")


def participants(also_measured: Sequence[str]) -> Check:
    """A meter of the run has no hosts that take no part: their idle power is in the total."""
    detail = f"in the total without a rank: {', '.join(also_measured)}" if also_measured else "no other host is in the total"
    return finding("only participants are metered", not also_measured, detail, "warned")


def window_length(window_s: float, wanted_s: float, smoke: bool, fixed_steps: bool) -> Check:
    detail = f"{window_s:.1f} s, {wanted_s:.1f} s wanted"
    if smoke:
        return finding("window is long enough", False, f"smoke run: {detail}", "warned")
    return finding("window is long enough", window_s >= wanted_s, detail, "warned" if fixed_steps else "failed")


def power_samples(samples: Sequence[int], smoke: bool) -> Check:
    """At least 60 readings of the slowest host in the windows (the rule of MLPerf Power)."""
    if not samples:
        return skipped("enough power samples", "no energy was asked for")
    good = min(samples) >= LEAST_POWER_SAMPLES
    detail = f"{min(samples)} readings, {LEAST_POWER_SAMPLES} wanted"
    return finding("enough power samples", good, detail, "warned" if smoke else "failed")


def sampler_cost(fraction: float | None) -> Check:
    if fraction is None:
        return skipped("sampler costs under 1 %", "no sampler ran")
    return finding("sampler costs under 1 %", fraction < MOST_SAMPLER_COST, f"{100 * fraction:.2f} % of the cores", "warned")


def warm_up(stable: bool, steps: int) -> Check:
    return finding("warm-up became flat", stable, f"{steps} warm-up steps", "warned")


def idle_agrees(before_W: float | None, after_W: float | None) -> Check:
    if before_W is None or after_W is None:
        return skipped("idle before and after agree", "idle power was not measured")
    apart = abs(after_W - before_W) / max(before_W, after_W)
    detail = f"{before_W:.2f} W before, {after_W:.2f} W after"
    return finding("idle before and after agree", apart <= IDLE_SPREAD, detail, "warned")


def threads(planned: Sequence[int], found: Sequence[int]) -> Check:
    wrong = [f"rank {r}: {f} not {p}" for r, (p, f) in enumerate(zip(planned, found, strict=True)) if p != f]
    return finding("threads as planned", not wrong, "; ".join(wrong) or f"{found[0]} for each rank", "warned")


def rank_map(planned: Sequence[str], found: Sequence[str]) -> Check:
    """Ranks planned on one host run on one machine, and those on different hosts do not share one."""
    homes: dict[str, set[str]] = {}
    for plan, real in zip(planned, found, strict=True):
        homes.setdefault(plan, set()).add(real)
    machines = [real for found_on in homes.values() for real in found_on]
    good = all(len(found_on) == 1 for found_on in homes.values()) and len(set(machines)) == len(machines)
    detail = ", ".join(f"{plan} on {'/'.join(sorted(real))}" for plan, real in sorted(homes.items()))
    return finding("ranks run where planned", good, detail)


def step_time_stable(values_s: Sequence[float], smoke: bool) -> Check:
    """The median step of the last third of the window is that of the first third: warned from 5 %, failed from 20 %.

    A median step speaks of a steady state. A drift of 5 % is more than the interval that repeats aim at (2.5 %), so a reader
    should know; one of 20 % is as large as the differences between strategies that are to be told apart, whatever it comes
    from (heat, other load, a supply that gives in), so the point is not valid. Medians of thirds ignore single slow steps.
    Smoke runs are too short to fail.
    """
    third = len(values_s) // 3
    if third < LEAST_THIRD:
        return skipped("step time is stable", f"{len(values_s)} steps are too few to tell, {3 * LEAST_THIRD} wanted")
    first, last = median(values_s[:third]), median(values_s[-third:])
    drift = last / first - 1
    detail = f"median {first:.4g} s in the first third, {last:.4g} s in the last ({100 * drift:+.1f} %)"
    verdict = "failed" if abs(drift) >= FAILING_DRIFT and not smoke else "warned"
    return finding("step time is stable", abs(drift) < WARNING_DRIFT, detail, verdict)


def clock(bound_s: float, residual_s: float, step_s: float) -> Check:
    """The clocks of the hosts agree far better than a step takes."""
    detail = f"within {1e6 * bound_s:.1f} us, residual {1e6 * residual_s:.1f} us"
    return finding("clocks agree", bound_s < 0.01 * step_s, detail, "warned")


def overall(found: Sequence[Check]) -> tuple[str, str | None]:
    """``ok``, or ``invalid`` with the names of the failed checks."""
    failed = [f"{check['name']}: {check['detail']}" for check in found if check["status"] == "failed"]
    return ("invalid", "; ".join(failed)) if failed else ("ok", None)
