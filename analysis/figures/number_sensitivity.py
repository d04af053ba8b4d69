"""Batch, micro-batches, sequence length: what one number of the training does to throughput and energy."""

from __future__ import annotations

import pandas as pd

from analysis.plotting.captions import following, in_setting, sentences, spread_note
from analysis.plotting.figure_registry import report_figure
from analysis.plotting.figure_style import DrawnFigure, drawing, energy_label, legend_above, slug
from analysis.plotting.page_layouts import Layout
from analysis.plotting.sweep_lines import (
    axis_from_zero,
    draw_lines,
    leading_factor,
    legend_of,
    level_ticks,
    lines_by_figure,
    panel_figure,
)
from analysis.plotting.sweep_panels import CIRCUMSTANCES, TRAINING_NUMBERS, Panel, sweep_table
from analysis.study.comparability import Work, works
from analysis.study.energy_words import energy_words
from analysis.study.study import Study
from analysis.study.sweeps import Series, Sweep, sweep, varied


@report_figure("sensitivity", section="Sensitivity", order=90)
def draw(study: Study, layout: Layout) -> list[DrawnFigure]:
    """One figure for each work and each number that is varied.

    Args:
        study: The study, of which good records are drawn.
        layout: The widths of column and page, inches, and the style.

    Returns:
        The figures; empty where none of them varies.
    """
    figures = []
    for work in works(study.points):
        several = varied(work.points)
        for x in (name for name in TRAINING_NUMBERS if name in several):
            if not leading_factor(work.points, x, (*CIRCUMSTANCES, *TRAINING_NUMBERS)):
                swept = sweep(work.points, x)
                figures += [_figure(work, swept, series, setting, layout) for setting, series in lines_by_figure(swept)]
    return figures


def _figure(work: Work, swept: Sweep, series: tuple[Series, ...], setting: str, layout: Layout) -> DrawnFigure:
    rows = pd.concat([line.points for line in series])
    unit = "token" if rows["seq"].nunique() > 1 else "sample"
    panels = [Panel(f"{unit}s_per_s", f"Throughput ({unit}s/s)")]
    if work.kind != "none":
        panels.append(Panel(f"per_{unit}_J", energy_label(work.kind, f"Energy per {unit} (J)")))
    title = TRAINING_NUMBERS[swept.x].split(" (")[0]
    with drawing(layout):
        figure, axes, lowest = panel_figure(layout, len(panels), series)
        for panel_axes, panel in zip(axes, panels, strict=True):
            draw_lines(panel_axes, series, swept.x, panel.column)
            axis_from_zero(panel_axes, rows[panel.column])
            panel_axes.set_ylabel(panel.label)
        for panel_axes in lowest:
            panel_axes.set_xlabel(TRAINING_NUMBERS[swept.x])
            level_ticks(panel_axes, sorted(rows[swept.x].unique()))
        legend_above(figure, *legend_of(axes[0], series))
    energy = "no energy was asked for" if work.kind == "none" else f"energy is {energy_words(work.points)}"
    caption = " ".join(
        [
            f"Throughput and energy of a {unit} over the {title.lower()}: {work.name}{in_setting(setting)}; {energy}.",
            *sentences(following(series, swept)),
            spread_note(series, swept.x),
        ]
    )
    data = sweep_table(series, swept, [panel.column for panel in panels])
    name = slug(f"sensitivity {swept.x} {work.kind} {work.name} {setting}")
    return DrawnFigure(name, f"Sensitivity to the {title.lower()}", caption, figure, data, tuple(rows["point"]))
