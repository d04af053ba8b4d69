"""The configuration of a point as its record names it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

LINK = ("name", "rate_bit_s", "delay_s", "loss")


def network(cluster: Mapping[str, Any]) -> dict[str, Any] | None:
    """How the hosts that take part are connected. Of emulated boards the links are shaped to it, of real ones it is what
    the inventory says (``link:`` of every host); None where that is not known."""
    names = [host.get("name") or host["address"] for host in cluster["hosts"]]
    emulated = cluster.get("emulated")
    if emulated is not None:
        links = {board["name"]: (board["link"], board["switch"]) for board in emulated["boards"]}
        uplink = emulated["uplink"]
    else:
        known = cluster.get("links") or {}
        links = {
            name: (known[host["link"]], host.get("switch"))
            for name, host in zip(names, cluster["hosts"], strict=True)
            if host.get("link") in known
        }
        uplink = None
    if any(name not in links for name in names):
        return None
    return {
        "kind": "stated" if emulated is None else "emulated",
        "links": [{"host": name, "switch": links[name][1], **{key: links[name][0][key] for key in LINK}} for name in names],
        "uplink": None if uplink is None else {key: uplink[key] for key in LINK},
    }


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
        "network": network(config["cluster"]),
        "power_mode": config["board"]["power_mode"],
        "seed": config["seed"],
        "smoke": config["smoke"],
        **({"fault": dict(config["fault"])} if "fault" in config else {}),
    }
