"""The host inventory: our YAML, or a plain hostfile of Open MPI or MPICH.

A YAML inventory with an ``emulated:`` block describes boards that are emulated on this machine (``bench/testbed``).
"""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from bench.cluster import host_fields
from bench.common.user_error import UserError
from bench.config.host_config import Host
from strategies.common.registry import did_you_mean

LINE = re.compile(r"^(?P<address>[^\s:=]+)(?::(?P<mpich>\d+))?(?P<rest>(\s+\S+=\S+)*)\s*$")
NAME = re.compile(r"^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$")  # what a host name may be
COMPUTE = ("shared", "unlimited")
MEMORY = ("class", "unlimited")


KEYS = tuple(each.name for each in fields(Host))
BLOCKS = ("hosts", "emulated", "meters", "others")


@dataclass(frozen=True)
class Emulation:
    """How the hosts of an inventory are emulated on this machine.

    ``network`` holds their addresses; ``link`` is of those that name none, ``uplink`` joins the switches. ``compute``:
    "shared" (their speeds share the cores of this machine), "unlimited", or the cores of the fastest board. ``memory``:
    "class" (a host without ``memory_bytes`` has what its board class has) or "unlimited"."""

    network: str
    link: str | None = None
    uplink: str | None = None
    compute: str | float = "shared"
    memory: str = "unlimited"


@dataclass(frozen=True)
class Inventory:
    """Hosts in their order, and how they are emulated (null: they are real)."""

    hosts: list[Host]
    emulated: Emulation | None = None


def read_inventory(path: Path, board: str) -> Inventory:
    """The hosts of a file; ``board`` is the class of those that name none. UserError, with the line, for a bad file."""
    try:
        text = path.read_text()
    except OSError as error:
        raise UserError(f"hostfile {path} cannot be read ({error.strerror}); give cluster.hostfile=PATH") from None
    found = _from_yaml(path, text) if path.suffix in (".yaml", ".yml") else Inventory(_from_lines(path, text))
    if not found.hosts:
        raise UserError(f"hostfile {path} names no host; add a line such as: localhost slots=2")
    for what in ("address", "name"):
        counts = Counter(getattr(host, what) for host in found.hosts if getattr(host, what) is not None)
        twice = [value for value, count in counts.items() if count > 1]
        if twice:
            raise UserError(f"hostfile {path} names {twice[0]} twice; give it once with all of its slots")
    hosts = [Host(**{**host.to_dict(), "board": host.board or board}) for host in found.hosts]
    if found.emulated is not None:
        _check_emulated(path, hosts, found.emulated)
    elif limited := [host.address for host in hosts if host.memory_bytes is not None]:
        raise UserError(f"hostfile {path}: memory_bytes of {limited[0]} limits emulated boards only; add an emulated: block")
    return Inventory(hosts, found.emulated)


def _from_yaml(path: Path, text: str) -> Inventory:
    try:
        whole = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise UserError(f"hostfile {path} is not YAML with a list of hosts ({str(error).splitlines()[0]})") from None
    found = whole.get("hosts") if isinstance(whole, Mapping) else whole
    if not isinstance(whole, Mapping) or not isinstance(found or [], list):
        raise UserError(
            f"hostfile {path} is not YAML with a list of hosts (found {str(found)[:40]!r}); see docs/how-to/clusters.md"
        )
    for key in whole:
        if key not in BLOCKS:
            raise UserError(
                f"hostfile {path}: unknown block {key}; blocks are {', '.join(BLOCKS)}{did_you_mean(str(key), BLOCKS)}"
            )
    hosts = [Host(**host_fields.checked(f"hostfile {path}", row, KEYS)) for row in found or []]
    return Inventory(hosts, _emulation(path, whole.get("emulated")))


