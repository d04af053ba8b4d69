"""From the ``cluster`` block of a configuration to the hosts of a point: who takes part, in which order, started by what.

    cluster.hosts=[pi-1,pi-3]     who takes part
    cluster.order=[pi-3,pi-1]     who is next to whom: ranks fill the hosts in this order

Pure but for reading the inventory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.cluster import host_fields, slurm_allocation
from bench.cluster.inventory import Inventory, read_inventory
from bench.common.user_error import UserError
from bench.config.cluster_config import ALLOCATIONS, BINDINGS, LAUNCHERS, REVERSE
from bench.config.host_config import Host
from strategies.common.registry import did_you_mean


def checked(cluster: Mapping[str, Any]) -> dict[str, Any]:
    """Check the keys of a ``cluster`` block that say how ranks are started, and complete them.

    Args:
        cluster: The block as the configuration has it.

    Returns:
        The block, with ``bind``, ``env``, ``forward``, ``launcher`` and ``allocation`` all there.

    Raises:
        UserError: One of them has an unknown value, or they do not fit together.
    """
    complete = {**cluster, "bind": cluster.get("bind") or "none", "launcher": cluster.get("launcher") or "mpirun"}
    for key, known in (("bind", BINDINGS), ("launcher", LAUNCHERS)):
        _one_of(key, complete[key], known)
    complete["allocation"] = cluster.get("allocation")
    if complete["allocation"] is not None:
        _one_of("allocation", complete["allocation"], (*ALLOCATIONS, "null"))
    if complete["launcher"] == "srun" and complete["allocation"] != "slurm":
        raise UserError("cluster.launcher=srun starts ranks inside a SLURM allocation; use cluster=slurm, or mpirun")
    complete["env"] = host_fields.environment("cluster.env", cluster.get("env") or {})
    forward = cluster.get("forward") or []
    if not isinstance(forward, (list, tuple)):
        raise UserError(f"cluster.forward={forward} must be a list of names of variables, [{forward}]")
    complete["forward"] = sorted({host_fields.variable("cluster.forward", name) for name in forward})
    return complete


def _one_of(key: str, value: Any, known: Sequence[str]) -> None:
    if value not in known:
        raise UserError(f"cluster.{key}={value} is unknown; use {', '.join(known)}{did_you_mean(str(value), known)}")


def inventory_of(cluster: Mapping[str, Any], hostfile: Path | None, environ: Mapping[str, str]) -> Inventory:
    """All hosts of the cluster: those of its hostfile, or those of the allocation.

    Args:
        cluster: The block; ``allocation``, ``board`` and ``name`` are read.
        hostfile: The inventory's path; None: there is none, which an allocation may do without.
        environ: The environment variables, where SLURM describes its allocation.

    Returns:
        The hosts in their order, and how they are emulated.

    Raises:
        UserError: No hostfile, one that cannot be read, or no allocation.
    """
    if cluster.get("allocation") == "slurm":
        described = read_inventory(hostfile, cluster["board"]) if hostfile else None
        if described is not None and described.emulated is not None:
            raise UserError(
                f"hostfile {hostfile} has emulated boards, and an allocation has real ones; leave cluster.hostfile out"
            )
        return Inventory(slurm_allocation.hosts_of(environ, cluster["board"], described.hosts if described else ()))
    if hostfile is None:
        raise UserError(f"cluster {cluster['name']} has no hostfile; give cluster.hostfile=PATH")
    return read_inventory(hostfile, cluster["board"])


def chosen(hosts: Sequence[Mapping[str, Any]], names: Any, order: Any) -> list[dict[str, Any]]:
    """The hosts that take part, in their order.

    Args:
        hosts: All hosts of the cluster, as plain values of ``Host``.
        names: Labels of those that take part; None: all.
        order: Labels of all that take part in their order, or ``reverse``; None: as ``hosts`` have them.

    Returns:
        The plain values of the hosts that take part.

    Raises:
        UserError: A label is unknown or there twice, or the order leaves a host out.
    """
    known = {Host(**host).label: dict(host) for host in hosts}
    labels = list(known) if names is None else _labels("hosts", names, list(known))
    labels = [label for label in known if label in labels]  # their order is cluster.order's to say
    if order is None:
        return [known[label] for label in labels]
    if order == REVERSE:
        return [known[label] for label in reversed(labels)]
    if isinstance(order, str):
        raise UserError(
            f"cluster.order={order} must be null, {REVERSE}, or a list of all hosts{did_you_mean(order, (REVERSE,))}"
        )
    ordered = _labels("order", order, labels)
    missing = [label for label in labels if label not in ordered]
    if missing:
        raise UserError(
            f"cluster.order has no {', '.join(missing)}; name all hosts that take part, or choose them by cluster.hosts"
        )
    return [known[label] for label in ordered]


def _labels(key: str, value: Any, known: Sequence[str]) -> list[str]:
    if not isinstance(value, (list, tuple)) or not value:
        raise UserError(f"cluster.{key}={value} must be a list of hosts, such as [{','.join(known[:2])}]")
    labels = [str(name) for name in value]
    for name in labels:
        if name not in known:
            raise UserError(
                f"cluster.{key} names {name}, which is no host here; hosts are {', '.join(known)}{did_you_mean(name, known)}"
            )
        if labels.count(name) > 1:
            raise UserError(f"cluster.{key} names {name} twice; give it once")
    return labels


def choose(block: Mapping[str, Any], choice: Mapping[str, Any]) -> dict[str, Any]:
    """Cut a resolved ``cluster`` block down to the hosts that take part.

    ``inventory`` keeps the names of all: meters may have some that take no part. The order is in the hosts, so the same order
    said twice is the same point.

    Args:
        block: The resolved block, with all ``hosts``.
        choice: ``hosts`` and ``order`` of the configuration, as ``chosen`` takes them.

    Returns:
        The block with the chosen ``hosts`` and with ``inventory``, and without ``order``.
    """
    kept = {key: value for key, value in block.items() if key != "order"}
    labels = [Host(**host).label for host in block["hosts"]]
    return {**kept, "inventory": labels, "hosts": chosen(block["hosts"], choice.get("hosts"), choice.get("order"))}


def meaning(block: Mapping[str, Any]) -> dict[str, Any]:
    """The values that tell two points apart: a scheduler gives other nodes each time, so they count by their place.

    Args:
        block: A resolved ``cluster`` block, with ``hosts`` and ``inventory``.

    Returns:
        The same block; of an allocation, hosts are named by their place and ``inventory`` is their number.
    """
    if not block.get("allocation"):
        return dict(block)
    places = {label: f"node {number}" for number, label in enumerate(block["inventory"])}
    hosts = [{**host, "name": None, "address": places[Host(**host).label]} for host in block["hosts"]]
    return {**block, "hosts": hosts, "inventory": len(places)}
