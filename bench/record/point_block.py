"""The configuration of a point as its record names it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.record.point_record import (
    AskedFaultRecord,
    HostLinkRecord,
    MeshRecord,
    NetworkRecord,
    PointRecord,
    UplinkRecord,
)

LINK = ("name", "rate_bit_s", "delay_s", "loss")
SAME_IN_TRAIN = ("batch", "micro_batches", "seq", "optimizer", "lr", "dtype", "recompute")
SAME_IN_POINT = ("study", "experiment", "repeat", "order", "hash", "ranks", "device", "threads", "seed", "smoke")


def network(cluster: Mapping[str, Any]) -> NetworkRecord | None:
    """How the hosts that take part are connected; None where that is not known.

    Of emulated boards the links are shaped to it, of real ones it is what the inventory says (``link:`` of every host).
    """
    names = host_names(cluster)
    emulated = cluster.get("emulated")
    if emulated is not None:
        links = {board["name"]: (board["link"], board["switch"]) for board in emulated["boards"]}
    else:
        known = cluster.get("links") or {}
        links = {
            name: (known[host["link"]], host.get("switch"))
            for name, host in zip(names, cluster["hosts"], strict=True)
            if host.get("link") in known
        }
    if any(name not in links for name in names):
        return None
    uplink = None if emulated is None else emulated["uplink"]
    return NetworkRecord(
        kind="stated" if emulated is None else "emulated",
        links=[HostLinkRecord(host=name, switch=links[name][1], **_link(links[name][0])) for name in names],
        uplink=None if uplink is None else UplinkRecord(**_link(uplink)),
    )


def _link(link: Mapping[str, Any]) -> dict[str, Any]:
    return {key: link[key] for key in LINK}


def host_names(cluster: Mapping[str, Any]) -> list[str]:
    """Names of the hosts that take part, in their order."""
    return [host.get("name") or host["address"] for host in cluster["hosts"]]


def point_block(config: Mapping[str, Any]) -> PointRecord:
    """The record's ``point`` block; also of points that did not finish."""
    train, strategy, model, cluster = config["train"], dict(config["strategy"]), config["model"], config["cluster"]
    return PointRecord(
        name=config["point"],
        strategy=strategy.pop("name"),
        options=strategy,
        mesh=MeshRecord(**config["mesh"]),
        model=model["name"],
        weights="pretrained" if model["checkpoint"] else "random",
        checkpoint=Path(model["checkpoint"]).name if model["checkpoint"] else None,
        task=config["task"]["name"],
        cluster=cluster["name"],
        hosts=host_names(cluster),
        bind=cluster.get("bind", "none"),
        boards=sorted({host["board"] for host in cluster["hosts"]}),
        network=network(cluster),
        power_mode=config["board"]["power_mode"],
        fault=AskedFaultRecord.from_dict(config["fault"]) if "fault" in config else None,
        **{key: config[key] for key in SAME_IN_POINT},
        **{key: train[key] for key in SAME_IN_TRAIN},
        **config["comm"],
    )
