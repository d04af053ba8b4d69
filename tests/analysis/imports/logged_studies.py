"""A small study as a run writes it, and logs of meters that were read meanwhile."""

from __future__ import annotations

import argparse
import hashlib
import itertools
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from analysis.imports import add_arguments, import_verb
from analysis.study.study import load_study
from bench.common.atomic_files import EVENT_TYPES, write_json
from bench.common.median_interval import median_interval
from bench.record.block import as_json
from bench.record.record import Record
from tests.records import make_record

STARTED = datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=timezone.utc)
WINDOW = (20.0, 80.0)
STEPS, BATCH = 60, 32
WARM_UP = [2.0, 1.0, 1.0]
IDLE_S, STARTUP_S = 6.0, 2.4  # rest is from 2.6 s to 8.6 s
SAMPLES = STEPS * BATCH


def point(strategy: str = "data", repeat: int = 0, hosts: Sequence[str] = ("pi-1", "pi-2"), **changes: Any) -> dict[str, Any]:
    """A point of one rank for each host, without energy: warm-up from 16 s to 20 s, 60 steps from 20 s to 80 s."""
    record = make_record(strategy, repeat, kind="none", steps=STEPS, ranks=len(hosts), **changes)
    begun = STARTED + timedelta(minutes=5 * repeat)
    record["environment"] |= {
        "started": begun.isoformat(timespec="microseconds"),
        "finished": (begun + timedelta(seconds=90)).isoformat(timespec="seconds"),
        "hosts": [{"host": host, "board": "raspberry-pi-5", "boot_id": f"boot of {host}"} for host in hosts],
        "ranks": [{"rank": rank, "host": host, "processor": f"{host}.lan"} for rank, host in enumerate(hosts)],
    }
    if record["status"] not in ("ok", "invalid"):
        return record
    steps = [0.9 if number % 2 else 1.1 for number in range(STEPS)]
    record["plan"]["placement"] = [{"rank": rank, "host": host} for rank, host in enumerate(hosts)]
    record["time"] |= {
        "windows": [{"start_s": WINDOW[0], "end_s": WINDOW[1], "steps": STEPS}],
        "window_s": WINDOW[1] - WINDOW[0],
        "step_s": {**median_interval(steps), "values": steps},
        "samples_per_s": SAMPLES / 60,
        "tokens_per_s": 64 * SAMPLES / 60,
        "startup_s": STARTUP_S,
        "warmup": {"steps": len(WARM_UP), "step_s": WARM_UP, "stable": True},
        "clock": {"bound_s": 0.0, "residual_s": 0.0},
    }
    done = [*WARM_UP, *steps]
    final = {"step": len(done), "time_s": 64.0, "energy_J": None, "value": 0.7, "loss": 0.6, "n": 256}
    record["learning"] |= {
        "final": final,
        "evaluations": [final],
        "curve": {
            "step": list(range(1, len(done) + 1)),
            "loss": [0.7 - 0.001 * number for number in range(len(done))],
            "time_s": list(itertools.accumulate(done)),
            "energy_J": None,
        },
    }
    record["checks"] = [
        {"name": "loss is finite", "status": "passed", "detail": "63 steps"},
        {"name": "power covers every host", "status": "skipped", "detail": "no energy was asked for"},
        {"name": "threads as planned", "status": "passed", "detail": "1 for each rank"},
        {"name": "repeats agree", "status": "skipped", "detail": "no other repeat of this configuration has ended yet"},
    ]
    return record


def event(rank: int, step: int, kind: str, op: str, phase: str, t0_s: float, t1_s: float, match: str = "") -> dict[str, Any]:
    about = {"rank": rank, "step": step, "kind": kind, "axis": "gradients" if kind == "comm" else "", "op": op, "phase": phase}
    return {**about, "payload_bytes": 0, "thread": "main", "t0_s": t0_s, "t1_s": t1_s, "match": match}


