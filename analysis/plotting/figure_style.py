"""How figures look: the width of the page that they are for, colour and marker of each strategy, hatching of each state.

Everything is told apart without colour too: series by marker and line, bars by hatching.
"""

from __future__ import annotations

import contextlib
import io
import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.legend import Legend
from matplotlib.textpath import text_to_path

from analysis.plotting.page_layouts import IEEE, Layout
from analysis.study.strategy_appearance import appearance_of

HERE = Path(__file__).parent

# Colours of Okabe and Ito, told apart by people with any colour vision.
STATE_COLOURS = {"compute": "#0072B2", "communicate": "#E69F00", "wait": "#BBBBBB"}
STATE_HATCHES = {"compute": "", "communicate": "////", "wait": "...."}
PHASE_COLOURS = {
    "forward": "#0072B2",
    "backward": "#56B4E9",
    "optimizer": "#009E73",
    "other": "#FFFFFF",
    "communicate": "#E69F00",
    "wait": "#BBBBBB",
}
PHASE_HATCHES = {
    "forward": "",
    "backward": "\\\\\\\\",
    "optimizer": "xxxx",
    "other": "",
    "communicate": "////",
    "wait": "....",
}
RECOVERY_COLOURS = {"notice": "#D55E00", "shrink": "#000000", "rebuild": "#56B4E9", "redo": "#F0E442"}
RECOVERY_HATCHES = {"notice": "xxxx", "shrink": "", "rebuild": "////", "redo": "...."}
STAGE_COLOURS = {
    "start-up": "#D55E00",
    "replication": "#E69F00",
    "idle": "#BBBBBB",
    "warm-up": "#56B4E9",
    "timed": "#0072B2",
    "evaluation": "#009E73",
    "other": "#FFFFFF",
}
STAGE_HATCHES = {
    "start-up": "\\\\\\\\",
    "replication": "////",
    "idle": "....",
    "warm-up": "----",
    "timed": "",
    "evaluation": "xxxx",
    "other": "",
}
TALLEST_IN = 9.0
"""The height of a column of a page."""
LINES: tuple[Any, ...] = ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)))
MORE_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*")


@dataclass(frozen=True)
class DrawnFigure:
    """A finished figure.

    Attributes:
        name: The name of its files.
        title: Its title.
        caption: What is shown, n, the interval and its method, and whether energy is measured or modelled.
        figure: The figure itself.
        data: The table behind it, with units at the end of its columns' names.
        points: The names of the records that it was drawn from; empty: all good ones of the study.
    """

    name: str
    title: str
    caption: str
    figure: Figure
    data: pd.DataFrame
    points: tuple[str, ...] = ()


def colour(strategy: str) -> str:
    """The colour of a strategy.

    Args:
        strategy: The name of a registered strategy.

    Returns:
        A colour as matplotlib takes it.
    """
    return appearance_of(strategy).colour


def marker(strategy: str) -> str:
    """The marker of a strategy.

    Args:
        strategy: The name of a registered strategy.

    Returns:
        A marker as matplotlib takes it.
    """
    return appearance_of(strategy).marker


def hatch(strategy: str) -> str:
    """The hatching of a strategy.

    Args:
        strategy: The name of a registered strategy.

    Returns:
        A hatching as matplotlib takes it.
    """
    return appearance_of(strategy).hatch


