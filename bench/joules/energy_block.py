"""The ``energy`` block of a record: totals over a disjoint cover, shares, derived figures, and what was not measured."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from bench.common.phases import PHASES, STATES
from bench.joules.attribution import Attribution, Stretches, attribute
from bench.joules.channel import Trace
from bench.joules.cover import Cover, Part, Window, total_J
from bench.joules.integration import Energy, energy, sum_of_sensors, sum_of_windows

J_PER_KWH = 3.6e6


@dataclass(frozen=True)
class Run:
    """What happened, on the common axis in seconds: the timed windows, the idle windows before and after, each rank's host
    (its name in the inventory) and the stretches of its phases, and the work done inside the windows."""

    windows: Sequence[Window]
    idle_windows: Sequence[Window]
    rank_host: Mapping[int, str]
    stretches: Mapping[int, Stretches]
    samples: int
    tokens: int
    steps: int

    @property
    def hosts(self) -> list[str]:
        return list(dict.fromkeys(host for _, host in sorted(self.rank_host.items())))

    @property
    def window_s(self) -> float:
        return math.fsum(end - begin for begin, end in self.windows)


def summary(found: Cover, traces: Sequence[Trace], clock_s: float, run: Run, config: Mapping[str, Any]) -> dict[str, Any]:
    """The record's ``energy`` block. ``found`` is the cover of the run's hosts by ``traces``, ``clock_s`` the error bound of
    the hosts' clocks, ``config`` the point's ``energy`` with ``others`` and ``carbon``."""
    if not traces:
        return _nothing(run, config)
    each = [part.energies(run.windows, clock_s) for part in found.parts]
    rests = [part.energies(run.idle_windows, clock_s) for part in found.parts]
    whole, rest = sum_of_sensors(each), sum_of_sensors(rests)
    idle_s = math.fsum(end - begin for begin, end in run.idle_windows)
    complete = found.complete
    idle_W = rest.joules / idle_s if complete and idle_s else None
    before, after = (_watts(found.parts, window) if complete else None for window in run.idle_windows)
    shares = _shares(found, run)
    others = _others(found, run, clock_s, config)
    return {
        "kind": found.kind,
        "source": "+".join(sorted({curve.trace.source for part in found.parts for curve in part.curves})),
        **_totals(whole, rest, run, idle_s, idle_W, complete, config),
        "idle": {"before_W": before, "after_W": after, "seconds": idle_s},
        **shares,
        "by_host": [_host_block(*row, run, idle_s) for row in zip(found.parts, each, rests, strict=True)],
        "others": others,
        "system_J": _system(whole.joules, others, complete),
        "cross_checks": _cross_checks(found, run, clock_s),
        "coverage": _coverage(found, traces, run),
        "left_out": [{"host": trace.label, **left} for trace in traces for left in trace.left_out],
        "sampler": _sampler(traces),
    }


def step_joules(found: Cover, edges: Sequence[Sequence[float]]) -> list[float] | None:
    """Joules of all hosts in each step; ``edges`` are the step boundaries of each segment. None where a host has none."""
    if not found.complete:
        return None
    steps = [sum(np.diff(part.joules_at(segment)) for part in found.parts) for segment in edges]
    return [float(joules) for step in steps for joules in np.atleast_1d(step)]


def window_energy(found: Cover, clock_s: float, window: Window) -> dict[str, Any]:
    """``kind``, ``joules``, ``uncertainty_J`` and ``quality`` of all hosts in one window; joules null where a host has none."""
    if not found.complete:
        return {"kind": "none", "joules": None, "uncertainty_J": None, "quality": "no readings"}
    whole = sum_of_sensors(part.energies([window], clock_s) for part in found.parts)
    return {"kind": found.kind, "joules": whole.joules, "uncertainty_J": whole.uncertainty_J, "quality": whole.quality}


def _totals(
    whole: Energy, rest: Energy, run: Run, idle_s: float, idle_W: float | None, complete: bool, config: Mapping[str, Any]
) -> dict[str, Any]:
    """Joules, watts and what follows from them; all null where a host is missing, for a total is never silently smaller."""
    names = (
        "total_J", "uncertainty_J", "random_J", "systematic_J", "mean_power_W", "per_sample_J", "per_token_J", "edp_Js",
        "ed2p_Js2", "samples_per_s_MJ", "idle_W", "idle_J", "dynamic_J", "dynamic_uncertainty_J",
    )  # fmt: skip
    if not complete:
        return {**dict.fromkeys(names), "carbon": None}
    sample_J, sample_s = whole.joules / run.samples, run.window_s / run.samples
    scale = run.window_s / idle_s if idle_s else math.nan
    return {
        "total_J": whole.joules,
        "uncertainty_J": whole.uncertainty_J,
        "random_J": whole.random_J,
        "systematic_J": whole.systematic_J,
        "mean_power_W": whole.joules / run.window_s,
        "per_sample_J": sample_J,
        "per_token_J": whole.joules / run.tokens,
        "edp_Js": sample_J * sample_s,
        "ed2p_Js2": sample_J * sample_s**2,
        # Throughput by the energy of a step; independent of how long the window is.
        "samples_per_s_MJ": (1 / sample_s) / (whole.joules / run.steps / 1e6),
        "idle_W": idle_W,
        "idle_J": None if idle_W is None else idle_W * run.window_s,
        "dynamic_J": None if idle_W is None else whole.joules - idle_W * run.window_s,
        # The sensor's own error is in both and cancels as far as its gain goes; what is left is its share of the difference.
        "dynamic_uncertainty_J": None
        if idle_W is None
        else math.hypot(whole.random_J, rest.random_J * scale, whole.systematic_J * (1 - idle_W * run.window_s / whole.joules)),
        "carbon": _carbon(whole.joules, sample_J, config["carbon"]),
    }


def _carbon(joules: float, sample_J: float, stated: Mapping[str, Any]) -> dict[str, Any] | None:
    """Grams of CO2 equivalent of the window from a stated intensity; null where none is stated."""
    if stated["g_per_kWh"] is None:
        return None
    grams_per_J = stated["g_per_kWh"] / J_PER_KWH
    return {**stated, "total_g": joules * grams_per_J, "per_sample_g": sample_J * grams_per_J}


def _watts(parts: Sequence[Part], window: Window) -> float | None:
    seconds = window[1] - window[0]
    return total_J(parts, window) / seconds if seconds > 0 else None


def _shares(found: Cover, run: Run) -> dict[str, Any]:
    """Energy by phase, and summed up by MPI state and rank; null where it was refused.

    States follow from phases: computing forward takes other power than backward, so a fit to states alone would lend the
    difference to whatever lies beside them.
    """
    attributions: list[Attribution] = []
    for part in found.parts:
        ranks = {rank: run.stretches[rank] for rank, host in run.rank_host.items() if host in part.hosts}
        attributions += [attribute(curve, ranks, run.windows, PHASES) for curve in part.curves]
    why = [a.why for a in attributions if a.method == "refused"]
    if found.missing:
        why = [f"no readings of {', '.join(found.missing)}"]
    conditions = [a.condition for a in attributions if a.condition is not None]
    how = {
        "method": "refused" if why else " and ".join(sorted({a.method for a in attributions})),
        "why": why[0] if why else attributions[0].why,
        "condition_number": max(conditions, default=None),
    }
    if why:
        return {"by_phase": None, "phases": None, "by_rank": None, "attribution": how}
    joules = {phase: math.fsum(a.joules[phase] for a in attributions) for phase in PHASES}
    errors = {phase: math.hypot(*(a.error_J[phase] for a in attributions)) for phase in PHASES}
    by_rank: dict[int, dict[str, float]] = {}
    for a in attributions:
        for rank, own in a.by_rank.items():
            mine = by_rank.setdefault(rank, dict.fromkeys(PHASES, 0.0))
            mine.update({phase: mine[phase] + own[phase] for phase in PHASES})
    return {
        "by_phase": _states(joules),
        "phases": [{"phase": p, "joules": joules[p], "standard_error_J": errors[p]} for p in PHASES],
        "by_rank": [{"rank": rank, **_states(own)} for rank, own in sorted(by_rank.items())],
        "attribution": how,
    }


def _states(phases: Mapping[str, float]) -> dict[str, float]:
    computed = math.fsum(joules for phase, joules in phases.items() if phase not in STATES)
    return {"compute_J": computed, "communicate_J": phases["communicate"], "wait_J": phases["wait"]}


def _host_block(part: Part, whole: Energy, rest: Energy, run: Run, idle_s: float) -> dict[str, Any]:
    traces = [curve.trace for curve in part.curves]
    first, calibration = traces[0], next((t.calibration for t in traces if t.calibration), None)
    return {
        "host": part.name,
        "hosts": list(part.hosts),
        "board": first.board,
        "boot_id": first.boot_id,
        "kind": part.kind,
        "source": "+".join(trace.source for trace in traces),
        "meter": first.meter,
        "levels": part.levels(),
        "total_J": whole.joules,
        "uncertainty_J": whole.uncertainty_J,
        "mean_power_W": whole.joules / run.window_s,
        "idle_W": rest.joules / idle_s if idle_s else None,
        "channels": [channel.to_dict() for trace in traces for channel in trace.channels],
        "samples": whole.samples,
        "max_gap_s": whole.max_gap_s,
        "period_s": max(trace.period_s for trace in traces),
        "errors": sum(trace.errors for trace in traces),
        "quality": whole.quality if whole.quality != "good" else rest.quality,
        "calibration": None if calibration is None else asdict(calibration),
    }


def _others(found: Cover, run: Run, clock_s: float, config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Switches and other parts that are no hosts: measured by a meter, estimated with a stated figure, or missing."""
    blocks = []
    for name, stated in config["others"].items():
        meters = [meter for meter, about in config["meters"].items() if name in about["includes"]]
        block = {"name": name, "kind": "missing", "joules": None, "uncertainty_J": None, "basis": "not measured"}
        inside = [part for part in found.parts if part.curves[0].trace.meter in meters]
        alone = [curve for meter, curve in found.others.items() if meter in meters]
        if inside:
            block.update(kind="in total", basis=f"inside meter {inside[0].curves[0].trace.meter}")
        elif alone:
            read = sum_of_windows([energy(alone[0], *window, clock_s) for window in run.windows])
            block.update(kind="measured", joules=read.joules, uncertainty_J=read.uncertainty_J, basis=f"meter {meters[0]}")
        elif stated.get("power_W") is not None:
            block.update(kind="estimated", joules=stated["power_W"] * run.window_s, basis=stated["source"])
        blocks.append(block)
    return blocks


