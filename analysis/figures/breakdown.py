"""Where time and energy go: computing, communicating, waiting."""

from __future__ import annotations

import pandas as pd

from analysis.points import STATES
from analysis.records import Study
from analysis.statistics import average
from analysis.style import (
    STATE_COLOURS,
    STATE_HATCHES,
    Drawn,
    Layout,
    crowded,
    drawing,
    energy_label,
    legend_above,
    new_figure,
    turn_for,
)


def draw_time(study: Study, layout: Layout) -> list[Drawn]:
    """Seconds of a step, averaged over ranks: an average of costs, so the parts add up to the whole."""
    frame = study.points
    if frame.empty:
        return []
    caption = (
        "Time of one optimizer step by what the ranks' main threads did, mean over ranks and repeats ({n}). Communication "
        "that runs beside computation counts as computing: only what is exposed is shown."
    )
    return [_draw("time_breakdown", "Time by state", frame, "s", "Time per step (s)", caption, layout)]


def draw_energy(study: Study, layout: Layout) -> list[Drawn]:
    frame = study.points
    frame = frame[frame["kind"] != "none"]
    untold = [label for label, rows in frame.groupby("label", sort=False) if rows["compute_J"].isna().all()]
    frame = frame[frame["compute_J"].notna()]
    caption = (
        "Energy of one sample by what the ranks did while it was used, {kind}, mean over repeats ({n}). A host's power is "
        "shared equally between its ranks at any time; idle power is inside."
    )
    if untold:
        caption += f" Too few readings to tell states apart in: {', '.join(untold)}."
    return [
        _draw(f"energy_breakdown_{kind}", "Energy by state", rows, "J", energy_label(str(kind)), caption, layout, str(kind))
        for kind, rows in frame.groupby("kind")
    ]


def _draw(
    name: str, title: str, frame: pd.DataFrame, unit: str, ylabel: str, caption: str, layout: Layout, kind: str = ""
) -> Drawn:
    rows = []
    for label, group in frame.groupby("label", sort=False):
        means = {state: average(group[f"{state}_{unit}"].tolist(), "cost") for state in STATES}
        rows.append({"label": label, **{f"{s}_{unit}": v for s, v in means.items()}, "n": len(group)})
    data = pd.DataFrame(rows)
    with drawing(layout):
        figure, axes = new_figure(layout, page=crowded(len(data), layout))
        bottom = [0.0] * len(data)
        for state in STATES:
            heights = data[f"{state}_{unit}"].tolist()
            axes.bar(
                data["label"],
                heights,
                bottom=bottom,
                width=0.62,
                label=state,
                color=STATE_COLOURS[state],
                hatch=STATE_HATCHES[state],
                edgecolor="white" if state == "compute" else "#444444",
                linewidth=0.4,
            )
            bottom = [b + h for b, h in zip(bottom, heights, strict=True)]
        axes.set_ylabel(ylabel)
        axes.set_ylim(0, 1.08 * max(bottom))
        axes.grid(axis="x", visible=False)
        axes.tick_params(axis="x", rotation=turn_for(len(data), layout))
        legend_above(figure, *axes.get_legend_handles_labels())
    counts = sorted(set(data["n"]))
    n = f"n = {counts[0]}" if len(counts) == 1 else f"n = {counts[0]} to {counts[-1]}"
    return Drawn(name, title, caption.format(n=n, kind=kind), figure, data)