def _emulation(path: Path, block: Any) -> Emulation | None:
    if block is None:
        return None
    keys = [each.name for each in fields(Emulation)]
    unknown = sorted(set(block) - set(keys)) if isinstance(block, Mapping) else []
    if not isinstance(block, Mapping) or unknown or "network" not in block:
        wrong = f"unknown key {unknown[0]}" if unknown else "no network"
        hint = did_you_mean(unknown[0], keys) if unknown else ""
        raise UserError(f"hostfile {path}: emulated: has {wrong}; keys are {', '.join(keys)}{hint}")
    found = Emulation(**{key: value for key, value in block.items() if value is not None})
    if found.compute not in COMPUTE and (not host_fields.is_number(found.compute) or float(found.compute) <= 0):
        raise UserError(
            f"hostfile {path}: emulated.compute={found.compute} is unknown; use {', '.join(COMPUTE)}, or the cores of the "
            "fastest board"
        )
    if found.memory not in MEMORY:
        raise UserError(f"hostfile {path}: emulated.memory={found.memory} is unknown; use {' or '.join(MEMORY)}")
    return found


def _check_emulated(path: Path, hosts: Sequence[Host], emulated: Emulation) -> None:
    """Addresses of the network with one left for this machine, and names that a kernel takes as host names."""
    try:
        network = ipaddress.IPv4Network(emulated.network)
    except ValueError as error:
        raise UserError(f"hostfile {path}: emulated.network={emulated.network} is no IPv4 network ({error})") from None
    if network.num_addresses < len(hosts) + 3:
        raise UserError(
            f"hostfile {path}: emulated.network={network} has too few addresses for {len(hosts)} boards and this machine; "
            "use a larger one, such as 10.77.0.0/24"
        )
    for host in hosts:
        try:
            inside = network[1] <= ipaddress.IPv4Address(host.address) <= network[-3]
        except ValueError:
            inside = False
        if not inside:
            raise UserError(
                f"hostfile {path}: {host.address} is no address for a board in emulated.network={network}; use {network[1]} to "
                f"{network[-3]} ({network[-2]} is this machine)"
            )
        if host.user is not None:
            raise UserError(f"hostfile {path}: user={host.user} of {host.address} is for ssh, which emulated boards do not use")
        if host.name is None or not NAME.match(host.name):
            raise UserError(
                f"hostfile {path}: the emulated board {host.address} needs a name of small letters, digits and '-' (found "
                f"{host.name}); it becomes its host name"
            )
        if host.link is None and emulated.link is None:
            raise UserError(f"hostfile {path}: {host.name} has no link; give it one, or emulated.link for all")
    switches = {host.switch for host in hosts}
    if len(switches) > 1 and None in switches:
        without = next(host.name for host in hosts if host.switch is None)
        raise UserError(f"hostfile {path}: {without} has no switch, but others have; give all boards one, or none")
    if len(switches) > 1 and emulated.uplink is None:
        raise UserError(f"hostfile {path}: {len(switches)} switches need emulated.uplink, the link between them")


def _from_lines(path: Path, text: str) -> list[Host]:
    hosts = []
    for number, line in enumerate(text.splitlines(), 1):
        line = line.split("#", 1)[0].strip()
        if not line:
            continue
        match = LINE.match(line)
        if match is None:
            raise UserError(f"hostfile {path} line {number}: {line!r} is neither 'host slots=N' nor 'host:N'")
        given = dict(word.split("=", 1) for word in match["rest"].split())
        user, _, address = match["address"].rpartition("@")
        slots = host_fields.slots(f"hostfile {path}", given.get("slots", match["mpich"] or 1))
        hosts.append(Host(address, slots, user=user or None))
    return hosts


def check_slots(ranks: int, hosts: Sequence[Host], cluster: str, oversubscribe: bool) -> None:
    slots = sum(host.slots for host in hosts)
    if ranks > slots and not oversubscribe:
        each = ", ".join(f"{host.address}: {host.slots}" for host in hosts)
        raise UserError(
            f"ranks={ranks} needs {ranks} slots; cluster {cluster} has {slots} ({each}); use ranks={slots}, more hosts, "
            "or cluster.oversubscribe=true"
        )
