"""Bytes that the operations moved against those that theory predicts."""

from __future__ import annotations

import pandas as pd

from analysis.records import Study, label_of, ordered
from analysis.style import Drawn, Layout, drawing, legend_above, new_figure


def draw(study: Study, layout: Layout) -> list[Drawn]:
    rows = []
    for record in ordered(study):
        traffic, label = record["traffic"], label_of(record["point"])
        for key, theory in traffic["theory_bytes"].items():
            measured = traffic["payload_bytes"].get(key, 0)
            rows.append({"label": label, "operation": key, "theory_bytes": theory, "measured_bytes": measured})
    data = pd.DataFrame(rows).drop_duplicates() if rows else pd.DataFrame()
    if data.empty:
        return []
    data["equal"] = data["theory_bytes"] == data["measured_bytes"]
    with drawing(layout):
        figure, axes = new_figure(layout, 0.9 + 0.3 * len(data))
        names = [f"{row.label}\n{row.operation}" for row in data.itertuples()]
        places = list(range(len(data)))[::-1]
        axes.plot(
            data["theory_bytes"] / 1e6,
            places,
            "o",
            markersize=9,
            markerfacecolor="none",
            color="#000000",
            label="theory",
            clip_on=False,
        )
        axes.plot(data["measured_bytes"] / 1e6, places, "x", markersize=5, color="#D55E00", label="measured", clip_on=False)
        axes.set_yticks(places, names)
        axes.set_ylim(-0.6, len(data) - 0.4)
        axes.set_xlim(left=0)
        axes.set_xlabel("Payload per step (MB)")
        legend_above(figure, *axes.get_legend_handles_labels())
    wrong = data[~data["equal"]]
    verdict = "all are equal, to the byte" if wrong.empty else f"{len(wrong)} differ: {', '.join(wrong['operation'])}"
    caption = f"Bytes handed to MPI in one optimizer step against the volume formulas: {verdict}."
    return [Drawn("traffic", "Theory against measured bytes", caption, figure, data)]
