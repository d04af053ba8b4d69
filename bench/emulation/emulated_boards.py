"""What is emulated: boards with their links, shares of the processor and memory. Pure: from an inventory to a Testbed."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from bench.cluster.board_class import BoardClass
from bench.cluster.emulated_inventory import Emulation
from bench.cluster.inventory import Inventory
from bench.cluster.network_links import NetworkLink, load_link
from bench.cluster.training_rate import TrainingRate
from bench.common.user_error import UserError
from bench.config.dilation_config import TrainingTarget
from bench.config.host_config import Host
from bench.config.testbed_config import Board, Link, Testbed
from bench.emulation.shelf_training import dilation_of, targets

NAME = re.compile(r"^[A-Za-z0-9_-]{1,40}$")
OVERRIDES = ("link", "link_rate_bit_s", "link_delay_s", "dilation", "device")
DILATION = ("dilation", "device")
FOR_BOARDS = 0.95
"""Of the processor, where boards stand for their class and share it: what starts and watches them must not slow them."""
LEAST_QUOTA = 0.01  # cores: 1 ms of 100 ms, the least that the kernel gives in its usual period


def resolve_cluster(
    cluster: Mapping[str, Any],
    inventory: Inventory,
    boards: Mapping[str, BoardClass],
    links: Path | Sequence[Path],
    cores: int,
    threads: int | None = None,
    rates: Mapping[str, TrainingRate] | None = None,
    cpus: tuple[int, ...] | None = None,
) -> dict[str, Any]:
    """The ``cluster`` block of a point: the configuration's values, its hosts, and for emulated boards ``emulated``.

    Args:
        cluster: The block of the configuration.
        inventory: The hosts of the cluster.
        boards: The descriptions of the classes by name.
        links: The folders with the descriptions of links.
        cores: The cores of this machine.
        threads: The threads that the user gave for all ranks; None: each board's by its quota.
        rates: What each class achieves in training, where the dilation follows from that.
        cpus: The processors that the boards are confined to; None: all.

    Returns:
        The plain values of the block.

    Raises:
        UserError: Overrides, interface and boards do not fit together.
    """
    shaping = [key for key in OVERRIDES if cluster.get(key) is not None]
    if inventory.emulated is None:
        if shaping:
            raise UserError(
                f"cluster.{shaping[0]}={cluster[shaping[0]]} shapes emulated boards, but hostfile {cluster['hostfile']} has "
                "real ones; leave it out, or use cluster=emulated4"
            )
        named = sorted({host.link for host in inventory.hosts if host.link})
        stated = {name: asdict(link_of(load_link(name, links), {})) for name in named}
        plain = {key: value for key, value in cluster.items() if key not in OVERRIDES}
        return {**plain, "hosts": [host.to_dict() for host in inventory.hosts], **({"links": stated} if stated else {})}
    if cluster["interface"] is not None:
        raise UserError(f"cluster.interface={cluster['interface']} is that of the inventory for emulated boards; leave it out")
    testbed = emulate(
        cluster, inventory.hosts, inventory.emulated, boards, lambda name: load_link(name, links), cores, rates or {}
    )
    hosts = [
        replace(host, threads=host.threads or (None if threads else _threads(host, board.quota_cores)))
        for host, board in zip(inventory.hosts, testbed.boards, strict=True)
    ]
    kept = {key: value for key, value in cluster.items() if key not in DILATION}
    return {
        **kept,
        "interface": testbed.network,
        "hosts": [host.to_dict() for host in hosts],
        "emulated": replace(testbed, cpus=cpus).to_dict(),
    }


def emulate(
    cluster: Mapping[str, Any],
    hosts: Sequence[Host],
    emulated: Emulation,
    boards: Mapping[str, BoardClass],
    link: Callable[[str], NetworkLink],
    cores: int,
    rates: Mapping[str, TrainingRate],
) -> Testbed:
    """The testbed of an inventory under the overrides of the configuration.

    Args:
        cluster: The block of the configuration: ``name`` and ``link``, ``link_rate_bit_s``, ``link_delay_s``.
        hosts: The boards, in the order of the inventory.
        emulated: The ``emulated:`` block of the inventory.
        boards: The descriptions of the classes by name.
        link: From the name of a link to its description.
        cores: The cores of this machine.
        rates: What each class achieves in training, where the dilation follows from that; then it decides the speeds too.

    Returns:
        The boards with their links, quotas in cores and memory in bytes.

    Raises:
        UserError: The name or an override is out of range, or the boards need more than this machine has.
    """
    name = str(cluster["name"])
    if not NAME.match(name):
        raise UserError(f"cluster.name={name} must have up to 40 letters, digits, '-' and '_' to name emulated boards")
    _check_overrides(cluster)
    stand_for = targets(hosts, rates)
    scale, quotas = _shares(hosts, emulated, boards, stand_for, cores)
    emulated_boards = [
        Board(
            str(host.name),
            host.address,
            host.board,
            link_of(link(str(cluster.get("link") or host.link or emulated.link)), cluster),
            host.switch,
            quota,
            host.memory_bytes if emulated.memory == "unlimited" else host.memory_bytes or _memory_of(host, boards),
            target,
        )
        for host, quota, target in zip(hosts, quotas, stand_for, strict=True)
    ]
    several = len({host.switch for host in hosts}) > 1
    uplink = link_of(link(str(emulated.uplink)), {}) if several else None
    dilation = dilation_of(cluster, emulated)
    latency_s = None if dilation is None else _latency_s(hosts, cluster, emulated, link)
    return Testbed(name, emulated.network, tuple(emulated_boards), uplink, cores, scale, dilation, latency_s)


def _shares(
    hosts: Sequence[Host],
    emulated: Emulation,
    boards: Mapping[str, BoardClass],
    stand_for: Sequence[TrainingTarget | None],
    cores: int,
) -> tuple[float | None, list[float | None]]:
    """Cores of a board of speed 1.0, and the quota of every board; None where boards are not limited."""
    asked = [target.value for target in stand_for if target is not None]
    if asked:  # training rates are those of the power modes already
        relative, by_mode = [value / max(asked) for value in asked], [1.0 for _ in asked]
    else:
        relative, by_mode = speeds(hosts, boards), [_mode_speed(boards[host.board]) for host in hosts]
    scale = scale_cores(relative, cores, emulated.compute)
    if asked and scale is not None and emulated.compute == "shared":
        scale *= FOR_BOARDS
    if asked and scale is None:
        raise UserError("dilation=class needs boards with a share of this machine; leave emulated.compute=unlimited out")
    quotas = [None if scale is None else one * scale * mode for one, mode in zip(relative, by_mode, strict=True)]
    _check_sum(quotas, cores, scale)
    for host, quota in zip(hosts, quotas, strict=True):
        if quota is not None and quota < LEAST_QUOTA:
            raise UserError(
                f"emulated board {host.name} would get {quota:.4f} of a core, at least {LEAST_QUOTA} is possible; give it more "
                "speed:, or emulate fewer boards"
            )
    return scale, quotas


def link_of(described: NetworkLink, cluster: Mapping[str, Any]) -> Link:
    """A link by its description and the overrides.

    The ``latency_s`` of the description is what real ones have and is not emulated: only ``cluster.link_delay_s`` asks for a
    delay.

    Args:
        described: The description.
        cluster: ``link_rate_bit_s`` (bit/s) and ``link_delay_s`` (s) take its place where they are not None.

    Returns:
        Rate (bit/s), delay (s) and share of lost packets; None for no delay and no loss.
    """
    rate, delay = cluster.get("link_rate_bit_s"), cluster.get("link_delay_s")
    loss = described.loss
    return Link(
        described.name,
        float(described.rate_bit_s.value if rate is None else rate),
        None if not delay else float(delay),
        None if loss is None or not loss.value else float(loss.value),
    )


def _latency_s(
    hosts: Sequence[Host], cluster: Mapping[str, object], emulated: Emulation, link: Callable[[str], NetworkLink]
) -> float | None:
    """The longest latency that the descriptions of the boards' links state, one way; None where none does."""
    described = [link(str(cluster.get("link") or host.link or emulated.link)).latency_s for host in hosts]
    return max((float(one.value) for one in described if one is not None), default=None)


