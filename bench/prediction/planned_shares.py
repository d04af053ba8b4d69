"""The ``planner`` section of a configuration: which profile, which shares, and what the record says was predicted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.cluster.rank_hosts import hosts_of
from bench.common.user_error import UserError
from bench.config.planner_config import PlannerConfig
from bench.config.point_config import PointConfig
from bench.config.strategy_config import StrategyConfig
from bench.prediction.cluster_profile import HOW, Profile, load, own_path
from bench.prediction.share_split import planned
from bench.prediction.step_cost import predict
from bench.prediction.step_prediction import Prediction
from strategies.plan.shapes import Plan

AUTO = "auto"


def path_of(planner: PlannerConfig, point: PointConfig) -> Path | None:
    """The file that ``planner.profile`` names, for ``auto`` that of the cluster, model, task and length; None for none."""
    name = planner.profile
    return None if name is None else own_path(point) if name == AUTO else Path(str(name)).expanduser()


def profile_of(planner: PlannerConfig, point: PointConfig) -> Profile | None:
    """The profile that ``planner.profile`` names; None where it names none. Raises UserError."""
    path = path_of(planner, point)
    if path is None and planner.split == "planned":
        raise UserError(f"planner.split=planned needs planner.profile=auto, or a file; make it: {HOW}")
    return None if path is None else load(path, point)


def with_shares(planner: PlannerConfig, profile: Profile | None, point: PointConfig) -> StrategyConfig:
    """The strategy of a point under ``planner.split``. Raises PlanError where nothing can be planned."""
    strategy = point.strategy
    if profile is None or planner.split == "even":
        return strategy
    options = planned(dict(strategy.options), point.model.spec, point.step_shape, point.mesh, profile, hosts_of(point))
    return StrategyConfig(strategy.name, options)


def prediction_of(profile: Profile, point: PointConfig, plan: Plan) -> Prediction:
    """Of one step of a point. Raises UserError where the profile does not reach."""
    return predict(plan, profile, hosts_of(point), point.comm.__dict__)


def block(planner: PlannerConfig, profile: Profile, point: PointConfig, plan: Plan) -> dict[str, Any]:
    """``plan.predicted`` of the record. Raises UserError where the profile does not reach."""
    path = path_of(planner, point)
    assert path is not None
    about = {key: profile.about[key] for key in ("made", "git", "kind")}
    predicted = prediction_of(profile, point, plan).to_dict()
    return {**predicted, "split": planner.split, "profile": {"file": path.name, **about}}
