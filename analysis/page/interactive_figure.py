"""A figure to explore with: all points of a study, what each axis shows chosen by the reader.

Beside the report, not part of it: it needs plotly to be made and a browser with scripts to be read.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd

from analysis.plotting.figure_style import colour
from analysis.study.comparability import Work, works
from analysis.study.strategy_appearance import place
from analysis.study.study import Study
from analysis.study.sweeps import NOT_FACTORS
from analysis.tables.factor_table import level
from bench.common.user_error import UserError

AXES = {
    "samples_per_s": "Throughput (samples/s)",
    "per_sample_J": "Energy per sample (J)",
    "step_s": "Time of a step (s)",
    "edp_Js": "Energy-delay product of a sample (J s)",
    "power_W": "Power (W)",
    "peak_MiB": "Peak memory (MiB)",
    "wire_bytes": "Bytes on the wire per step",
    "communicate_s": "Communicating in a step (s)",
    "wait_s": "Waiting in a step (s)",
    "exposed_share": "Exposed communication (share of a step)",
    "metric": "Metric of the task",
    "loss": "Last training loss",
    "ranks": "Ranks",
    "batch": "Batch (samples)",
    "seq": "Sequence (tokens)",
    "link_rate_bit_s": "Rate of the slowest link (bit/s)",
}
"""In the order of the lists; those of which a study has no number are left out."""
FIRST_X, FIRST_Y = "samples_per_s", "per_sample_J"
SYMBOLS = {
    "single": "square",
    "data": "circle",
    "sequence": "triangle-down",
    "tensor": "triangle-up",
    "pipeline": "diamond",
    "hybrid": "cross",
    "server": "star",
}


def write_explore(study: Study, path: Path) -> None:
    """Write one self-contained page with the figure to explore.

    Args:
        study: Its good points are drawn.
        path: The file.

    Raises:
        UserError: plotly is not installed, or the study has no valid point.
    """
    plotly = _plotly()
    if study.points.empty:
        raise UserError(f"{study.name} has no valid point, so there is nothing to explore; see python -m analysis check")
    figure = explore_figure(study, plotly)
    page = figure.to_html(include_plotlyjs=True, full_html=True, config={"displaylogo": False})
    title = f"<head><title>EdgeJoule: explore {escape(study.name)}</title>"
    path.write_text(page.replace("<html>", '<html lang="en">', 1).replace("<head>", title, 1), encoding="utf-8")


def _plotly() -> ModuleType:
    try:
        import plotly.graph_objects
    except ImportError:
        raise UserError("the figure to explore needs plotly; pip install 'edgejoule[explore]'") from None
    graph_objects: ModuleType = plotly.graph_objects
    return graph_objects


def explore_figure(study: Study, plotly: ModuleType) -> Any:
    """A trace for each strategy of each work. Works are never shown together: one is chosen by a list, as are both axes.

    Args:
        study: Has at least one good point.
        plotly: ``plotly.graph_objects``.

    Returns:
        A plotly figure.
    """
    all_works = list(works(study.points))
    axes = {key: title for key, title in AXES.items() if key in study.points and study.points[key].notna().any()}
    parts = [(work, str(strategy), rows) for work in all_works for strategy, rows in _by_strategy(work)]
    first_y = FIRST_Y if FIRST_Y in axes else "step_s"
    figure = plotly.Figure([_trace(plotly, *part, x=FIRST_X, y=first_y, shown=part[0] is all_works[0]) for part in parts])
    lists = [_axis_list(parts, axes, "x", FIRST_X, 0.0), _axis_list(parts, axes, "y", first_y, 0.34)]
    lists.append(_work_list(parts, all_works, 0.68))
    figure.update_layout(
        template="plotly_white",
        title={"text": _title(all_works[0]), "y": 0.98},
        updatemenus=lists,
        margin={"t": 130},
        height=760,
        legend={"title": {"text": "Strategy"}},
        hoverlabel={"align": "left"},
        font={"size": 14},
    )
    figure.update_xaxes(title_text=axes[FIRST_X], rangemode="tozero")
    figure.update_yaxes(title_text=axes[first_y], rangemode="tozero")
    return figure


Part = tuple[Work, str, pd.DataFrame]


def _by_strategy(work: Work) -> list[tuple[str, pd.DataFrame]]:
    groups = [(str(strategy), rows) for strategy, rows in work.points.groupby("strategy", sort=False)]
    return sorted(groups, key=lambda group: place(group[0]))


def _trace(plotly: ModuleType, work: Work, strategy: str, rows: pd.DataFrame, *, x: str, y: str, shown: bool) -> Any:
    return plotly.Scatter(
        x=_numbers(rows, x),
        y=_numbers(rows, y),
        mode="markers",
        name=strategy,
        visible=shown,
        marker={
            "color": colour(strategy),
            "symbol": SYMBOLS.get(strategy, "x"),
            "size": 10,
            "line": {"width": 1, "color": "white"},
        },
        text=[_hover(row, work.kind) for row in rows.to_dict("records")],
        hovertemplate="%{text}<extra></extra>",
    )


def _numbers(rows: pd.DataFrame, key: str) -> list[float | None]:
    return [None if pd.isna(value) else float(value) for value in rows[key]]


def _hover(row: dict[Any, Any], kind: str) -> str:
    """Name, repeat, the numbers that matter, and every factor that the point has."""
    numbers = [
        f"{title}: {row[key]:.4g}"
        for key, title in AXES.items()
        if key in row and isinstance(row[key], float) and row[key] == row[key]
    ]
    energy = "no energy" if kind == "none" else f"energy {kind}"
    factors = [f"{key.removeprefix('option.')}={level(row[key])}" for key in _factors(row) if level(row[key])]
    lines = [f"<b>{escape(str(row['label']))}</b>", f"repeat {row['repeat']}, {energy}{', smoke run' if row['smoke'] else ''}"]
    return "<br>".join([*lines, *map(escape, numbers), *_folded([escape(text) for text in factors])])


def _factors(row: dict[Any, Any]) -> list[str]:
    return [str(key) for key in row if key not in NOT_FACTORS]


def _folded(texts: Sequence[str], most: int = 4) -> list[str]:
    return [", ".join(texts[start : start + most]) for start in range(0, len(texts), most)]


def _axis_list(parts: Sequence[Part], axes: dict[str, str], axis: str, first: str, left: float) -> dict[str, Any]:
    """A list that puts another quantity on an axis of all traces."""
    buttons = [
        {
            "label": f"{axis}: {title}",
            "method": "update",
            "args": [{axis: [_numbers(rows, key) for _, _, rows in parts]}, {f"{axis}axis.title.text": title}],
        }
        for key, title in axes.items()
    ]
    return _list(buttons, list(axes).index(first), left)


def _work_list(parts: Sequence[Part], shown_works: Sequence[Work], left: float) -> dict[str, Any]:
    buttons = [
        {
            "label": _title(work),
            "method": "update",
            "args": [{"visible": [drawn is work for drawn, _, _ in parts]}, {"title.text": _title(work)}],
        }
        for work in shown_works
    ]
    return _list(buttons, 0, left)


def _list(buttons: list[dict[str, Any]], active: int, left: float) -> dict[str, Any]:
    return {
        "buttons": buttons,
        "active": active,
        "x": left,
        "xanchor": "left",
        "y": 1.02,
        "yanchor": "bottom",
        "showactive": True,
    }


def _title(work: Work) -> str:
    return escape(f"{work.name}: {'no energy' if work.kind == 'none' else f'energy {work.kind}'}")
