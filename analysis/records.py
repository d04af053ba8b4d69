"""A study as tables: one row for each point, and what could not be read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from bench.errors import UserError
from bench.record.schema import load_record
from bench.record.study import STUDY

STATES = ("compute", "communicate", "wait")
ORDER = ("single", "data", "server", "sequence", "tensor", "pipeline", "hybrid")
NOT_FACTORS = ("name", "study", "experiment", "repeat", "order", "hash", "strategy", "options", "ranks", "mesh", "checkpoint")
FIRST = ("model",)
"""Factors that are named before those that follow from them."""


@dataclass(frozen=True)
class Study:
    """Records of one study in the order in which they ran. ``problems`` are lines about files that are no records."""

    name: str
    folder: Path
    records: tuple[dict[str, Any], ...]
    problems: tuple[str, ...]

    @property
    def good(self) -> list[dict[str, Any]]:
        """Records whose numbers may be compared."""
        return [record for record in self.records if record["status"] == "ok"]

    @property
    def smoke(self) -> bool:
        return any(record["point"]["smoke"] for record in self.records)


def load_study(folder: Path) -> Study:
    """Read every point of a study. UserError for a folder that is not one, or that holds no record."""
    marker = folder / "study.json"
    try:
        about = json.loads(marker.read_text())
    except (OSError, ValueError):
        raise UserError(f"{folder} is not a study (no readable study.json); give results/STUDY") from None
    if about.get("schema") != STUDY:
        raise UserError(f"{marker} has schema {about.get('schema')!r}, this version reads {STUDY!r}")
    records, problems = [], []
    for point in sorted(path for path in folder.iterdir() if path.is_dir()):
        try:
            records.append({**load_record(point / "result.json"), "folder": point})
        except UserError as error:
            problems.append(str(error))
    if not records:
        more = f": {problems[0]}" if problems else ""
        raise UserError(f"{folder} holds no record yet{more}; run python -m bench study={folder.name} first")
    records.sort(key=lambda record: (record["point"]["repeat"], record["point"]["order"]))
    labels = _labels(records)
    for record in records:
        record["point"] = {**record["point"], "label": labels[record["point"]["hash"]]}
    return Study(about["study"], folder, tuple(records), tuple(problems))


def ordered(study: Study) -> list[dict[str, Any]]:
    """Good records by strategy (the single process first), then by repeat: the order of every figure."""
    return sorted(
        study.good,
        key=lambda record: (_place(record["point"]["strategy"]), label_of(record["point"]), record["point"]["repeat"]),
    )


def _place(strategy: str) -> int:
    return ORDER.index(strategy) if strategy in ORDER else len(ORDER)


def points_frame(study: Study) -> pd.DataFrame:
    """One row for each good point: factors, times (s), energies (J), memory (MiB), metric."""
    rows = [_row(record) for record in ordered(study)]
    columns = list(rows[0]) if rows else list(_EMPTY)
    return pd.DataFrame(rows, columns=columns).sort_values("kind", kind="stable").reset_index(drop=True)


_EMPTY = (
    *("label", "strategy", "model", "ranks", "repeat", "hash", "kind", "samples_per_s", "step_s", "per_sample_J", "edp_Js"),
    *("peak_MiB", "predicted_MiB", "metric", "metric_name", "smoke", "power_W"),
    *(f"{state}_s" for state in STATES),
    *(f"{state}_J" for state in STATES),
)


def label_of(point: dict[str, Any]) -> str:
    """A configuration in words, different for different configurations of the study that it was loaded with."""
    return str(point["label"]) if "label" in point else _short_label(point)


def _labels(records: list[dict[str, Any]]) -> dict[str, str]:
    """Labels by hash. Configurations whose short label is the same get the factors in which they differ.

    Measured and modelled runs of one configuration keep the same label: figures and tables keep them apart by their kind.
    """
    by_hash = {record["point"]["hash"]: record["point"] for record in records}
    kinds = {r["point"]["hash"]: r.get("energy", {}).get("kind") for r in records}
    alike: dict[tuple[str, str | None], list[str]] = {}
    for key, point in by_hash.items():
        alike.setdefault((_short_label(point), kinds[key]), []).append(key)
    found: dict[str, str] = {}
    for (short, kind), keys in alike.items():
        factors = [_factors(by_hash[key]) for key in keys]
        differ = _telling(factors)
        for key, own in zip(keys, factors, strict=True):
            words = [f"{name}={_plain(own[name])}" for name in differ if own.get(name) is not None]
            label = " ".join([short, *words])
            # What tells two of them apart may not be in the record: then the hash does.
            taken = {other for at, other in found.items() if kinds[at] == kind}
            found[key] = label if label not in taken else f"{label} {key[:4]}"
    return found


def _telling(factors: list[dict[str, Any]]) -> list[str]:
    """The names that tell configurations apart, without those that follow from others: with the model goes its task."""
    names = sorted({name for own in factors for name in own}, key=lambda name: (name not in FIRST, name))
    chosen: list[str] = []
    parts = 1
    for name in names:
        found = len({tuple(str(own.get(other)) for other in (*chosen, name)) for own in factors})
        if found > parts:
            chosen, parts = [*chosen, name], found
    return sorted(chosen)


def _factors(point: dict[str, Any]) -> dict[str, Any]:
    """Everything about a point that a sweep can vary, by the last part of its name."""
    own = {key: value for key, value in point.items() if key not in NOT_FACTORS}
    return {**own, **{f"mesh.{axis}": size for axis, size in point["mesh"].items()}, **point["options"]}


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ",".join(f"{key}:{_plain(inner)}" for key, inner in sorted(value.items()))
    if isinstance(value, list) and value and all(isinstance(inner, str) for inner in value):
        return ",".join(value)
    return f"{value:g}" if isinstance(value, float) else str(value).replace(" ", "")


def _short_label(point: dict[str, Any]) -> str:
    """The strategy, its mesh where the strategy does not say it, its ranks."""
    if point["strategy"] == "hybrid":
        mesh = "x".join(f"{axis[0]}{size}" for axis, size in point["mesh"].items() if size > 1)
        return f"hybrid {mesh}"
    return "single" if point["ranks"] == 1 else f"{point['strategy']} n={point['ranks']}"


def _row(record: dict[str, Any]) -> dict[str, Any]:
    point, time, energy = record["point"], record["time"], record["energy"]
    final, phases = record["learning"]["final"], energy["by_phase"]
    per_step = time["samples"] / time["steps"]
    return {
        "label": label_of(point),
        "strategy": point["strategy"],
        "model": point["model"],
        "ranks": point["ranks"],
        "repeat": point["repeat"],
        "hash": point["hash"],
        "kind": energy["kind"],
        "samples_per_s": time["samples_per_s"],
        "step_s": time["step_s"]["median"],
        "per_sample_J": energy["per_sample_J"],
        "edp_Js": energy["edp_Js"],
        "power_W": energy["mean_power_W"],
        "peak_MiB": max(record["memory"]["peak_bytes"]) / 2**20,
        "predicted_MiB": max(record["memory"]["predicted_bytes"]) / 2**20,
        "metric": None if final is None else final["value"],
        "metric_name": record["learning"]["metric_name"],
        "smoke": point["smoke"],
        **{f"{state}_s": time["by_phase"][f"{state}_s"] for state in STATES},
        **{f"{state}_J": None if phases is None else phases[f"{state}_J"] / time["steps"] / per_step for state in STATES},
    }
