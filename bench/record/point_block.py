"""The configuration of a point as its record names it."""

from __future__ import annotations

from bench.config.config_json import to_json
from bench.config.point_cluster_config import PointCluster
from bench.config.point_config import PointConfig
from bench.record.point_record import (
    AskedFaultRecord,
    HostLinkRecord,
    MeshRecord,
    NetworkRecord,
    PointRecord,
    UplinkRecord,
)

SAME_IN_TRAIN = ("batch", "micro_batches", "seq", "optimizer", "lr", "dtype", "recompute")
SAME_IN_POINT = ("study", "experiment", "repeat", "order", "hash", "ranks", "device", "threads", "seed", "smoke")


def network(cluster: PointCluster) -> NetworkRecord | None:
    """How the hosts that take part are connected.

    Of emulated boards the links are shaped to it, of real ones it is what the inventory says (``link:`` of every host).

    Args:
        cluster: The cluster of a point.

    Returns:
        The link of every host in the order of the labels; None where that of one is not known.
    """
    emulated = cluster.emulated
    if emulated is not None:
        links = {board.name: (board.link, board.switch) for board in emulated.boards}
    else:
        known = cluster.links or {}
        links = {
            host.label: (known[host.link], host.switch)
            for host in cluster.hosts
            if host.link is not None and host.link in known
        }
    if any(name not in links for name in cluster.labels):
        return None
    uplink = None if emulated is None else emulated.uplink
    return NetworkRecord(
        kind="stated" if emulated is None else "emulated",
        links=[HostLinkRecord(host=name, switch=links[name][1], **vars(links[name][0])) for name in cluster.labels],
        uplink=None if uplink is None else UplinkRecord(**vars(uplink)),
    )


def point_block(point: PointConfig) -> PointRecord:
    """The record's ``point`` block; also of points that did not finish.

    Args:
        point: The point as it was resolved.

    Returns:
        The block; ``network`` is None where it is not known.
    """
    train, cluster, folder = point.train, point.cluster, point.model.checkpoint_folder
    return PointRecord(
        name=point.point,
        strategy=point.strategy.name,
        options=to_json(point.strategy.options),
        mesh=MeshRecord(**vars(point.mesh)),
        model=point.model.name,
        weights="random" if folder is None else "pretrained",
        checkpoint=None if folder is None else folder.name,
        task=point.task.name,
        cluster=cluster.name,
        hosts=cluster.labels,
        bind=cluster.bind,
        boards=sorted({host.board for host in cluster.hosts}),
        network=network(cluster),
        power_mode=to_json(point.board.power_mode),
        fault=None if point.fault is None else AskedFaultRecord.from_dict(to_json(point.fault)),
        **{key: getattr(point, key) for key in SAME_IN_POINT},
        **{key: getattr(train, key) for key in SAME_IN_TRAIN},
        **vars(point.comm),
    )
