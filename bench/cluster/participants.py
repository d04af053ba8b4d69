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
from bench.config.host_config import Host
from strategies.common.registry import did_you_mean

LAUNCHERS = ("mpirun", "srun")
BINDINGS = ("none", "core", "socket")
ALLOCATIONS = ("slurm",)
REVERSE = "reverse"


def checked(cluster: Mapping[str, Any]) -> dict[str, Any]:
    """The block with ``bind``, ``env``, ``forward``, ``launcher`` and ``allocation`` complete. Raises UserError."""
    found = {**cluster, "bind": cluster.get("bind") or "none", "launcher": cluster.get("launcher") or "mpirun"}
    for key, known in (("bind", BINDINGS), ("launcher", LAUNCHERS)):
        _one_of(key, found[key], known)
    found["allocation"] = cluster.get("allocation")
    if found["allocation"] is not None:
        _one_of("allocation", found["allocation"], (*ALLOCATIONS, "null"))
    if found["launcher"] == "srun" and found["allocation"] != "slurm":
        raise UserError("cluster.launcher=srun starts ranks inside a SLURM allocation; use cluster=slurm, or mpirun")
    found["env"] = host_fields.environment("cluster.env", cluster.get("env") or {})
    forward = cluster.get("forward") or []
    if not isinstance(forward, (list, tuple)):
        raise UserError(f"cluster.forward={forward} must be a list of names of variables, [{forward}]")
    found["forward"] = sorted({host_fields.variable("cluster.forward", name) for name in forward})
    return found


def _one_of(key: str, value: Any, known: Sequence[str]) -> None:
    if value not in known:
        raise UserError(f"cluster.{key}={value} is unknown; use {', '.join(known)}{did_you_mean(str(value), known)}")


def inventory_of(cluster: Mapping[str, Any], hostfile: Path | None, environ: Mapping[str, str]) -> Inventory:
    """All hosts of the cluster: those of its hostfile, or those of the allocation. Raises UserError."""
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
    """The hosts that take part, in their order. ``names`` null: all; ``order`` null: as they come. Raises UserError."""
    known = {Host(**host).label: dict(host) for host in hosts}
    taken = list(known) if names is None else _labels("hosts", names, list(known))
    taken = [label for label in known if label in taken]  # their order is cluster.order's to say
    if order is None:
        return [known[label] for label in taken]
    if order == REVERSE:
        return [known[label] for label in reversed(taken)]
    if isinstance(order, str):
        raise UserError(
            f"cluster.order={order} must be null, {REVERSE}, or a list of all hosts{did_you_mean(order, (REVERSE,))}"
        )
    wanted = _labels("order", order, taken)
    missing = [label for label in taken if label not in wanted]
    if missing:
        raise UserError(
            f"cluster.order has no {', '.join(missing)}; name all hosts that take part, or choose them by cluster.hosts"
        )
    return [known[label] for label in wanted]


def _labels(key: str, given: Any, known: Sequence[str]) -> list[str]:
    if not isinstance(given, (list, tuple)) or not given:
        raise UserError(f"cluster.{key}={given} must be a list of hosts, such as [{','.join(known[:2])}]")
    found = [str(name) for name in given]
    for name in found:
        if name not in known:
            raise UserError(
                f"cluster.{key} names {name}, which is no host here; hosts are {', '.join(known)}{did_you_mean(name, known)}"
            )
        if found.count(name) > 1:
            raise UserError(f"cluster.{key} names {name} twice; give it once")
    return found


def choose(block: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """A resolved ``cluster`` block with the hosts that ``given`` chooses. ``inventory`` keeps the names of all: meters may
    have some that take no part. The order is in the hosts, so the same order said twice is the same point."""
    kept = {key: value for key, value in block.items() if key != "order"}
    labels = [Host(**host).label for host in block["hosts"]]
    return {**kept, "inventory": labels, "hosts": chosen(block["hosts"], given.get("hosts"), given.get("order"))}


def meaning(block: Mapping[str, Any]) -> dict[str, Any]:
    """What of the block tells two points apart: a scheduler gives other nodes each time, so they count by their place."""
    if not block.get("allocation"):
        return dict(block)
    places = {label: f"node {number}" for number, label in enumerate(block["inventory"])}
    hosts = [{**host, "name": None, "address": places[Host(**host).label]} for host in block["hosts"]]
    return {**block, "hosts": hosts, "inventory": len(places)}