def line_styles(strategies: Sequence[str]) -> list[dict[str, Any]]:
    """Arguments of ``plot`` for lines: colour and marker of the strategy.

    Where one strategy has several lines, each has another dash, and a marker that no other line has, or at least none with this
    dash.

    Args:
        strategies: The strategy of each line.

    Returns:
        ``color``, ``marker`` and ``linestyle`` of each line, in the same order.
    """
    lines_so_far: dict[str, int] = {}
    shapes = {marker(strategy) for strategy in strategies}
    pairs = {(shape, 0) for shape in shapes}
    styles = []
    for strategy in strategies:
        number = lines_so_far.get(strategy, 0)
        lines_so_far[strategy] = number + 1
        dash = number % len(LINES)
        free = [free_shape for free_shape in MORE_MARKERS if free_shape not in shapes] + [
            free_shape for free_shape in MORE_MARKERS if (free_shape, dash) not in pairs
        ]
        shape = marker(strategy) if number == 0 else [*free, MORE_MARKERS[number % len(MORE_MARKERS)]][0]
        shapes.add(shape)
        pairs.add((shape, dash))
        styles.append({"color": colour(strategy), "marker": shape, "linestyle": LINES[dash]})
    return styles


@contextlib.contextmanager
def drawing(layout: Layout) -> Iterator[None]:
    """Everything made inside, axes above all, has the layout's fonts and lines.

    Args:
        layout: The layout, of which the style sheets are used.

    Yields:
        Nothing; the style ends with the block.
    """
    # A report holds all of its figures until they are written: more than pyplot expects.
    with plt.style.context([HERE / sheet for sheet in layout.sheets]), plt.rc_context({"figure.max_open_warning": 0}):
        yield


CROWDED = 8
"""Configurations that one column of a page has room for."""


def needs_page(configurations: int, layout: Layout) -> bool:
    """Whether so many configurations need the width of a page.

    Args:
        configurations: The number of names below the axis.
        layout: The layout, with the width of its column.

    Returns:
        False where a column has room for them.
    """
    return configurations > CROWDED * layout.column_in / IEEE.column_in


def label_angle(configurations: int, layout: Layout) -> int:
    """The angle at which names of configurations below an axis do not touch.

    Args:
        configurations: The number of names below the axis.
        layout: The layout, with the widths of its column and page.

    Returns:
        Degrees: 0, 35 or 90.
    """
    room = layout.page_in if needs_page(configurations, layout) else layout.column_in
    return 90 if configurations > 2.2 * room else 35 if configurations > 1.2 * room else 0


def slug(text: str) -> str:
    """``text`` as a part of a file's name.

    Args:
        text: Any text.

    Returns:
        Lower-case ASCII letters and digits, anything else between them as one underscore.
    """
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")


def text_in(text: str, points: float | None = None) -> float:
    """The width of one line of text in inches. Inside ``drawing``.

    Args:
        text: The text.
        points: The size of its letters; None: that of tick labels.

    Returns:
        The width, inches.
    """
    font = FontProperties(size=plt.rcParams["xtick.labelsize"] if points is None else points)
    return float(text_to_path.get_text_width_height_descent(text, font, False)[0]) / 72


def wrapped(text: str, room_in: float) -> str:
    """``text`` in lines no wider than ``room_in``, broken between words where it has some. Inside ``drawing``.

    Args:
        text: One line.
        room_in: The width, inches.

    Returns:
        The text, with line breaks where it was too wide; a word that is wider alone is broken as well.
    """
    wide = text_in(text)
    return text if wide <= room_in else "\n".join(textwrap.wrap(text, max(8, int(len(text) * room_in / wide) - 1)))


def new_figure(layout: Layout, height_in: float = 2.6, page: bool = False, **arguments: Any) -> tuple[Figure, Any]:
    """``plt.subplots`` at the width of the column, or of the page. Inside ``drawing`` only.

    Args:
        layout: The place on paper.
        height_in: The height of the figure, inches.
        page: Whether it is as wide as the page.
        arguments: Further arguments of ``plt.subplots``.

    Returns:
        The figure, and its axes or an array of them.
    """
    return plt.subplots(figsize=(layout.page_in if page else layout.column_in, height_in), **arguments)