def speeds(hosts: Sequence[Host], boards: Mapping[str, BoardClass]) -> list[float]:
    """How fast each board computes, 1.0 for the fastest.

    It is the host's ``speed``, else the ``flop_s`` of its class among those of the others.

    Args:
        hosts: The boards.
        boards: The descriptions of the classes by name.

    Returns:
        A speed for each host in (0, 1].

    Raises:
        UserError: A class has no ``flop_s``, and there are several classes.
    """
    classes = {host.board for host in hosts if host.speed is None}
    flops = {name: None if (peak := boards[name].flop_s) is None else peak.value for name in classes}
    without = sorted(name for name, value in flops.items() if not value)
    if without and len(classes) > 1:
        raise UserError(f"board {without[0]} has no flop_s to compare with others; give its hosts a speed: in the inventory")
    fastest = max((value for value in flops.values() if value), default=1.0)
    relative = [host.speed if host.speed is not None else (flops[host.board] or fastest) / fastest for host in hosts]
    return [speed / max(relative) for speed in relative]


def scale_cores(relative: Sequence[float], cores: int, compute: str | float) -> float | None:
    """Cores of a board of speed 1.0, so that all together get at most those of this machine.

    Args:
        relative: The speed of each board, 1.0 for the fastest.
        cores: The cores of this machine.
        compute: ``shared``, ``unlimited``, or the cores of the fastest board.

    Returns:
        The cores; None where boards are not limited.

    Raises:
        UserError: The boards would need more cores than there are.
    """
    if compute == "unlimited":
        return None
    most = cores / sum(relative)
    if compute == "shared":
        return min(most, float(cores))
    if float(compute) > most * (1 + 1e-9):
        raise UserError(
            f"emulated.compute={compute} cores of the fastest board are {float(compute) * sum(relative):.2f} for all, but this "
            f"machine has {cores}; use at most {math.floor(most * 1000) / 1000}, or shared"
        )
    return float(compute)


