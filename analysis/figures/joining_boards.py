"""Who takes part: boards join one after the other, and each adds something to the time and to the energy of a sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from analysis.plotting.captions import left_out, repeats_note, some
from analysis.plotting.figure_registry import report_figure
from analysis.plotting.figure_style import (
    DrawnFigure,
    drawing,
    energy_label,
    legend_above,
    line_styles,
    new_figure,
    slug,
    text_in,
    wrapped,
)
from analysis.plotting.page_layouts import Layout
from analysis.plotting.scaling_lines import base_sentences, draw_line, following_sentences, line_handles
from analysis.statistics.marginal_boards import COSTS, board_classes, board_rows, joining_hosts, marginal_costs, nested_lines
from analysis.statistics.scaling_bounds import Line, medians, portions
from analysis.study.comparability import Work, works
from analysis.study.study import Study
from analysis.study.sweeps import Sweep

MOST_LINES = 6
MOST_IN_COLUMN, MOST_WITH_CLASS = 5, 10
"""Boards that one column has room for, and boards whose classes can stand below them."""


@report_figure("participants", section="Scaling", order=50)
def draw(study: Study, layout: Layout) -> list[DrawnFigure]:
    """A figure for each work and each order in which boards join.

    Args:
        study: The study, of which good records are drawn.
        layout: The widths of column and page, inches, and the style.

    Returns:
        The figures; empty where no boards join one after the other.
    """
    figures, table = [], marginal_costs(study)
    for work in works(study.points):
        lines, swept = nested_lines(work.points)
        orders: dict[str, list[Line]] = {}
        for line in lines:
            orders.setdefault(str(joining_hosts(line)), []).append(line)
        for number, same_order in enumerate(orders.values()):
            name = f"participants_{slug(f'{work.kind} {work.name}')}{f'_{number + 1}' if number else ''}"
            for part, chosen in portions(same_order, MOST_LINES):
                figures.append(_draw(study, work, chosen, swept, table, name + part, layout))
    return figures


def _draw(
    study: Study, work: Work, lines: Sequence[Line], swept: Sweep, table: pd.DataFrame, name: str, layout: Layout
) -> DrawnFigure:
    panels = {"seconds_per_sample": "Time per sample (s)", "per_sample_J": energy_label(work.kind)}
    if work.kind == "none":
        panels.pop("per_sample_J")
    rows = [board_rows(line) for line in lines]
    levels = [medians(repeats, "boards", COSTS) for repeats in rows]
    names, classes = joining_hosts(lines[0]), board_classes(study)
    with drawing(layout):
        page = len(names) > MOST_IN_COLUMN
        figure, axes = new_figure(layout, page=page, nrows=len(panels), sharex=True, squeeze=False)
        for own_axes, (column, label) in zip(axes[:, 0], panels.items(), strict=True):
            for repeats, level, style in zip(rows, levels, line_styles([line.strategy for line in lines]), strict=True):
                draw_line(own_axes, repeats, level, "boards", column, style)
            own_axes.set_ylabel(label)
            own_axes.set_ylim(0, 1.12 * max(repeats[column].max() for repeats in rows))
        room_in = (figure.get_figwidth() - 0.7) / len(names)
        texts = [
            _tick(repeats, classes, first=not index, room_in=room_in, many=len(names)) for index, repeats in enumerate(names)
        ]
        wide_in = max(text_in(part) for text in texts for part in text.split("\n"))
        upright = wide_in > room_in
        figure.set_figheight(1.2 + 1.75 * len(panels) + (wide_in if upright else 0.3))
        below = axes[-1, 0]
        below.set_xticks([int(n) for n in levels[0]["boards"]], texts, rotation=90 if upright else 0)
        below.set_xlim(levels[0]["boards"].iloc[0] - 0.5, levels[0]["boards"].iloc[-1] + 0.5)
        below.set_xlabel("Boards that take part (each joins those to its left)")
        figure.align_ylabels()
        handles = line_handles(lines, levels)
        legend_above(figure, list(handles.values()), list(handles))
    points = tuple(dict.fromkeys(point for line in lines for point in line.all["point"]))
    own_table = table[
        (table["kind"] == work.kind)
        & (table["model"] + ", " + table["task"] == work.name)
        & table["strategy"].isin([line.label for line in lines])
    ]
    caption = _caption(work, lines, levels, swept, own_table) + left_out(study)
    return DrawnFigure(name, f"Who takes part in {work.name}", caption, figure, _data(lines, rows, own_table, panels), points)


def _tick(hosts: Sequence[str], classes: Mapping[str, str], first: bool, room_in: float, many: int) -> str:
    text = ("" if first else "+ ") + ", ".join(hosts)
    kinds = dict.fromkeys(classes[host] for host in hosts if host in classes)
    return text if many > MOST_WITH_CLASS or not kinds else f"{text}\n{wrapped(', '.join(kinds), room_in)}"


def _data(lines: Sequence[Line], rows: Sequence[pd.DataFrame], table: pd.DataFrame, columns: Mapping[str, str]) -> pd.DataFrame:
    """One row for each repeat, beside the medians of its level and what its last board adds to them."""
    repeats = pd.concat(
        [points[["boards", "repeat", *columns]].assign(strategy=line.label) for line, points in zip(lines, rows, strict=True)]
    )
    levels = table.rename(columns={column: f"median_{column}" for column in COSTS})
    data = repeats.merge(levels, on=["strategy", "boards"])
    return data if "per_sample_J" in columns else data[[c for c in data if "_J" not in c]]


def _caption(work: Work, lines: Sequence[Line], levels: Sequence[pd.DataFrame], swept: Sweep, table: pd.DataFrame) -> str:
    energy = "" if work.kind == "none" else f" and energy ({work.kind})"
    sentences = [
        f"Time{energy} of a sample of {work.name} as boards join from left to right, differences of medians in the table",
        repeats_note([int(n) for repeats in levels for n in repeats["n"]]).rstrip("."),
        *base_sentences(lines, work.kind),
        *following_sentences(lines, swept),
    ]
    unclear = table[table["note"].str.contains("overlap")]
    for strategy, repeats in unclear.groupby("strategy", sort=False):
        boards = some([name.split(" (")[0] for name in repeats["added"]])
        sentences.append(f"Of {strategy}, ranges overlap with the board before, so a difference is not shown, at {boards}")
    return ". ".join(sentences) + "."
