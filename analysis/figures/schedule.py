"""When each stage of a pipeline computed what: the schedule as predicted above the schedule as measured."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from analysis.records import Study, label_of, ordered
from analysis.style import Drawn, Layout, drawing, legend_above, new_figure

KINDS = {"F": "forward", "B": "backward", "I": "input gradient", "W": "weight gradient"}
COLOURS = {"F": "#0072B2", "B": "#E69F00", "I": "#E69F00", "W": "#F0E442"}
HATCHES = {"F": "", "B": "////", "I": "////", "W": "...."}
PANELS = ("predicted", "measured")
PALEST = 0.65  # how much white there is in the last virtual stage
FITS = 1.15  # a number is shown in a bar that is this many times as wide
ROW_IN, AROUND_IN = 0.25, 1.3
Colour = tuple[float, float, float]


def draw(study: Study, layout: Layout) -> list[Drawn]:
    """One figure for each configuration that has stages, of its first good repeat."""
    first: dict[str, dict[str, Any]] = {}
    for record in ordered(study):
        if "schedule" in record["time"]:
            first.setdefault(record["point"]["hash"], record)
    return [_drawn(record, layout) for record in first.values()]


def _drawn(record: dict[str, Any], layout: Layout) -> Drawn:
    schedule, point = record["time"]["schedule"], record["point"]
    rows = [(panel, *interval) for panel in PANELS for interval in schedule[panel]["intervals"]]
    data = pd.DataFrame(rows, columns=["panel", "rank_or_stage", "action", "start_s", "end_s"])
    caption = (
        "What each stage computed when, with the number of the micro-batch where it fits. Measured: step "
        f"{schedule['step']}, the timed step of median duration (repeat {point['repeat']}), from its first computation to its "
        "last; sums of gradients and the optimizer are not shown. Predicted: the same order with the measured mean times of "
        "each stage (its slowest rank) and free messages. Bubble: the share of the time in which stages, or ranks, do not "
        "compute."
    )
    title = f"Schedule {schedule['name']} of {label_of(point)}"
    return Drawn(f"schedule_{schedule['name']}_{point['hash']}", title, caption, _figure(record, data, layout), data)


def _figure(record: dict[str, Any], data: pd.DataFrame, layout: Layout) -> Figure:
    schedule = record["time"]["schedule"]
    counts = [int(data[data["panel"] == panel]["rank_or_stage"].max()) + 1 for panel in PANELS]
    virtual = 1 + max(map(_chunk, data["action"]))
    names = [[f"stage {stage}" for stage in range(counts[0])], _rank_names(record, *counts)]
    numbered = []
    with drawing(layout):
        figure, (above, below) = new_figure(
            layout, AROUND_IN + ROW_IN * sum(counts), nrows=2, sharex=True, height_ratios=counts
        )
        for axes, panel, rows in zip((above, below), PANELS, names, strict=True):
            for bar in data[data["panel"] == panel].itertuples():
                numbered.append(_bar(axes, bar, virtual))
            axes.set_yticks(range(len(rows)), rows)
            axes.set_ylim(len(rows) - 0.45, -0.55)
            axes.grid(axis="y", visible=False)
            bubble, duration_s = schedule[panel]["bubble"], schedule[panel]["duration_s"]
            axes.set_title(f"{panel.capitalize()}: bubble {100 * bubble:.1f} % of {duration_s:.3g} s", loc="left", pad=3)
        above.set_xlim(0, 1.005 * data["end_s"].max())
        below.set_xlabel("Time since the first computation of the step (s)")
        handles = _legend(data, virtual)
        legend_above(figure, handles, [str(handle.get_label()) for handle in handles])
        figure.draw_without_rendering()
        for patch, text in numbered:
            text.set_visible(FITS * text.get_window_extent().width < patch.get_window_extent().width)
    return figure


def _rank_names(record: dict[str, Any], stages: int, ranks: int) -> list[str]:
    """With their stage where several ranks share one."""
    if ranks == stages:
        return [f"rank {rank}" for rank in range(ranks)]
    return [f"rank {at['rank']}, stage {at['stage'][0]}" for at in record["plan"]["placement"]]


def _bar(axes: Any, bar: Any, virtual: int) -> tuple[Any, Any]:
    """One computation and its micro-batch number."""
    look = _look(bar.action[0], _chunk(bar.action), virtual)
    (patch,) = axes.barh(bar.rank_or_stage, bar.end_s - bar.start_s, left=bar.start_s, height=0.84, **look)
    red, green, blue = look["facecolor"]
    text = axes.text(
        (bar.start_s + bar.end_s) / 2,
        bar.rank_or_stage,
        bar.action[1:].split(".")[0],
        fontsize=6,
        ha="center",
        va="center_baseline",
        color="white" if 0.3 * red + 0.59 * green + 0.11 * blue < 0.4 else "black",
        bbox={"facecolor": look["facecolor"], "edgecolor": "none", "pad": 0} if look["hatch"] else None,
    )
    return patch, text


def _legend(data: pd.DataFrame, virtual: int) -> list[Patch]:
    letters = set(data["action"].str[0])
    handles = [Patch(label=KINDS[letter], **_look(letter, 0, virtual)) for letter in KINDS if letter in letters]
    if virtual > 1:
        tones = [_paler(to_rgb("#555555"), chunk, virtual) for chunk in range(virtual)]
        handles += [Patch(label=f"virtual stage {chunk}", facecolor=tone) for chunk, tone in enumerate(tones)]
    return handles


def _look(letter: str, chunk: int, virtual: int) -> dict[str, Any]:
    face = _paler(to_rgb(COLOURS[letter]), chunk, virtual)
    dark = tuple(0.55 * part for part in face)
    return {"facecolor": face, "edgecolor": dark, "hatch": HATCHES[letter], "linewidth": 0.4}


def _paler(colour: Colour, chunk: int, virtual: int) -> Colour:
    white = PALEST * chunk / max(1, virtual - 1)
    red, green, blue = (part + white * (1 - part) for part in colour)
    return red, green, blue


def _chunk(action: str) -> int:
    """The virtual stage: ``F0.1`` is on the second, 1."""
    return int(action.partition(".")[2] or 0)
