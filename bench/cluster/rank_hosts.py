"""Which host of a point each rank runs on."""

from __future__ import annotations

from bench.config.host_config import Host
from bench.config.point_config import PointConfig


def host_of(point: PointConfig, rank: int) -> Host:
    """The host of the inventory that a rank was planned on: hosts are filled slot by slot in their order.

    With more ranks than slots (``cluster.oversubscribe``) the rest goes round over the hosts.

    Args:
        point: The resolved point.
        rank: The rank in the world, from 0.

    Returns:
        One of ``point.cluster.hosts``.
    """
    seats = [host for host in point.cluster.hosts for _ in range(host.slots)]
    return seats[rank % len(seats)]


def hosts_of(point: PointConfig) -> list[str]:
    """The host of every rank.

    Args:
        point: The resolved point.

    Returns:
        A label for each rank, in the order of ranks: the host's name in the inventory.
    """
    return [host_of(point, rank).label for rank in range(point.ranks)]
