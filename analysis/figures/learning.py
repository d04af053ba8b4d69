"""What the joules bought: loss and metric against energy, and the proof that all strategies learn the same."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from analysis.records import Study, label_of, ordered
from analysis.style import Drawn, Layout, colour, drawing, legend_above, marker, new_figure

SMOOTHED = 5


def draw_loss(study: Study, layout: Layout) -> list[Drawn]:
    data = _curves(study)
    data = data[data["energy_J"].notna()]
    return [_loss(str(kind), rows, layout) for kind, rows in data.groupby("kind")] if not data.empty else []


def _loss(kind: str, data: pd.DataFrame, layout: Layout) -> Drawn:
    with drawing(layout):
        figure, axes = new_figure(layout)
        for label, strategy, rows in _lines(data):
            smooth = rows["loss"].rolling(SMOOTHED, min_periods=1, center=True).mean()
            axes.plot(rows["energy_J"], smooth, color=colour(strategy), label=label, linewidth=1)
        axes.set_xlabel(f"Training energy (J), {kind}")
        axes.set_ylabel("Training loss")
        _one_legend(figure, axes)
    caption = (
        f"Loss against the energy spent on training ({kind}), warm-up included, evaluations not; mean of {SMOOTHED} steps; "
        "one line for each repeat."
    )
    return Drawn(f"loss_energy_{kind}", "Loss against joules", caption, figure, data.drop(columns="kind"))


def draw_metric(study: Study, layout: Layout) -> list[Drawn]:
    rows = []
    for record in ordered(study):
        point = record["point"]
        for found in record["learning"]["evaluations"]:
            rows.append(
                {
                    "label": label_of(point),
                    "strategy": point["strategy"],
                    "repeat": point["repeat"],
                    "kind": record["energy"]["kind"],
                    "metric": record["learning"]["metric_name"],
                    **{key: found[key] for key in ("step", "time_s", "energy_J", "value", "n")},
                }
            )
    data = pd.DataFrame(rows)
    if data.empty or data["energy_J"].isna().all():
        return []
    data = data[data["energy_J"].notna()]
    return [_metric(str(kind), own, layout) for kind, own in data.groupby("kind")]


def _metric(kind: str, data: pd.DataFrame, layout: Layout) -> Drawn:
    name = data["metric"].iloc[0]
    with drawing(layout):
        figure, axes = new_figure(layout)
        for label, strategy, rows in _lines(data):
            axes.plot(
                rows["energy_J"],
                rows["value"],
                color=colour(strategy),
                marker=marker(strategy),
                markersize=4,
                label=label,
                linewidth=0.9,
            )
        axes.set_xlabel(f"Training energy (J), {kind}")
        axes.set_ylabel(f"Validation {name}")
        axes.margins(0.08)
        axes.set_xlim(left=min(0, axes.get_xlim()[0]))
        _one_legend(figure, axes)
    counts = sorted(set(data["n"]))
    caption = (
        f"Validation {name} against the energy spent on training ({kind}); {counts[0]} samples, evaluated outside of the "
        "timed windows; one line for each repeat. Strategies run as many steps as fit in the window, unless train.steps is "
        "set: points to the right have seen more samples."
    )
    return Drawn(f"{name}_energy_{kind}", f"{name.capitalize()} against joules", caption, figure, data.drop(columns="kind"))


def draw_steps(study: Study, layout: Layout) -> list[Drawn]:
    """Loss by step: strategies that are the same computation lie on one line."""
    data = _curves(study)
    if data.empty:
        return []
    first = data[data["repeat"] == data["repeat"].min()]
    table = first.pivot_table(index="step", columns="label", values="loss", aggfunc="first").dropna()
    spread = float((table.max(axis=1) - table.min(axis=1)).max()) if table.shape[1] > 1 and len(table) else None
    with drawing(layout):
        figure, axes = new_figure(layout)
        # Curves that coincide stay visible: open markers, the later ones smaller inside the earlier.
        sparse = max(1, first["step"].max() // 25)
        for size, (label, strategy, rows) in zip((8, 6, 4, 2.5, 2.5, 2.5), _lines(first), strict=False):
            style = {"color": colour(strategy), "marker": marker(strategy), "markerfacecolor": "none", "markersize": size}
            axes.plot(rows["step"], rows["loss"], **style, markevery=sparse, linewidth=0.7, markeredgewidth=0.8, label=label)
        axes.set_xlabel("Optimizer step")
        axes.set_ylabel("Training loss")
        _one_legend(figure, axes)
    compared = "" if spread is None else f" The largest difference between strategies at the same step is {spread:.1e}."
    caption = f"Training loss by step, first repeat, fp32: the strategies compute the same up to rounding.{compared}"
    return [Drawn("loss_step", "Loss by step", caption, figure, first.drop(columns="kind"))]


def _curves(study: Study) -> pd.DataFrame:
    parts = []
    for record in ordered(study):
        point, curve = record["point"], record["learning"]["curve"]
        part = pd.DataFrame({"step": curve["step"], "loss": curve["loss"], "time_s": curve["time_s"]})
        part["energy_J"] = curve["energy_J"] if curve["energy_J"] is not None else None
        about = {
            "label": label_of(point),
            "strategy": point["strategy"],
            "repeat": point["repeat"],
            "kind": record["energy"]["kind"],
        }
        parts.append(part.assign(**about))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _lines(data: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame]]:
    for (label, _), rows in data.groupby(["label", "repeat"], sort=False):
        yield str(label), str(rows["strategy"].iloc[0]), rows


def _one_legend(figure, axes) -> None:  # type: ignore[no-untyped-def]
    """One entry for each label, however many repeats are drawn."""
    handles, labels = axes.get_legend_handles_labels()
    once = dict(zip(labels, handles, strict=True))
    legend_above(figure, list(once.values()), list(once))
