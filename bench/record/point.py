"""The configuration of a point as its record names it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def point_block(config: Mapping[str, Any]) -> dict[str, Any]:
    """The record's ``point`` block; also of points that did not finish."""
    train, strategy = config["train"], dict(config["strategy"])
    name = strategy.pop("name")
    model = config["model"]
    return {
        "name": config["point"],
        **{key: config[key] for key in ("study", "experiment", "repeat", "order", "hash")},
        "strategy": name,
        "options": strategy,
        "ranks": config["ranks"],
        "mesh": dict(config["mesh"]),
        "model": model["name"],
        "weights": "pretrained" if model["checkpoint"] else "random",
        "checkpoint": Path(model["checkpoint"]).name if model["checkpoint"] else None,
        "task": config["task"]["name"],
        **{key: train[key] for key in ("batch", "micro_batches", "seq", "optimizer", "lr", "dtype", "recompute")},
        **config["comm"],
        "device": config["device"],
        "cluster": config["cluster"]["name"],
        "hosts": [host.get("name") or host["address"] for host in config["cluster"]["hosts"]],
        "bind": config["cluster"].get("bind", "none"),
        "boards": sorted({host["board"] for host in config["cluster"]["hosts"]}),
        "threads": config["threads"],
        "power_mode": config["board"]["power_mode"],
        "seed": config["seed"],
        "smoke": config["smoke"],
    }
