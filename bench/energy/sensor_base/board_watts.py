"""The watts of a board's class that power is modelled between: not a source, but what the modelled ones need."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.energy.sensor_base.source import SourceUnavailable


def idle_and_busy_W(board: Mapping[str, Any]) -> tuple[float, float]:
    """The wattages that a board's power is modelled between. Raises SourceUnavailable where they are not known."""
    power = board["power"]
    missing = [key for key in ("idle_W", "busy_W") if key not in power]
    if missing:
        raise SourceUnavailable(f"board {board['name']} has no power.{' and no power.'.join(missing)} to model with")
    return power["idle_W"]["value"], power["busy_W"]["value"]
