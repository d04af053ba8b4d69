"""Every figure is a pure function of a study: ``draw(study, layout) -> list[Drawn]`` (empty where there is nothing to draw)."""

from __future__ import annotations

from collections.abc import Callable

from analysis.figures import (
    board_order,
    breakdown,
    energy_time,
    failure_timeline,
    joining_boards,
    learning_curves,
    link_sensitivity,
    loss_by_step,
    number_sensitivity,
    peak_memory,
    power_mode_tradeoff,
    power_over_time,
    predicted_measured,
    rank_scaling,
    replication_cost,
    schedule_gantt,
    step_time_spread,
    strategy_bars,
    study_timeline,
    traffic_bars,
    unordered_choices,
)
from analysis.plotting.figure_style import Drawn, Layout
from analysis.study.study import Study

FIGURES: tuple[Callable[[Study, Layout], list[Drawn]], ...] = (
    energy_time.draw,
    strategy_bars.draw_energy,
    strategy_bars.draw_throughput,
    rank_scaling.draw,
    joining_boards.draw,
    board_order.draw,
    link_sensitivity.draw,
    power_mode_tradeoff.draw,
    number_sensitivity.draw,
    unordered_choices.draw,
    replication_cost.draw,
    breakdown.draw_time,
    breakdown.draw_energy,
    failure_timeline.draw,
    breakdown.draw_recovery,
    power_over_time.draw,
    schedule_gantt.draw,
    peak_memory.draw,
    predicted_measured.draw,
    traffic_bars.draw,
    learning_curves.draw_loss,
    learning_curves.draw_metric,
    loss_by_step.draw,
    step_time_spread.draw,
    study_timeline.draw,
)