def _mode_speed(board: BoardClass) -> float:
    return 1.0 if board.mode_speed is None else board.mode_speed


def _check_sum(quotas: Sequence[float | None], cores: int, scale: float | None) -> None:
    """A power mode may be faster than the default one, which decided the scale."""
    total = sum(quota or 0.0 for quota in quotas)
    if scale is not None and total > cores * (1 + 1e-6):
        raise UserError(
            f"in this power mode the emulated boards need {total:.2f} cores together, and this machine has {cores}; give "
            f"emulated.compute={math.floor(1000 * scale * cores / total) / 1000} or less in the inventory, "
            "for all modes that are compared"
        )


def _threads(host: Host, quota: float | None) -> int | None:
    """As many threads as a rank's share of the quota can keep busy, at least one."""
    return None if quota is None else max(1, math.ceil(quota / host.slots - 1e-9))


def _memory_of(host: Host, boards: Mapping[str, BoardClass]) -> int:
    memory = boards[host.board].memory_bytes
    if memory is None:
        raise UserError(f"board {host.board} has no memory_bytes; give {host.name} its own in the inventory")
    return int(memory.value)


def _check_overrides(cluster: Mapping[str, Any]) -> None:
    rate, delay = cluster.get("link_rate_bit_s"), cluster.get("link_delay_s")
    if rate is not None and (not isinstance(rate, (int, float)) or rate < 1e4):
        raise UserError(f"cluster.link_rate_bit_s={rate} must be a number of bits per second of at least 1e4, such as 1.0e+8")
    if delay is not None and (not isinstance(delay, (int, float)) or not 0 <= delay <= 10):
        raise UserError(f"cluster.link_delay_s={delay} must be a number of seconds of at most 10, one way over one link")
