"""Hydra's launcher for sweeps: hands all composed points to ``bench.campaign``, which orders and runs them.

Of the product that Hydra makes it leaves out what ``campaign.zip`` does not pair. The value of each job are the objectives of
its point, so that a sweeper that looks for the best can be put in the place of ours (``docs/how-to/search.md``).

Discovery imports this module at every start, so what is heavy is imported when a sweep begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

TARGET = {"_target_": "hydra_plugins.edgejoule_campaign.campaign.CampaignLauncher"}
ConfigStore.instance().store(group="hydra/launcher", name="campaign", node=TARGET, provider="edgejoule")

SWEEPERS_OF_PRODUCTS = (
    "hydra_plugins.edgejoule_campaign.sweeper.CampaignSweeper",
    "hydra._internal.core_plugins.basic_sweeper.BasicSweeper",
)
"""They list every combination before the first one runs; others ask for some, and need a value of one that cannot run too."""


class CampaignLauncher(Launcher):
    """Composes and checks every point before the first one runs."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what ``launch`` composes with."""
        self.hydra_context, self.config = hydra_context, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Compose, check and run the points of all combinations."""
        from hydra.core.override_parser.overrides_parser import OverridesParser

        from bench.campaign import zipped_keys
        from bench.campaign.campaign_settings import zip_groups
        from bench.commands import hydra_run

        loader = self.hydra_context.config_loader
        first = loader.load_sweep_config(self.config, list(job_overrides[0]))
        groups = zip_groups(OmegaConf.to_container(first.campaign.zip))
        kept = list(job_overrides)
        if groups:
            words = zipped_keys.arguments(self.config.hydra.sweeper.get("params"), self.config.hydra.overrides.task)
            sweep = zipped_keys.sweep_of(OverridesParser.create(config_loader=loader).parse_overrides(words))
            kept = zipped_keys.chosen(job_overrides, initial_job_idx, sweep, groups)
        composed: list[Any] = [loader.load_sweep_config(self.config, list(overrides)) for overrides in kept]
        if self.config.hydra.sweeper._target_ in SWEEPERS_OF_PRODUCTS:
            code, values = hydra_run.run_points(composed, kept, product=len(job_overrides))
        else:
            code, values = hydra_run.run_asked(composed, kept)
        hydra_run.stop_unless_run(code)
        return [
            JobReturn(overrides=list(overrides), cfg=cfg, status=JobStatus.COMPLETED, _return_value=value)
            for overrides, cfg, value in zip(kept, composed, values, strict=True)
        ]
