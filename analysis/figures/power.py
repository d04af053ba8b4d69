"""Power over time of one repeat of each strategy, with its idle and timed windows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from analysis.records import Study, label_of, ordered
from analysis.style import Drawn, Layout, colour, drawing, energy_label, new_figure

BIN_S = 0.25


def draw(study: Study, layout: Layout) -> list[Drawn]:
    """Mean power in bins of a quarter of a second, first repeat; nothing where no point has a trace."""
    parts = []
    for record in ordered(study):
        path = Path(record["folder"]) / "power.parquet"
        if record["point"]["repeat"] == 0 and path.exists():
            parts.append(_binned(path, record))
    if not parts:
        return []
    data = pd.concat(parts, ignore_index=True)
    return [_figure(str(kind), rows, layout) for kind, rows in data.groupby("kind")]


def _binned(path: Path, record: dict[str, Any]) -> pd.DataFrame:
    table = pq.read_table(path)
    meta = table.schema.metadata
    about, rows = json.loads(meta[b"channels"]), table.to_pandas()
    traces = [trace for trace in about if trace["in_total"]]
    times = rows.groupby(["host", "source"])["t_s"]
    edges = np.arange(max(times.min().max(), 0), times.max().min(), BIN_S)
    total = np.zeros(len(edges) - 1)
    for trace in traces:
        own = rows[(rows["host"] == trace["host"]) & (rows["source"] == trace["source"])]
        calibration = trace["calibration"] or {"gain": 1.0, "offset_W": 0.0}
        total += calibration["offset_W"]
        for channel in (c for c in trace["channels"] if c["id"] in trace["in_total"]):
            part = own[own["channel"] == channel["id"]]
            total += calibration["gain"] * _power(part["raw"].to_numpy(), part["t_s"].to_numpy(), edges, channel)
    about_point = {
        "label": label_of(record["point"]),
        "strategy": record["point"]["strategy"],
        "kind": record["energy"]["kind"],
    }
    frame = pd.DataFrame({"time_s": edges[:-1] - edges[0], "power_W": total}).assign(**about_point)
    since_begin = edges[:-1]
    timed = [(since_begin >= window["start_s"]) & (since_begin < window["end_s"]) for window in record["time"]["windows"]]
    return frame.assign(timed=np.any(np.stack(timed), axis=0))


def _power(raw: np.ndarray, seconds: np.ndarray, edges: np.ndarray, channel: dict[str, Any]) -> np.ndarray:  # type: ignore[type-arg]
    if channel["kind"] == "power":
        joules = np.concatenate([[0], np.cumsum((raw[1:] + raw[:-1]) / 2 * channel["scale"] * np.diff(seconds))])
    else:
        steps = np.diff(raw)
        steps = np.where(steps < 0, steps + (channel["modulus"] or 0), steps)
        joules = np.concatenate([[0], np.cumsum(steps * channel["scale"])])
    return np.diff(np.interp(edges, seconds, joules)) / BIN_S + channel["baseline_W"]


def _figure(kind: str, data: pd.DataFrame, layout: Layout) -> Drawn:
    labels = list(dict.fromkeys(data["label"]))
    with drawing(layout):
        figure, panels = new_figure(
            layout, 0.6 + 0.75 * len(labels), nrows=len(labels), sharex=True, sharey=True, squeeze=False
        )
        for axes, label in zip(panels[:, 0], labels, strict=True):
            rows = data[data["label"] == label]
            top = 1.1 * data["power_W"].max()
            axes.fill_between(rows["time_s"], 0, top, where=rows["timed"], color="#e8e8e8", linewidth=0, zorder=0)
            axes.plot(rows["time_s"], rows["power_W"], color=colour(rows["strategy"].iloc[0]), linewidth=0.9)
            axes.set_title(label, loc="left", pad=2)
        panels[0, 0].set_ylim(0, 1.1 * data["power_W"].max())
        panels[-1, 0].set_xlabel("Time since the first reading (s)")
        figure.supylabel(energy_label(kind, "Power of all hosts (W)"))
    caption = (
        f"Power of all hosts over one point of each configuration (first repeat, {kind}), mean of {BIN_S} s. Grey: the timed "
        "windows. Before them start-up, idle and warm-up; between and behind them evaluation, and idle at the end."
    )
    return Drawn(f"power_{kind}", "Power over time", caption, figure, data.drop(columns="kind"))
