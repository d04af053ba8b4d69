"""The headline: energy per sample against samples per second, with the configurations that nothing beats."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from analysis.records import Study
from analysis.statistics import Summary, by_configuration, interval_note, pareto_front
from analysis.style import Drawn, Layout, colour, crowded, drawing, energy_label, legend_above, marker, new_figure


def draw(study: Study, layout: Layout) -> list[Drawn]:
    """One figure for measured energy and one for modelled: they are never put together."""
    frame = study.points
    frame = frame[frame["kind"] != "none"]
    return [_draw(str(kind), group, layout) for kind, group in frame.groupby("kind")]


def _draw(kind: str, frame: pd.DataFrame, layout: Layout) -> Drawn:
    rate, cost = by_configuration(frame, "samples_per_s"), by_configuration(frame, "per_sample_J")
    strategies = dict(zip(frame["label"], frame["strategy"], strict=True))
    labels = list(rate)
    front = [labels[i] for i in pareto_front([(rate[label].median, cost[label].median) for label in labels])]
    with drawing(layout):
        figure, axes = new_figure(layout, page=crowded(len(labels), layout))
        for label in labels:
            _configuration(axes, label, frame[frame["label"] == label], rate[label], cost[label], strategies[label])
        axes.set_xlabel("Throughput (samples/s)")
        axes.set_ylabel(energy_label(kind))
        axes.set_xlim(0, 1.12 * frame["samples_per_s"].max())
        axes.set_ylim(0, 1.15 * frame["per_sample_J"].max())
        _staircase(axes, [(rate[label].median, cost[label].median) for label in front])
        legend_above(figure, *axes.get_legend_handles_labels())
    data = frame[["label", "repeat", "samples_per_s", "per_sample_J", "edp_Js", "kind"]].copy()
    data["on_pareto_front"] = data["label"].isin(front)
    caption = (
        f"Energy per sample against throughput; energy is {kind}. {_sentence(interval_note([s.n for s in rate.values()]))} "
        f"What lies above and left of the dashed line is beaten in both; nothing beats {', '.join(front)}."
    )
    return Drawn(f"energy_time_{kind}", "Energy against time", caption, figure, data)


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."


def _configuration(axes: Axes, label: str, rows: pd.DataFrame, rate: Summary, cost: Summary, strategy: str) -> None:
    style: dict[str, Any] = {"color": colour(strategy), "marker": marker(strategy), "linestyle": "none"}
    axes.plot(rows["samples_per_s"], rows["per_sample_J"], **style, markersize=3, markeredgewidth=0, zorder=3)
    if rate.low is not None and rate.high is not None and cost.low is not None and cost.high is not None:
        axes.errorbar(
            [rate.median],
            [cost.median],
            xerr=[[rate.median - rate.low], [rate.high - rate.median]],
            yerr=[[cost.median - cost.low], [cost.high - cost.median]],
            color=colour(strategy),
            linewidth=0.8,
            capsize=2,
        )
    # The median is an open marker around its repeats, which lie close together on a quiet machine.
    open_marker: dict[str, Any] = {"markerfacecolor": "none", "markersize": 9, "markeredgewidth": 1.1}
    axes.plot([rate.median], [cost.median], **style, **open_marker, label=label)


def _staircase(axes: Axes, front: list[tuple[float, float]]) -> None:
    """The border of what is beaten: along a point's energy up to its rate, then up to the energy of the next."""
    steps = sorted(front)
    rates = [0.0, *(rate for rate, _ in steps for _ in range(2))]
    costs = [cost for _, cost in steps for _ in range(2)]
    axes.plot(rates, [*costs, axes.get_ylim()[1]], color="#666666", linestyle="--", linewidth=0.8, zorder=1)
