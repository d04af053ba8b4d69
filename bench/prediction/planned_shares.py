"""The ``planner`` section of a configuration: which profile, which shares, and what the record says was predicted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.cluster.rank_hosts import hosts_of
from bench.common.user_error import UserError
from bench.config.planner_config import PlannerConfig
from bench.config.point_config import PointConfig
from bench.config.strategy_config import StrategyConfig
from bench.prediction.cluster_profile import PROFILE_COMMAND, Profile, load, own_path
from bench.prediction.share_split import planned
from bench.prediction.step_cost import predict
from bench.prediction.step_prediction import Prediction
from strategies.plan.shapes import Plan

AUTO = "auto"


def path_of(planner: PlannerConfig, point: PointConfig) -> Path | None:
    """The file that ``planner.profile`` names.

    Args:
        planner: The ``planner`` block.
        point: Its cluster, model, task and length name the file of ``auto``.

    Returns:
        The path; None where no profile is named.
    """
    name = planner.profile
    return None if name is None else own_path(point) if name == AUTO else Path(str(name)).expanduser()


def profile_of(planner: PlannerConfig, point: PointConfig) -> Profile | None:
    """The profile that ``planner.profile`` names.

    Args:
        planner: The ``planner`` block.
        point: The point that it must speak of.

    Returns:
        The profile; None where none is named.

    Raises:
        UserError: It is needed and not named, cannot be read, or speaks of another point.
    """
    path = path_of(planner, point)
    if path is None and planner.split == "planned":
        raise UserError(f"planner.split=planned needs planner.profile=auto, or a file; make it: {PROFILE_COMMAND}")
    return None if path is None else load(path, point)


def with_shares(planner: PlannerConfig, profile: Profile | None, point: PointConfig) -> StrategyConfig:
    """The strategy of a point under ``planner.split``.

    Args:
        planner: The ``planner`` block.
        profile: The profile of the point's cluster; None for none.
        point: The point with its strategy as configured.

    Returns:
        The strategy, with planned shares where they are asked for.

    Raises:
        PlanError: Nothing can be planned.
    """
    strategy = point.strategy
    if profile is None or planner.split == "even":
        return strategy
    options = planned(dict(strategy.options), point.model.spec, point.step_shape, point.mesh, profile, hosts_of(point))
    return StrategyConfig(strategy.name, options)


def prediction_of(profile: Profile, point: PointConfig, plan: Plan) -> Prediction:
    """The predicted cost of one step of a point.

    Args:
        profile: The profile of the point's cluster.
        point: The point.
        plan: Its plan.

    Returns:
        Seconds, joules and memory.

    Raises:
        UserError: The profile does not reach.
    """
    return predict(plan, profile, hosts_of(point), point.comm)


def block(planner: PlannerConfig, profile: Profile, point: PointConfig, plan: Plan) -> dict[str, Any]:
    """``plan.predicted`` of the record.

    Args:
        planner: The ``planner`` block, which names a profile.
        profile: That profile.
        point: The point.
        plan: Its plan.

    Returns:
        The predicted cost, the split, and the profile's file and origin, as JSON.

    Raises:
        UserError: The profile does not reach.
    """
    path = path_of(planner, point)
    assert path is not None
    about = {key: profile.about[key] for key in ("made", "git", "kind")}
    predicted = prediction_of(profile, point, plan).to_dict()
    return {**predicted, "split": planner.split, "profile": {"file": path.name, **about}}
