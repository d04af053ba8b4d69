"""The ``cluster`` block of a resolved point: the hosts that take part, in their order, and how ranks are started on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.config.config_field import setting
from bench.config.host_config import Host
from bench.config.testbed_config import Link, Testbed

SHAPING = ("link", "link_rate_bit_s", "link_delay_s")


@dataclass(frozen=True)
class PointCluster:
    """Where a point runs.

    ``inventory`` has the names of all hosts: meters may have some that take no part. ``links`` are those that an inventory of
    real hosts states, by name; ``emulated`` the boards of an emulated cluster, null where hosts are real.
    """

    name: str
    hostfile: str | None
    board: str
    interface: str | None
    oversubscribe: bool
    mpirun: str | None
    bind: str
    env: Mapping[str, str]
    forward: tuple[str, ...]
    launcher: str
    allocation: str | None
    hosts: tuple[Host, ...]
    inventory: tuple[str, ...]
    links: Mapping[str, Link] | None = setting(None, "links that the inventory states", absent=True)
    emulated: Testbed | None = setting(None, "emulated boards", absent=True)
    link: str | None = setting(None, "as ClusterConfig's", absent=True)
    link_rate_bit_s: float | None = setting(None, "as ClusterConfig's", absent=True)
    link_delay_s: float | None = setting(None, "as ClusterConfig's", absent=True)

    @property
    def kept_nulls(self) -> tuple[str, ...]:
        """Keys that an emulated cluster has even where they are null, and a real one never."""
        return () if self.emulated is None else SHAPING

    @property
    def labels(self) -> list[str]:
        """The names of the hosts that take part, in their order."""
        return [host.label for host in self.hosts]

    def to_json(self) -> dict[str, Any]:
        """The JSON object of the block."""
        from bench.config.config_json import to_json

        plain: dict[str, Any] = to_json(self)
        return plain