def _system(joules: float, others: Sequence[Mapping[str, Any]], complete: bool) -> float | None:
    """Hosts and other parts together; null where one of them is missing."""
    if not complete or any(other["kind"] == "missing" for other in others):
        return None
    return joules + math.fsum(other["joules"] for other in others if other["joules"] is not None)


def _cross_checks(found: Cover, run: Run, clock_s: float) -> list[dict[str, Any]]:
    """Sensors that are in no total against what is: the same sensor read another way, or a board's sensor and its meter."""
    rows = []
    for curve, other in found.checks:
        own = sum_of_windows([energy(curve, *window, clock_s) for window in run.windows])
        if isinstance(other, Part):
            first = other.curves[0].trace
            against, name = other.energies(run.windows, clock_s), first.meter or first.source
        else:
            against = sum_of_windows([energy(other, *window, clock_s) for window in run.windows])
            name = other.trace.source
        same = curve.trace.check_of is not None
        rows.append(
            {
                "host": curve.trace.label,
                "source": curve.trace.source,
                "against": name,
                "same_sensor": same,
                "joules": own.joules,
                "against_J": against.joules,
                "ratio": own.joules / against.joules if against.joules else None,
                "uncertainty_J": math.hypot(own.random_J, against.random_J),
                "quality": own.quality,
            }
        )
    return rows


