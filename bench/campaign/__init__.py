"""Points one after the other: order, resume, limits, repeats, progress, failures, summary (``docs/campaigns.md``).

``settings`` reads the configuration's ``campaign`` block; ``zipped`` and ``exclude`` choose combinations, ``order`` and
``repeats`` say what runs when, all of them pure; ``running`` runs it under ``locks``.
"""

from bench.campaign.history import headline
from bench.campaign.order import expand
from bench.campaign.preview import preview
from bench.campaign.running import run
from bench.campaign.settings import Settings

__all__ = ["Settings", "expand", "headline", "preview", "run"]
