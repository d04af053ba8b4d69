"""Every figure is a pure function of a study: ``draw(study, layout) -> list[Drawn]`` (empty where there is nothing to draw)."""

from __future__ import annotations

from collections.abc import Callable

from analysis.figures import (
    bars,
    breakdown,
    choices,
    energy_time,
    failure,
    learning,
    links,
    memory,
    participants,
    power,
    power_modes,
    prediction,
    replication,
    scaling,
    schedule,
    sensitivity,
    spread,
    steps,
    timeline,
    topology,
    traffic,
)
from analysis.records import Study
from analysis.style import Drawn, Layout

FIGURES: tuple[Callable[[Study, Layout], list[Drawn]], ...] = (
    energy_time.draw,
    bars.draw_energy,
    bars.draw_throughput,
    scaling.draw,
    participants.draw,
    topology.draw,
    links.draw,
    power_modes.draw,
    sensitivity.draw,
    choices.draw,
    replication.draw,
    breakdown.draw_time,
    breakdown.draw_energy,
    failure.draw,
    breakdown.draw_recovery,
    power.draw,
    schedule.draw,
    memory.draw,
    prediction.draw,
    traffic.draw,
    learning.draw_loss,
    learning.draw_metric,
    steps.draw,
    spread.draw,
    timeline.draw,
)
