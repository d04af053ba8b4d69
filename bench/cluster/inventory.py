"""The host inventory: our YAML, or a plain hostfile of Open MPI or MPICH (``hostfile``).

hosts:
  - {address: 10.0.0.2, name: pi-1, slots: 1, board: raspberry-pi-4}     # keys: ``host_fields``
emulated: {network: 10.77.0.0/24, link: ethernet-1g}    # boards of this machine: ``emulated_inventory``
meters: {...}                                           # ``bench/energy/sampling/inventory_meters``
others: {...}                                           # parts that are no hosts, there too
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import yaml

from bench.cluster import host_fields
from bench.cluster.emulated_inventory import Emulation, check_emulated, read_emulated
from bench.cluster.hostfile import read_lines
from bench.common.user_error import UserError
from bench.config.host_config import Host
from strategies.common.registry import did_you_mean

KEYS = tuple(each.name for each in fields(Host))
BLOCKS = ("hosts", "emulated", "meters", "others")


@dataclass(frozen=True)
class Inventory:
    """Hosts in their order, and how they are emulated (null: they are real)."""

    hosts: list[Host]
    emulated: Emulation | None = None


def read_inventory(path: Path, board: str) -> Inventory:
    """Read the hosts of a file.

    Args:
        path: An inventory (``.yaml``, ``.yml``) or a plain hostfile.
        board: The class of the hosts that name none.

    Returns:
        The hosts in the order of the file, each with a board class, and how they are emulated.

    Raises:
        UserError: One line, for a file that cannot be read or understood.
    """
    try:
        text = path.read_text()
    except OSError as error:
        raise UserError(f"hostfile {path} cannot be read ({error.strerror}); give cluster.hostfile=PATH") from None
    inventory = _from_yaml(path, text) if path.suffix in (".yaml", ".yml") else Inventory(read_lines(path, text))
    if not inventory.hosts:
        raise UserError(f"hostfile {path} names no host; add a line such as: localhost slots=2")
    for key in ("address", "name"):
        counts = Counter(getattr(host, key) for host in inventory.hosts if getattr(host, key) is not None)
        twice = [value for value, count in counts.items() if count > 1]
        if twice:
            raise UserError(f"hostfile {path} names {twice[0]} twice; give it once with all of its slots")
    hosts = [replace(host, board=host.board or board) for host in inventory.hosts]
    if inventory.emulated is not None:
        check_emulated(path, hosts, inventory.emulated)
    else:
        _check_real(path, hosts)
    return Inventory(hosts, inventory.emulated)


def _check_real(path: Path, hosts: Sequence[Host]) -> None:
    for host in hosts:
        for key in ("memory_bytes", "device"):
            if getattr(host, key) is not None:
                raise UserError(f"hostfile {path}: {key} of {host.address} is of emulated boards only; add an emulated: block")


def _from_yaml(path: Path, text: str) -> Inventory:
    try:
        whole = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise UserError(f"hostfile {path} is not YAML with a list of hosts ({str(error).splitlines()[0]})") from None
    rows = whole.get("hosts") if isinstance(whole, Mapping) else whole
    if not isinstance(whole, Mapping) or not isinstance(rows or [], list):
        raise UserError(
            f"hostfile {path} is not YAML with a list of hosts (found {str(rows)[:40]!r}); see docs/how-to/clusters.md"
        )
    for key in whole:
        if key not in BLOCKS:
            raise UserError(
                f"hostfile {path}: unknown block {key}; blocks are {', '.join(BLOCKS)}{did_you_mean(str(key), BLOCKS)}"
            )
    hosts = [Host(**host_fields.checked(f"hostfile {path}", row, KEYS)) for row in rows or []]
    return Inventory(hosts, read_emulated(path, whole.get("emulated")))


def check_slots(ranks: int, hosts: Sequence[Host], cluster: str, oversubscribe: bool) -> None:
    """Check that the ranks have slots enough.

    Args:
        ranks: Number of ranks of the point.
        hosts: The hosts that take part.
        cluster: The cluster's name, for messages.
        oversubscribe: Whether ranks may share slots; then nothing is wrong.

    Raises:
        UserError: There are more ranks than slots of all hosts together.
    """
    slots = sum(host.slots for host in hosts)
    if ranks > slots and not oversubscribe:
        each = ", ".join(f"{host.address}: {host.slots}" for host in hosts)
        raise UserError(
            f"ranks={ranks} needs {ranks} slots; cluster {cluster} has {slots} ({each}); use ranks={slots}, more hosts, "
            "or cluster.oversubscribe=true"
        )