def events(ranks: int, match: bool = True) -> list[dict[str, Any]]:
    """Every step of 1 s from 20 s on: forward 0.3 s, backward 0.3 s, then an all-reduce for which the last rank is 0.1 s late
    and that ends 0.9 s after the begin; the optimizer takes the rest."""
    rows = []
    for step in range(STEPS):
        for rank in range(ranks):
            t_s, late = WINDOW[0] + step, 0.1 if rank == ranks - 1 else 0.0
            named = " ".join(map(str, ("main", step, *range(ranks)))) if match else ""
            rows += [
                event(rank, step, "phase", "forward", "forward", t_s, t_s + 0.3),
                event(rank, step, "phase", "backward", "backward", t_s + 0.3, t_s + 0.6 + late),
                event(rank, step, "comm", "all_reduce", "backward", t_s + 0.6 + late, t_s + 0.9, named),
                event(rank, step, "phase", "optimizer", "optimizer", t_s + 0.9, t_s + 1.0),
            ]
    return rows


def write_events(path: Path, rows: Sequence[dict[str, Any]], match: bool = True) -> None:
    kinds = {**EVENT_TYPES, "match": pa.string()} if match else {k: v for k, v in EVENT_TYPES.items() if k != "match"}
    pq.write_table(pa.table({key: pa.array([row[key] for row in rows], kind) for key, kind in kinds.items()}), path)


def write_study(folder: Path, records: Sequence[dict[str, Any]], match: bool = True) -> Path:
    """The study's folder: result.json of every point and, where it has numbers, its events and configuration."""
    write_json(folder / "study.json", {"schema": "edgejoule.study/1", "study": folder.name, "experiment": None})
    for record in records:
        own = folder / record["point"]["name"]
        write_json(own / "result.json", record)
        write_json(own / "config.json", {"idle_s": IDLE_S, "energy": {"others": {}, "carbon": CARBON}})
        if "time" in record:
            write_events(own / "events.parquet", events(record["point"]["ranks"], match), match)
    return folder


BOTH = ("--column", "a=pi-1", "--column", "b=pi-2", "--unit", "W", "--level", "wall")
"""Whose the columns of a log are that has one for each host."""

CARBON = {"g_per_kWh": 360.0, "source": "the supplier's bill"}


def constant(_: float) -> float:
    return 10.0


def ramp(t_s: float) -> float:
    """Integral from 20 s to 80 s: 4 * 60 + 0.1 * (80^2 - 20^2) = 840 J."""
    return 4 + 0.2 * t_s


def times(first: int = -5, last: int = 95, every_s: float = 1.0) -> list[float]:
    """Seconds of the run's own axis."""
    return [first + every_s * number for number in range(int((last - first) / every_s) + 1)]


def write_csv(path: Path, columns: dict[str, Callable[[float], float]], seconds: Sequence[float] | None = None) -> Path:
    """A log with a UTC time in milliseconds and the watts of each column."""
    lines = [",".join(["time", *columns])]
    for t_s in times() if seconds is None else seconds:
        stamp = (STARTED + timedelta(seconds=t_s)).isoformat(timespec="milliseconds")
        lines.append(",".join([stamp, *(f"{power(t_s):.6f}" for power in columns.values())]))
    path.write_text("\n".join(lines) + "\n")
    return path


def run(log: Path, study: Path, into: Path, *words: str) -> int:
    """The verb with these words."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return import_verb(parser.parse_args([str(log), str(study), "--into", str(into), *words]))


def only(folder: Path) -> dict[str, Any]:
    """The one record of a study."""
    (record,) = load_study(folder).records
    return dict(as_json(record))


def check_of(record: dict[str, Any] | Record, name: str) -> dict[str, str]:
    """One check of a record, as JSON has it."""
    checks: list[dict[str, str]] = as_json(record)["checks"]
    (found,) = [check for check in checks if check["name"] == name]
    return found


def fingerprint(folder: Path) -> dict[str, str]:
    """Every file below a folder with the hash of its bytes."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
