"""Peak memory of the ranks, beside the plan's prediction; configurations that did not fit are marked."""

from __future__ import annotations

import pandas as pd

from analysis.records import Study, label_of, ordered
from analysis.statistics import summarise
from analysis.style import Drawn, Layout, colour, crowded, drawing, legend_above, new_figure, turn_for

MIB = 2**20


def draw(study: Study, layout: Layout) -> list[Drawn]:
    rows = []
    for record in ordered(study):
        memory, point = record["memory"], record["point"]
        parts = zip(memory["peak_bytes"], memory["predicted_bytes"], memory["baseline_bytes"], strict=True)
        for rank, (peak, predicted, baseline) in enumerate(parts):
            rows.append(
                {
                    "label": label_of(point),
                    "strategy": point["strategy"],
                    "repeat": point["repeat"],
                    "rank": rank,
                    "peak_MiB": peak / MIB,
                    "predicted_MiB": predicted / MIB,
                    "baseline_MiB": baseline / MIB,
                }
            )
    out_of_memory = sorted({label_of(r["point"]) for r in study.records if r["status"] == "oom"})
    if not rows:
        return []
    data = pd.DataFrame(rows)
    return [
        Drawn("peak_memory", "Peak memory of each rank", _caption(out_of_memory), _figure(data, out_of_memory, layout), data)
    ]


def _caption(out_of_memory: list[str]) -> str:
    text = (
        "Largest resident memory of each rank's process, one bar for each rank in their order (median over repeats), with "
        "the prediction as an outline: the process before the model (hatched), and the plan's parameters, gradients, "
        "optimizer states and an estimate of the activations. Temporary buffers of the libraries are not predicted."
    )
    return f"{text} Out of memory: {', '.join(out_of_memory)}." if out_of_memory else text


def _figure(data: pd.DataFrame, out_of_memory: list[str], layout: Layout):  # type: ignore[no-untyped-def]
    with drawing(layout):
        bars = data["label"].nunique() + len(out_of_memory)
        figure, axes = new_figure(layout, page=crowded(bars, layout))
        ticks, names, at = [], [], 0.0
        for label, group in data.groupby("label", sort=False):
            start = at
            for _rank, own in group.groupby("rank"):
                strategy = own["strategy"].iloc[0]
                peak, predicted, baseline = (
                    summarise(own[key].tolist()).median for key in ("peak_MiB", "predicted_MiB", "baseline_MiB")
                )
                axes.bar(at, peak, width=0.8, color=colour(strategy), alpha=0.75)
                axes.bar(at, baseline, width=0.8, color="none", hatch="////", edgecolor="white", linewidth=0)
                axes.bar(at, predicted, width=0.8, fill=False, edgecolor="#000000", linewidth=1.0, linestyle="--")
                at += 1
            ticks.append((start + at - 1) / 2)
            names.append(str(label))
            at += 0.6
        for label in out_of_memory:
            axes.text(
                at, 0.02, "OOM", rotation=90, ha="center", va="bottom", transform=axes.get_xaxis_transform(), fontweight="bold"
            )
            ticks.append(at)
            names.append(label)
            at += 1.6
        axes.set_xlim(-0.8, at - 0.8)
        axes.set_xticks(ticks, names, rotation=turn_for(len(names), layout))
        axes.set_ylabel("Peak memory of a rank (MiB)")
        axes.grid(axis="x", visible=False)
        handles = [
            axes.bar(0, 0, color="#888888", label="measured peak"),
            axes.bar(0, 0, fill=False, edgecolor="#000000", linestyle="--", label="predicted"),
        ]
        legend_above(figure, handles, [handle.get_label() for handle in handles])
    return figure
