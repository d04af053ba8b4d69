"""How steady the steps were: every step time of every repeat."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
import pandas as pd
import seaborn as sns

from analysis.records import Study, label_of, ordered
from analysis.style import Drawn, Layout, colour, crowded, drawing, new_figure, turn_for


def draw(study: Study, layout: Layout) -> list[Drawn]:
    rows = [
        {"label": label_of(r["point"]), "strategy": r["point"]["strategy"], "repeat": r["point"]["repeat"], "step_s": seconds}
        for r in ordered(study)
        for seconds in r["time"]["step_s"]["values"]
    ]
    if not rows:
        return []
    data = pd.DataFrame(rows)
    palette = {label: colour(strategy) for label, strategy in zip(data["label"], data["strategy"], strict=True)}
    with drawing(layout):
        figure, axes = new_figure(layout, page=crowded(len(palette), layout))
        shared = {"data": data, "x": "label", "y": "step_s", "hue": "label", "palette": palette, "legend": False, "ax": axes}
        sns.boxplot(**shared, fill=False, width=0.5, linewidth=0.8, showfliers=False, whis=(0, 100))
        with _same_jitter():
            sns.stripplot(**shared, size=2.2, alpha=0.6, jitter=0.18)
        axes.set_xlabel("")
        axes.set_ylabel("Time of a step (s)")
        axes.set_ylim(bottom=0)
        axes.grid(axis="x", visible=False)
        axes.tick_params(axis="x", rotation=turn_for(len(palette), layout))
    caption = "Every timed step of every repeat; boxes are quartiles, whiskers reach over all steps: nothing is dropped."
    return [Drawn("step_times", "Spread of step times", caption, figure, data)]


@contextlib.contextmanager
def _same_jitter() -> Iterator[None]:
    """seaborn draws the jitter from numpy's global generator: the same records must give the same figure."""
    state = np.random.get_state()
    np.random.seed(0)
    try:
        yield
    finally:
        np.random.set_state(state)
