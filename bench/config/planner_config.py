"""The ``planner`` block: predictions from a profile of the cluster."""

from __future__ import annotations

from dataclasses import dataclass

from bench.config.config_field import setting

SPLITS = ("even", "planned")
OBJECTIVES = ("time", "energy", "edp")


@dataclass(frozen=True)
class PlannerConfig:
    """Which profile predicts, and what ``python -m bench.planner`` looks for (``docs/how-to/planner.md``)."""

    profile: str | None = setting(
        None, "file of python -m bench.planner profile, or auto: its own name; records get what it predicts"
    )
    split: str = setting(
        "even", "even, or planned: every axis is shared by the profile, for boards of different speed", choices=SPLITS
    )
    objective: str = setting("time", "of bench.planner plan: what is best", choices=OBJECTIVES)
    deadline_s: float | None = setting(
        None,
        "of bench.planner plan: what a step may take at most",
        unit="seconds",
        above=0,
        must="a positive number of seconds",
    )
    top: int = setting(10, "of bench.planner plan: how many to show", least=1)
    seconds: float = setting(0.4, "of bench.planner profile: of each part and size", unit="seconds", above=0)
