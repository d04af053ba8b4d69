"""The ``fault`` section of a point: which rank is killed when, and how the others are to go on."""

from __future__ import annotations

from dataclasses import replace

from bench.cluster.rank_hosts import hosts_of
from bench.common.user_error import UserError
from bench.config.fault_config import FaultConfig
from bench.config.point_config import PointConfig, PointFault
from strategies.base import check_options, get
from strategies.common.plan_error import PlanError
from strategies.plan.shapes import Plan


def fault_settings(fault: FaultConfig, point: PointConfig) -> PointFault | None:
    """Check the ``fault`` of a point.

    Args:
        fault: The block as it was composed.
        point: The point without it.

    Returns:
        The block; None where nothing fails.

    Raises:
        UserError: The fault does not go together with the rest of the point.
        PlanError: The survivors could not run the point.
    """
    rank = fault.rank
    if rank is None:
        return None
    if not 0 < rank < point.ranks:
        last = f"a rank from 1 to {point.ranks - 1}" if point.ranks > 1 else "more than one rank"
        raise UserError(f"fault.rank={rank} must be null or {last} (rank 0 writes the record)")
    for key in ("save", "steps"):
        if getattr(point.train, key) is not None:
            raise UserError(f"train.{key} is for a training without a failure; leave it out, or use fault.rank=null")
    if point.train.resume is not None:
        raise UserError("train.resume and fault.rank do not go together; leave one of them out")
    hosts = hosts_of(point)
    others = [other for other, host in enumerate(hosts) if host == hosts[rank] and other != rank]
    if others and all(other > rank for other in others):
        raise UserError(
            f"fault.rank={rank} reads the power of {hosts[rank]} for ranks {', '.join(map(str, others))} too; "
            f"use fault.rank={others[-1]}"
        )
    settings = PointFault(rank, fault.snapshot_every, fault.after_steps, fault.mesh, dict(fault.options))
    plan_after(replace(point, fault=settings))
    return settings


def plan_after(point: PointConfig) -> Plan:
    """The plan of the ranks that are left.

    Mesh and options are ``fault.mesh`` and ``fault.options``, else the mesh that the strategy makes of the survivors and the
    options of before. Options that list ranks, stages or shares were for all ranks, and are left out; a tensor axis cuts
    heads as evenly as they can be.

    Args:
        point: A point with a fault.

    Returns:
        A plan for one rank less.

    Raises:
        PlanError: The survivors cannot run it.
    """
    fault = point.fault
    assert fault is not None, "a point with a fault"
    strategy = get(point.strategy.name)
    lists = (list, tuple)
    kept = {key: strategy.options[key] if isinstance(value, lists) else value for key, value in point.strategy.options.items()}
    try:
        mesh = strategy.mesh_for(point.ranks - 1, fault.mesh.__dict__)
        if mesh.tensor > 1:
            kept["tensor_shares"] = [1] * mesh.tensor
        check_options(strategy, fault.options)
        kept.update(fault.options)
        return strategy.plan(point.model.spec, point.step_shape, mesh, kept)
    except PlanError as error:
        raise PlanError(f"after the failure of rank {fault.rank} (fault.mesh, fault.options): {error.text}") from None
