"""Points one after the other: order, resume, limits, repeats, progress, failures, summary (``docs/how-to/campaigns.md``).

``settings`` reads the configuration's ``campaign`` block; ``zipped`` and ``exclude`` choose combinations, ``order`` and
``repeats`` say what runs when, all of them pure; ``running`` runs it under ``locks``.
"""

from bench.campaign.campaign_loop import run
from bench.campaign.campaign_settings import Settings
from bench.campaign.point_history import headline
from bench.campaign.point_order import expand
from bench.campaign.preview import preview

__all__ = ["Settings", "expand", "headline", "preview", "run"]
