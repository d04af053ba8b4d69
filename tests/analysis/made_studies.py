"""Made studies that are as large and as mixed as real ones: many configurations, two works, traces of power, plans that err."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from bench.common.atomic_files import write_power
from bench.common.phases import PHASES
from bench.joules.channel import Channel, Trace
from tests.analysis.studies import write_study
from tests.records import WATTS, make_record

WORKS = (("minilm", "reviews", "accuracy", 1.0), ("gpt2-mini", "lm", "perplexity", 0.4))
OPERATIONS = {
    "data": {"data.all_reduce.backward": 180_529_168},
    "sequence": {"sequence.all_gather.forward": 9_437_184, "sequence.reduce_scatter.backward": 9_437_184,
                 "data.all_reduce.backward": 90_264_584},
    "tensor": {"tensor.all_reduce.forward": 4_718_592, "tensor.all_reduce.backward": 4_718_592},
    "pipeline": {"pipeline.send.forward": 786_432, "pipeline.send.backward": 786_432},
}  # fmt: skip
PHASE_SHARES = {"forward": 0.22, "backward": 0.46, "optimizer": 0.09, "other": 0.03, "communicate": 0.15, "wait": 0.05}


def rich_record(strategy: str, repeat: int = 0, **changes: Any) -> dict[str, Any]:
    """A record with everything that a figure can show: phases, activations, several evaluations, a schedule of pipelines."""
    record = make_record(strategy, repeat, schedule=strategy == "pipeline", **changes)
    if record["status"] not in ("ok", "invalid"):
        return record
    ranks, steps = record["point"]["ranks"], record["time"]["steps"]
    time, energy, learning, memory = record["time"], record["energy"], record["learning"], record["memory"]
    end = time["windows"][-1]["end_s"]
    time["idle"] = [{"start_s": 2.0, "end_s": 5.0}, {"start_s": end + 1.4, "end_s": end + 4.4}]
    alone = {"forward": 0.3, "backward": 0.57, "optimizer": 0.1, "other": 0.03, "communicate": 0.0, "wait": 0.0}
    shares = alone if ranks == 1 else PHASE_SHARES
    time["phases"] = {f"{phase}_s": share * time["window_s"] / steps for phase, share in shares.items()}
    if energy["kind"] != "none":
        energy["phases"] = [
            {"phase": phase, "joules": shares[phase] * energy["total_J"], "standard_error_J": 0.1} for phase in PHASES
        ]
    payload = {} if ranks == 1 else {key: value * (ranks - 1) for key, value in OPERATIONS[strategy].items()}
    record["traffic"] = {
        "payload_bytes": payload, "theory_bytes": dict(payload), "wire_bytes": {k: float(v) for k, v in payload.items()},
    }  # fmt: skip
    whole = 620 << 20
    whole //= 1 if strategy == "data" else ranks
    memory["predicted_bytes"] = [(240 << 20) + whole + 2_000_000 * r for r in range(ranks)]
    memory["peak_bytes"] = [int(1.18 * predicted) + (repeat << 20) for predicted in memory["predicted_bytes"]]
    record["plan"]["memory"] = [
        {"rank": r, "parameters_bytes": 1 << 20, "gradients_bytes": 1 << 20, "optimizer_bytes": 2 << 20,
         "activations_bytes": 6_400_000 * (1 + r), "total_bytes": (4 << 20) + 6_400_000 * (1 + r)}
        for r in range(ranks)
    ]  # fmt: skip
    memory["activations_bytes"] = [int(6_400_000 * (1 + r) * 1.03) for r in range(ranks)]
    curve, last = learning["curve"], learning["final"]
    learning["evaluations"] = [
        {**last, "step": step, "time_s": curve["time_s"][step - 1], "value": last["value"] + 0.02 * (step - steps) / steps,
         "energy_J": None if curve["energy_J"] is None else curve["energy_J"][step - 1]}
        for step in (steps // 3, 2 * steps // 3, steps)
    ]  # fmt: skip
    return record


def failing_record(strategy: str, repeat: int = 0, joules: bool = True, **changes: Any) -> dict[str, Any]:
    """A record of four boards of which the last one's rank was killed: copies at 30 s and 39 s, sixteen steps of half a second
    between and after them, the failure at 44 s, noticed within 0.25 s, shrunk in 1/8 s, built in half a second, four steps
    again in 2 s, then 20 steps with three ranks. 20 W before, 15 W after; repeats take a second more for the steps again."""
    record = rich_record(strategy, repeat, ranks=4, **changes)
    record["point"]["fault"] = {
        "rank": 3, "snapshot_every": 16, "after_steps": 24, "mesh": dict.fromkeys(record["point"]["mesh"]), "options": {},
    }  # fmt: skip
    kind = record["energy"]["kind"]

    def spent(watts: float, seconds: float) -> dict[str, Any]:
        known = joules and kind != "none"
        about = {"uncertainty_J": 0.1 if known else None, "quality": "good" if known else "no readings"}
        return {"kind": kind if known else "none", "joules": watts * seconds if known else None, **about}

    def step(part: str, number: int, begin: float, end: float) -> dict[str, Any]:
        left = 4 if part == "copies" else 3
        return {"part": part, "step": number, "ranks": left, "start_s": begin, "end_s": end, "loss": 0.7 - 0.001 * number}

    def window(ranks: int, begin: float, end: float, steps: int, watts: float) -> dict[str, Any]:
        samples, used = 32 * steps, spent(watts, end - begin)
        each = None if used["joules"] is None else used["joules"] / samples
        rate = samples / (end - begin)
        return {
            "ranks": ranks,
            "start_s": begin,
            "end_s": end,
            "steps": steps,
            "samples_per_s": rate,
            "per_sample_J": each,
            **used,
        }

    again = 2.0 + repeat
    back = 44.875 + again
    edges = {"notice": (44.0, 44.25), "shrink": (44.25, 44.375), "rebuild": (44.375, 44.875), "redo": (44.875, back)}
    steps = [step("copies", i, 31 + 0.5 * i, 31.5 + 0.5 * i) for i in range(16)]
    steps += [step("copies", 16 + i, 40 + 0.5 * i, 40.5 + 0.5 * i) for i in range(8)]
    steps += [step("redo", 16 + i, 44.875 + again / 8 * i, 44.875 + again / 8 * (i + 1)) for i in range(8)]
    steps += [step("after", 24 + i, back + 0.625 * i, back + 0.625 * (i + 1)) for i in range(20)]
    sent = 0 if strategy in ("data", "sequence") else 270_000_000
    record["fault"] = {
        "rank": 3, "host": "pi-4", "step": 24, "at_s": 44.0, "recovered_s": back,
        "recovery": {"seconds": back - 44.0, **spent(15, back - 44.0)},
        "phases": [{"name": n, "start_s": b, "end_s": e, **spent(15, e - b)} for n, (b, e) in edges.items()],
        "lost_steps": 8, "loss_difference": 1e-7, "restored_bytes": sent // 4,
        "copies": {
            "every_steps": 16, "seconds": [1.0, 1.0], "payload_bytes": 2 * sent, "memory_bytes": [270_000_000] * 4,
            **window(4, 30, 44, 24, 20),
        },
        "after": {
            "mesh": {**record["point"]["mesh"], strategy: 3}, "hosts": ["pi-1", "pi-2", "pi-3"],
            **window(3, back, back + 12.5, 20, 15),
        },
        "steps": steps,
    }  # fmt: skip
    return record


def paper_study(repeats: int = 1, kind: str = "modelled", ranks: tuple[int, ...] = (2, 3, 4)) -> list[dict[str, Any]]:
    """The case study of the paper: two models, a single board and four strategies on each number of boards."""
    records = []
    for model, task, metric, speed in WORKS:
        for strategy, n in [("single", 1), *((s, n) for s in OPERATIONS for n in ranks)]:
            for repeat in range(repeats):
                about = {"model": model, "task": task}
                gain = {"data": 0.45, "sequence": 0.4, "tensor": 0.5, "pipeline": 0.3, "single": 0.0}[strategy] * (n - 1)
                record = rich_record(
                    strategy, repeat, kind=kind, ranks=n, samples_per_s=speed * 22 * (1 + gain) * 0.94**n,
                    watts=WATTS[strategy] / 2 * (n + 0.1), point=about,
                )  # fmt: skip
                record["point"]["name"] = record["point"]["name"].replace("minilm-reviews", f"{model}-{task}")
                record["learning"]["metric_name"] = metric
                if metric == "perplexity":
                    evaluations = [{**found, "value": 40 - 20 * found["value"]} for found in record["learning"]["evaluations"]]
                    record["learning"] |= {"evaluations": evaluations, "final": evaluations[-1]}
                records.append(record)
    return records


def with_traces(folder: Path, records: list[dict[str, Any]]) -> Path:
    """The study with a trace of power of every board of every first repeat."""
    write_study(folder, records)
    for record in records:
        if record["point"]["repeat"] == 0 and record["status"] == "ok":
            write_trace(folder / record["point"]["name"], record)
    return folder


def write_trace(folder: Path, record: dict[str, Any]) -> None:
    """One board for each rank: 3 W at rest, 7 W at work with a ripple that differs between boards."""
    window = record["time"]["windows"][-1]
    last_s = window["end_s"]
    if "fault" in record:
        last_s = record["fault"]["after"]["end_s"]
    t_ns = np.arange(int(2.0e9), int((last_s + 5.0) * 1e9), 50_000_000, dtype=np.int64)
    seconds = t_ns / 1e9
    traces = []
    for rank in range(record["point"]["ranks"]):
        busy = (seconds > 5.9) & (seconds < window["end_s"] + 1.2)
        if "fault" in record:
            busy |= seconds > 29.0
        watts = 3 + busy * (4 + 0.6 * np.sin((2 + rank) * seconds) + 0.3 * rank)
        raw = (np.concatenate([[0], np.cumsum(watts[:-1] * 0.05)]) * 1e6).astype(np.int64).reshape(-1, 1)
        channel = Channel("board", "counter", 1e-6, "made")
        host = f"pi-{rank + 1}"
        about = (host, str(rank), "raspberry-pi-4", "made", "modelled", 0.05, (channel,))
        end = int(np.searchsorted(seconds, record["fault"]["at_s"])) if "fault" in record and rank == 3 else len(t_ns)
        traces.append(Trace(*about, t_ns[:end], t_ns[:end], raw[:end], label=host))  # type: ignore[arg-type]
    write_power(folder / "power.parquet", traces, lambda rank, ns: ns / 1e9, lambda trace: ["board"])
