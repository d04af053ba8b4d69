"""A point that stands for all hosts of a cluster: what is measured before any strategy is chosen."""

from __future__ import annotations

from typing import Any

from bench.common.paths import RESULTS
from bench.config.point_config import PointConfig
from bench.point import resolved_point
from strategies.base import get


def whole_cluster(plain: Any) -> PointConfig:
    """A point of one rank of this configuration: its cluster has all hosts that may take part.

    Args:
        plain: The composed configuration.

    Returns:
        The point, without strategy, micro-batches, checkpoints, faults and profile of its own.
    """
    single = {"name": "single", **get("single").options}
    bare = {**plain, "strategy": single, "ranks": 1, "mesh": dict.fromkeys(plain["mesh"])}
    bare["train"] = {**plain["train"], "micro_batches": 1, "save": None, "resume": None}
    bare["planner"] = {**plain["planner"], "profile": None, "split": "even"}
    bare["fault"] = {**plain["fault"], "rank": None}
    return resolved_point.resolve(bare, None, RESULTS)
