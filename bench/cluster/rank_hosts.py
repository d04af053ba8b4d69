"""Which host of a point each rank runs on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.config.host_config import Host


def host_of(config: Mapping[str, Any], rank: int) -> dict[str, Any]:
    """The host of the inventory that ``rank`` was planned on: hosts are filled slot by slot in their order.

    With more ranks than slots (``cluster.oversubscribe``) the rest goes round over the hosts.
    """
    hosts = config["cluster"]["hosts"]
    seats = [host for host in hosts for _ in range(host["slots"])]
    return dict(seats[rank % len(seats)])


def hosts_of(config: Mapping[str, Any]) -> list[str]:
    """The host of every rank, by its name in the inventory."""
    return [Host(**host_of(config, rank)).label for rank in range(config["ranks"])]
