"""The ``emulated:`` block of an inventory: its hosts are boards that this machine emulates (``bench/emulation``)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from bench.cluster import host_fields
from bench.cluster.training_rate import DEVICES
from bench.common.user_error import UserError
from bench.config.dilation_config import MUST, NONE, is_dilation
from bench.config.host_config import Host
from strategies.common.registry import did_you_mean

NAME = re.compile(r"^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$")  # what a host name may be
COMPUTE = ("shared", "unlimited")
MEMORY = ("class", "unlimited")


@dataclass(frozen=True)
class Emulation:
    """How the hosts of an inventory are emulated on this machine.

    ``network`` holds their addresses; ``link`` is of those that name none, ``uplink`` joins the switches. ``compute``:
    "shared" (their speeds share the cores of this machine), "unlimited", or the cores of the fastest board. ``memory``:
    "class" (a host without ``memory_bytes`` has what its board class has) or "unlimited". ``dilation``: "class", "none" or a
    number of at least 1 (``bench.config.dilation_config``); ``device``: which device of their class the boards stand for.
    ``cpus``: processors of this machine that the boards are confined to (null: ``bench.emulation.machine_threads`` decides).
    """

    network: str
    link: str | None = None
    uplink: str | None = None
    compute: str | float = "shared"
    memory: str = "unlimited"
    dilation: str | float = NONE
    device: str | None = None
    cpus: list[int] | None = None


def read_emulated(path: Path, block: Any) -> Emulation | None:
    """Read the ``emulated:`` block of an inventory.

    Args:
        path: The inventory's path, for messages.
        block: The value of the block, as YAML has it; None where there is none.

    Returns:
        How the hosts are emulated; None where they are real.

    Raises:
        UserError: The block is no mapping with a network, or has an unknown key or value.
    """
    if block is None:
        return None
    keys = [each.name for each in fields(Emulation)]
    unknown = sorted(set(block) - set(keys)) if isinstance(block, Mapping) else []
    if not isinstance(block, Mapping) or unknown or "network" not in block:
        wrong = f"unknown key {unknown[0]}" if unknown else "no network"
        hint = did_you_mean(unknown[0], keys) if unknown else ""
        raise UserError(f"hostfile {path}: emulated: has {wrong}; keys are {', '.join(keys)}{hint}")
    emulated = Emulation(**{key: value for key, value in block.items() if value is not None})
    compute = emulated.compute
    if compute not in COMPUTE and (not host_fields.is_number(compute) or float(compute) <= 0):
        raise UserError(
            f"hostfile {path}: emulated.compute={compute} is unknown; use {', '.join(COMPUTE)}, or the cores of the "
            "fastest board"
        )
    if emulated.memory not in MEMORY:
        raise UserError(f"hostfile {path}: emulated.memory={emulated.memory} is unknown; use {' or '.join(MEMORY)}")
    if not is_dilation(emulated.dilation):
        raise UserError(f"hostfile {path}: emulated.dilation={emulated.dilation} must be {MUST}")
    if emulated.device not in (None, *DEVICES):
        raise UserError(f"hostfile {path}: emulated.device={emulated.device} must be {' or '.join(DEVICES)}")
    cpus = emulated.cpus
    if cpus is not None and not (isinstance(cpus, list) and cpus and all(type(cpu) is int for cpu in cpus)):
        raise UserError(f"hostfile {path}: emulated.cpus={cpus} must be a list of processors of this machine, such as [0]")
    return emulated


def check_emulated(path: Path, hosts: Sequence[Host], emulated: Emulation) -> None:
    """Check that the hosts of an inventory can be emulated together.

    Addresses must be of the network, with one left for this machine, names what a kernel takes as host names.

    Args:
        path: The inventory's path, for messages.
        hosts: The boards.
        emulated: The ``emulated:`` block of the same inventory.

    Raises:
        UserError: An address, name, link or switch of a board does not fit.
    """
    network = _network(path, emulated, len(hosts))
    for host in hosts:
        _check_board(path, host, emulated, network)
    switches = {host.switch for host in hosts}
    if len(switches) > 1 and None in switches:
        without = next(host.name for host in hosts if host.switch is None)
        raise UserError(f"hostfile {path}: {without} has no switch, but others have; give all boards one, or none")
    if len(switches) > 1 and emulated.uplink is None:
        raise UserError(f"hostfile {path}: {len(switches)} switches need emulated.uplink, the link between them")


def _network(path: Path, emulated: Emulation, boards: int) -> ipaddress.IPv4Network:
    try:
        network = ipaddress.IPv4Network(emulated.network)
    except ValueError as error:
        raise UserError(f"hostfile {path}: emulated.network={emulated.network} is no IPv4 network ({error})") from None
    if network.num_addresses < boards + 3:
        raise UserError(
            f"hostfile {path}: emulated.network={network} has too few addresses for {boards} boards and this machine; "
            "use a larger one, such as 10.77.0.0/24"
        )
    return network


def _check_board(path: Path, host: Host, emulated: Emulation, network: ipaddress.IPv4Network) -> None:
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
