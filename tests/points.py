"""Resolved points for tests that look at a few of their values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.config.host_config import Host
from bench.config.point_config import SCHEMA, PointConfig
from strategies.plan.model_spec import ModelSpec

SPEC = ModelSpec(
    "m", "gpt2", 257, 128, 4, 4, 4, 512, 256, True, "layer", "pre", "learned", "gelu_tanh", "lm", norm_eps=1e-5, tied=True
)
POINT: dict[str, Any] = {
    "schema": SCHEMA,
    "study": "x",
    "experiment": None,
    "repeat": 0,
    "order": 0,
    "strategy": {"name": "s"},
    "ranks": 1,
    "mesh": {"pipeline": 1, "data": 1, "sequence": 1, "tensor": 1},
    "model": {"name": "m", "spec": SPEC.to_dict(), "checkpoint": None, "sha256": None},
    "task": {"name": "t", "head": "lm", "labels": 0},
    "train": {
        "batch": 8, "micro_batches": 1, "seq": 16, "steps": None, "lr": 1e-3, "optimizer": "adamw", "weight_decay": 0.01,
        "dtype": "float32", "recompute": "none", "eval_every": None, "replicate": False, "save": None, "resume": None,
    },
    "comm": {"wait": "spin", "progress": "inline", "cuda": "staged", "all_reduce": "mpi"},
    "device": "cpu",
    "threads": None,
    "window_s": 20.0,
    "idle_s": 5.0,
    "warmup": {"min_steps": 3, "max_steps": 10, "tolerance": 0.1},
    "eval_samples": None,
    "seed": 0,
    "smoke": False,
    "cluster": {
        "name": "c", "hostfile": None, "board": "x86-mini-pc", "interface": None, "oversubscribe": False, "mpirun": None,
        "bind": "none", "env": {}, "forward": [], "launcher": "mpirun", "allocation": None,
        "hosts": [Host("localhost", board="x86-mini-pc").to_dict()], "inventory": ["localhost"],
    },
    "boards": {},
    "board": {"power_mode": None},
    "energy": {
        "source": "none", "period_s": None, "root": "/", "meters": {}, "others": {}, "calibration": {},
        "carbon": {"g_per_kWh": None, "source": None},
    },
    "timeout_s": 900,
    "hash": "a",
    "point": "",
    "paths": {"point": ""},
}  # fmt: skip


def make_point(**changes: Any) -> PointConfig:
    """A small point; ``changes`` are JSON values of its keys, of a block those that differ."""
    return PointConfig.from_json(_merged(POINT, changes))


def _merged(plain: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(plain)
    for key, value in changes.items():
        within = isinstance(value, Mapping) and isinstance(plain.get(key), Mapping)
        merged[key] = _merged(plain[key], value) if within else value
    return merged
