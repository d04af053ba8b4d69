"""Every figure is a pure function of a study: ``draw(study, layout) -> list[Drawn]`` (empty where there is nothing to draw)."""

from __future__ import annotations

from collections.abc import Callable

from analysis.figures import breakdown, energy_time, learning, memory, power, schedule, spread, traffic
from analysis.records import Study
from analysis.style import Drawn, Layout

FIGURES: tuple[Callable[[Study, Layout], list[Drawn]], ...] = (
    energy_time.draw,
    breakdown.draw_time,
    breakdown.draw_energy,
    memory.draw,
    traffic.draw,
    learning.draw_loss,
    learning.draw_metric,
    learning.draw_steps,
    spread.draw,
    power.draw,
    schedule.draw,
)
