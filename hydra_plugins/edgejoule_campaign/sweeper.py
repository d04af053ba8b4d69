"""Hydra's sweeper: the whole product as ever, or a search where ``campaign.search.budget`` says how much of it may run.

Discovery imports this module at every start, so what is heavy is imported when a search begins.
"""

from __future__ import annotations

from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore

TARGET = {
    "_target_": "hydra_plugins.edgejoule_campaign.sweeper.CampaignSweeper",
    "max_batch_size": None,
    "params": None,
}
ConfigStore.instance().store(group="hydra/sweeper", name="campaign", node=TARGET, provider="edgejoule")


class CampaignSweeper(BasicSweeper):
    """Hydra's own, and the way to ``bench.search``."""

    def sweep(self, arguments: list[str]) -> Any:
        """Run the product of all lists, or look for the front in it."""
        if self.config is None or self.hydra_context is None or self.config.campaign.search.budget is None:
            return super().sweep(arguments)
        from hydra.core.override_parser.overrides_parser import OverridesParser

        from bench.commands import hydra_run, search_run

        loader, config = self.hydra_context.config_loader, self.config
        overrides = OverridesParser.create(config_loader=loader).parse_overrides([*self._parse_config(), *arguments])
        hydra_run.stop_unless_run(
            search_run.search(lambda words: loader.load_sweep_config(config, list(words)), overrides, config)
        )
        return None
