"""The ``fault`` section of a point: which rank is killed when, and how the others are to go on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.cluster.rank_hosts import hosts_of
from bench.common.user_error import UserError
from strategies.base import check_options, get
from strategies.common.plan_error import PlanError
from strategies.plan.model_spec import ModelSpec
from strategies.plan.shapes import Plan, StepShape

COUNTS = ("snapshot_every", "after_steps")


def fault_settings(given: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any] | None:
    """Check the ``fault`` of a point.

    Args:
        given: The block as it was composed.
        config: The point without it.

    Returns:
        The block; None where nothing fails.

    Raises:
        UserError: A value is wrong, or the fault does not go together with the rest of the point.
        PlanError: The survivors could not run the point.
    """
    rank = given["rank"]
    if rank is None:
        return None
    ranks = config["ranks"]
    if not isinstance(rank, int) or not 0 < rank < ranks:
        last = f"a rank from 1 to {ranks - 1}" if ranks > 1 else "more than one rank"
        raise UserError(f"fault.rank={rank} must be null or {last} (rank 0 writes the record)")
    for key in COUNTS:
        if not isinstance(given[key], int) or given[key] < 1:
            raise UserError(f"fault.{key}={given[key]} must be a whole number of at least 1")
    for key in ("save", "steps"):
        if config["train"][key] is not None:
            raise UserError(f"train.{key} is for a training without a failure; leave it out, or use fault.rank=null")
    if config["train"]["resume"] is not None:
        raise UserError("train.resume and fault.rank do not go together; leave one of them out")
    hosts = hosts_of(config)
    others = [other for other, host in enumerate(hosts) if host == hosts[rank] and other != rank]
    if others and all(other > rank for other in others):
        raise UserError(
            f"fault.rank={rank} reads the power of {hosts[rank]} for ranks {', '.join(map(str, others))} too; "
            f"use fault.rank={others[-1]}"
        )
    found = {"rank": rank, **{key: given[key] for key in COUNTS}, **{key: dict(given[key]) for key in ("mesh", "options")}}
    plan_after({**config, "fault": found})
    return found


def plan_after(config: Mapping[str, Any]) -> Plan:
    """The plan of the ranks that are left.

    Mesh and options are ``fault.mesh`` and ``fault.options``, else the mesh that the strategy makes of the survivors and the
    options of before. Options that list ranks, stages or shares were for all ranks, and are left out; a tensor axis cuts
    heads as evenly as they can be.

    Raises:
        PlanError: The survivors cannot run it.
    """
    options, train, fault = dict(config["strategy"]), config["train"], config["fault"]
    strategy = get(options.pop("name"))
    kept = {key: strategy.options[key] if isinstance(value, list) else value for key, value in options.items()}
    try:
        mesh = strategy.mesh_for(config["ranks"] - 1, fault["mesh"])
        if mesh.tensor > 1:
            kept["tensor_shares"] = [1] * mesh.tensor
        check_options(strategy, fault["options"])
        kept.update(fault["options"])
        return strategy.plan(ModelSpec.from_dict(config["model"]["spec"]), StepShape.of(train), mesh, kept)
    except PlanError as error:
        raise PlanError(f"after the failure of rank {fault['rank']} (fault.mesh, fault.options): {error.text}") from None
