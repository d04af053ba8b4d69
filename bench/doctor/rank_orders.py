"""The orders that the doctor gives to its ranks, and their JSON files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.cluster.board_class import BoardClass
from bench.config.host_config import Host
from bench.doctor.rank_json import known_fields
from bench.energy.sampling.energy_settings import EnergySettings


@dataclass(frozen=True)
class EnergyOrder:
    """The order of the verb ``energy``: read every host's power for some seconds.

    Attributes:
        hosts: The hosts that are read, in the order of the ranks.
        boards: The board classes of the hosts, by name.
        energy: The point's energy settings.
        seconds: How long to read, s.
    """

    hosts: tuple[Host, ...]
    boards: Mapping[str, BoardClass]
    energy: EnergySettings
    seconds: float

    @property
    def labels(self) -> list[str]:
        """The names of the hosts, in the order of the ranks."""
        return [host.label for host in self.hosts]

    def to_json(self) -> dict[str, Any]:
        """The JSON object that the ranks get."""
        return {
            "hosts": [host.to_dict() for host in self.hosts],
            "boards": {name: board.to_dict() for name, board in self.boards.items()},
            "energy": self.energy.to_dict(),
            "seconds": self.seconds,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> EnergyOrder:
        """The order that ``to_json`` wrote.

        Args:
            values: Its JSON object; what the launch adds for every job (``run_id``, ``found``) is passed over.

        Returns:
            The order.
        """
        return cls(
            hosts=tuple(Host(**known_fields(Host, host)) for host in values["hosts"]),
            boards={name: BoardClass.from_dict(board) for name, board in values["boards"].items()},
            energy=EnergySettings.from_dict(values["energy"]),
            seconds=values["seconds"],
        )


@dataclass(frozen=True)
class ClusterOrder:
    """The order of the verb ``cluster``: describe every host and measure the links between them.

    Attributes:
        hosts: The hosts, in the order of the ranks.
        root: Folder under which sys and proc of a host lie; ``%h`` stands for the host's name.
        paths: Folders that every host must have.
        megabytes: Size of the messages that measure the links, 1e6 bytes.
    """

    hosts: tuple[Host, ...]
    root: str
    paths: tuple[str, ...]
    megabytes: float

    @property
    def labels(self) -> list[str]:
        """The names of the hosts, in the order of the ranks."""
        return [host.label for host in self.hosts]

    def to_json(self) -> dict[str, Any]:
        """The JSON object that the ranks get."""
        return {
            "hosts": [host.to_dict() for host in self.hosts],
            "root": self.root,
            "paths": list(self.paths),
            "megabytes": self.megabytes,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> ClusterOrder:
        """The order that ``to_json`` wrote.

        Args:
            values: Its JSON object; what the launch adds for every job (``run_id``, ``found``) is passed over.

        Returns:
            The order.
        """
        return cls(
            hosts=tuple(Host(**known_fields(Host, host)) for host in values["hosts"]),
            root=values["root"],
            paths=tuple(values["paths"]),
            megabytes=values["megabytes"],
        )