def legend_above(figure: Figure, handles: Sequence[Any], labels: Sequence[str], title: str | None = None) -> Legend:
    """A legend above the axes with as many columns as the figure's width has room for, read row by row.

    Args:
        figure: The figure.
        handles: The handles.
        labels: Their names; those that are too wide for the figure are wrapped.
        title: The title of the legend.

    Returns:
        The legend.
    """
    wide_px = figure.bbox.width
    entries = [(handle, wrapped(label, figure.get_figwidth() - 0.7)) for handle, label in zip(handles, labels, strict=True)]
    for columns in range(_most_columns([label for _, label in entries], 0.96 * figure.get_figwidth()), 0, -1):
        by_column = [entry for column in range(columns) for entry in entries[column::columns]]
        legend = figure.legend(*zip(*by_column, strict=True), loc="outside upper center", ncols=columns, title=title)
        if columns == 1 or legend.get_window_extent().width <= 0.96 * wide_px:
            return legend
        legend.remove()
    raise AssertionError("one column is always taken")


def _most_columns(labels: Sequence[str], room_in: float) -> int:
    """More columns than this have no room, by the widths of their texts alone: to try a legend takes far longer."""
    em_in = plt.rcParams["legend.fontsize"] / 72
    handle_in = em_in * (plt.rcParams["legend.handlelength"] + plt.rcParams["legend.handletextpad"])
    wide_in = [handle_in + max(text_in(line, 72 * em_in) for line in label.split("\n")) for label in labels]
    for columns in range(len(labels), 1, -1):
        apart_in = em_in * plt.rcParams["legend.columnspacing"] * (columns - 1)
        if apart_in + sum(max(wide_in[column::columns]) for column in range(columns)) <= room_in:
            return columns
    return 1


def legend_lines(labels: Sequence[str], width_in: float) -> int:
    """About how many lines a legend above axes of this width takes. Inside ``drawing``.

    Args:
        labels: The names in the legend, at least one.
        width_in: The width of the axes, inches.

    Returns:
        The number of lines, at least 1.
    """
    columns = max(1, int(width_in / (max(map(text_in, labels)) + 0.5)))
    return -(-len(labels) // columns)


def energy_label(kind: str, what: str = "Energy per sample (J)") -> str:
    """The label of an axis of energy, which says whether it was measured or modelled.

    Args:
        kind: The kind of energy.
        what: The quantity with its unit.

    Returns:
        The label.
    """
    return f"{what}, {kind}"


def lay_out(figure: Figure) -> None:
    """Lay the figure out for good. Matplotlib would do it again for every format, and draw twice for that.

    Args:
        figure: The finished figure; one without axes stays as it is.
    """
    engine = figure.get_layout_engine()
    if engine is not None and figure.axes:
        engine.execute(figure)
        figure.set_layout_engine("none")


def save(drawn: DrawnFigure, folder: Path, formats: Sequence[str], layout: Layout) -> None:
    """Write the figure; the same records give the same bytes.

    Args:
        drawn: The figure.
        folder: Where to write it, under its name.
        formats: ``svg``, ``pdf`` or ``png``.
        layout: The place on paper.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for kind in formats:
        (folder / f"{drawn.name}.{kind}").write_bytes(picture_of(drawn, kind, layout))


def picture_of(drawn: DrawnFigure, kind: str, layout: Layout, dpi: float | None = None) -> bytes:
    """The figure as a file.

    Args:
        drawn: The figure.
        kind: ``svg``, ``pdf`` or ``png``.
        layout: The place on paper.
        dpi: Dots per inch of ``png``; None: as many as the layout has.

    Returns:
        The bytes of the file.
    """
    with drawing(layout):
        lay_out(drawn.figure)
        buffer = io.BytesIO()
        dates = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind)
        drawn.figure.savefig(buffer, format=kind, metadata=dates, dpi=dpi)
    return buffer.getvalue()


def close(drawn: DrawnFigure) -> None:
    """Let go of the figure, which pyplot holds until then.

    Args:
        drawn: The figure, which nobody draws on or writes any more.
    """
    plt.close(drawn.figure)
