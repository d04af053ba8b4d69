"""The most that each host of a point can draw, by its board class."""

from __future__ import annotations

from pathlib import Path

from bench.cluster.board_class import boards_of
from bench.config.point_config import PointConfig
from bench.joules.host_limits import DESCRIBING, HostLimit


def host_limits(config: PointConfig) -> dict[str, HostLimit]:
    """The limits of a point's hosts.

    Args:
        config: The point.

    Returns:
        The limit of each host whose class has one, by the host's name.
    """
    boards, cluster = boards_of(config.boards), config.cluster
    stated = cluster.hostfile is not None and Path(cluster.hostfile).suffix in DESCRIBING
    return {
        host.label: HostLimit(float(limit.value), host.board, stated)
        for host in cluster.hosts
        if (limit := boards[host.board].max_W) is not None
    }