def _coverage(found: Cover, traces: Sequence[Trace], run: Run) -> dict[str, Any]:
    total = [curve.trace for part in found.parts for curve in part.curves]
    return {
        "hosts": len(run.hosts),
        "measured": sum(len(part.hosts) for part in found.parts),
        "missing": list(found.missing),
        "levels": sorted({level for part in found.parts for level in part.levels()}),
        "also_measured": sorted({host for trace in total for host in trace.covers} - set(run.hosts)),
        "not_measured": sorted({what for trace in total for what in trace.not_measured}),
    }


def _sampler(traces: Sequence[Trace]) -> dict[str, Any]:
    """What the samplers cost: their CPU seconds as a share of their own life time on one core."""
    reads_s = np.concatenate([(trace.t_after_ns - trace.t_before_ns) / 1e9 for trace in traces])
    cost: dict[str, float] = {}
    life: dict[str, float] = {}
    for trace in traces:
        seconds = float(trace.t_after_ns[-1] - trace.t_before_ns[0]) / 1e9
        cost[trace.label] = cost.get(trace.label, 0.0) + trace.cpu_s
        life[trace.label] = max(life.get(trace.label, 0.0), seconds)
    return {
        "read_s_median": float(np.median(reads_s)),
        "reads": len(reads_s),
        "errors": sum(trace.errors for trace in traces),
        "cost_fraction": max((cost[host] / life[host] for host in cost if life[host] > 0), default=0.0),
    }


def _nothing(run: Run, config: Mapping[str, Any]) -> dict[str, Any]:
    empty = sum_of_sensors([])
    refused = {"method": "refused", "why": "no readings", "condition_number": None}
    asked = config["source"] != "none"
    return {
        "kind": "none",
        "source": None,
        **_totals(empty, empty, run, 0.0, None, False, config),
        "idle": {"before_W": None, "after_W": None, "seconds": 0.0},
        "by_phase": None,
        "phases": None,
        "by_rank": None,
        "attribution": refused,
        "by_host": [],
        "others": [],
        "system_J": None,
        "cross_checks": [],
        "coverage": {
            "hosts": len(run.hosts),
            "measured": 0,
            "missing": run.hosts if asked else [],
            "levels": [],
            "also_measured": [],
            "not_measured": ["everything: no readings" if asked else "everything: energy=none"],
        },
        "left_out": [],
        "sampler": {"read_s_median": None, "reads": 0, "errors": 0, "cost_fraction": None},
    }
