"""The ``strategy`` block: the strategy and its own options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.config.config_field import setting


@dataclass(frozen=True)
class StrategyConfig:
    """A strategy by name; ``options`` are the strategy's own, which it checks itself."""

    name: str = setting("data", "name of the strategy")
    options: Mapping[str, Any] = setting({}, "options of the strategy", flat=True)
