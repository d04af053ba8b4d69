"""The ``planner`` section of a configuration: which profile, which shares, and what the record says was predicted."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.cluster.rank_hosts import hosts_of
from bench.common.user_error import UserError
from bench.prediction.cluster_profile import HOW, Profile, load, own_path
from bench.prediction.share_split import SPLITS, planned
from bench.prediction.step_cost import Prediction, predict
from strategies.common.registry import did_you_mean
from strategies.plan.model_spec import ModelSpec
from strategies.plan.partition import either
from strategies.plan.shapes import MeshShape, Plan, StepShape

AUTO = "auto"


def path_of(given: Mapping[str, Any], point: Mapping[str, Any]) -> Path | None:
    """The file that ``planner.profile`` names, for ``auto`` that of the cluster, model, task and length; None for none."""
    name = given["profile"]
    return None if name is None else own_path(point) if name == AUTO else Path(str(name)).expanduser()


def profile_of(given: Mapping[str, Any], point: Mapping[str, Any]) -> Profile | None:
    """The profile that ``planner.profile`` names; None where it names none. Raises UserError."""
    if given["split"] not in SPLITS:
        raise UserError(
            f"planner.split={given['split']} is unknown; use {either(SPLITS)}{did_you_mean(str(given['split']), SPLITS)}"
        )
    path = path_of(given, point)
    if path is None and given["split"] == "planned":
        raise UserError(f"planner.split=planned needs planner.profile=auto, or a file; make it: {HOW}")
    return None if path is None else load(path, point)


def with_shares(given: Mapping[str, Any], profile: Profile | None, point: Mapping[str, Any]) -> dict[str, Any]:
    """The strategy of a point under ``planner.split``. Raises PlanError where nothing can be planned."""
    strategy = dict(point["strategy"])
    if profile is None or given["split"] == "even":
        return strategy
    options = {key: value for key, value in strategy.items() if key != "name"}
    shape, mesh = StepShape.of(point["train"]), MeshShape(**point["mesh"])
    spec = ModelSpec.from_dict(point["model"]["spec"])
    return {"name": strategy["name"], **planned(options, spec, shape, mesh, profile, hosts_of(point))}


def prediction_of(profile: Profile, point: Mapping[str, Any], plan: Plan) -> Prediction:
    """Of one step of a point. Raises UserError where the profile does not reach."""
    return predict(plan, profile, hosts_of(point), point["comm"])


def block(given: Mapping[str, Any], profile: Profile, point: Mapping[str, Any], plan: Plan) -> dict[str, Any]:
    """``plan.predicted`` of the record. Raises UserError where the profile does not reach."""
    path = path_of(given, point)
    assert path is not None
    about = {key: profile.about[key] for key in ("made", "git", "kind")}
    found = prediction_of(profile, point, plan).to_dict()
    return {**found, "split": given["split"], "profile": {"file": path.name, **about}}
