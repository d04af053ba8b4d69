"""Hydra's launcher for sweeps: hands all composed points to ``bench.campaign``, which orders and runs them.

Discovery imports this module at every start, so what is heavy is imported when a sweep begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

TARGET = {"_target_": "hydra_plugins.edgejoule_campaign.campaign.CampaignLauncher"}
ConfigStore.instance().store(group="hydra/launcher", name="campaign", node=TARGET, provider="edgejoule")


class CampaignLauncher(Launcher):
    """Composes and checks every point before the first one runs."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context, self.config = hydra_context, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        from bench import app

        composed: list[Any] = []
        for overrides in job_overrides:
            composed.append(self.hydra_context.config_loader.load_sweep_config(self.config, list(overrides)))
        code = app.run_points(composed)
        if code:
            raise SystemExit(code)
        return [
            JobReturn(overrides=list(overrides), cfg=cfg, status=JobStatus.COMPLETED, _return_value=None)
            for overrides, cfg in zip(job_overrides, composed, strict=True)
        ]
