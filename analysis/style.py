"""How figures look: the width of the page that they are for, colour and marker of each strategy, hatching of each state.

Everything is told apart without colour too: series by marker and line, bars by hatching.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.legend import Legend

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Layout:
    """A place on paper: the width of a column and of a page (inches), and the style sheets, which set 8 to 9 pt there."""

    name: str
    column_in: float
    page_in: float
    sheets: tuple[str, ...]


LAYOUTS = {
    # IEEE: 3.5 in and 7.16 in (author centre, size requirements). ACM: \columnwidth and \textwidth of acmart's sigconf.
    "ieee": Layout("ieee", 3.5, 7.16, ("edgejoule.mplstyle", "paper.mplstyle")),
    "acm": Layout("acm", 3.33, 7.0, ("edgejoule.mplstyle", "paper.mplstyle")),
    "wide": Layout("wide", 7.16, 7.16, ("edgejoule.mplstyle",)),
}
IEEE = LAYOUTS["ieee"]

# Okabe and Ito's colours, told apart by people with any colour vision.
COLOURS = {
    "single": "#000000",
    "data": "#0072B2",
    "sequence": "#56B4E9",
    "tensor": "#D55E00",
    "pipeline": "#009E73",
    "hybrid": "#CC79A7",
    "server": "#E69F00",
}
MARKERS = {"single": "s", "data": "o", "sequence": "v", "tensor": "^", "pipeline": "D", "hybrid": "P", "server": "*"}
HATCHES = {
    "single": "",
    "data": "////",
    "sequence": "....",
    "tensor": "\\\\\\\\",
    "pipeline": "xxxx",
    "hybrid": "++++",
    "server": "oo",
}
STATE_COLOURS = {"compute": "#0072B2", "communicate": "#E69F00", "wait": "#BBBBBB"}
STATE_HATCHES = {"compute": "", "communicate": "////", "wait": "...."}
OTHER_COLOUR, OTHER_MARKER, OTHER_HATCH = "#888888", "X", "--"
LINES: tuple[Any, ...] = ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)))
MORE_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*")


@dataclass(frozen=True)
class Drawn:
    """A finished figure: its file name, title, caption, and the table behind it, with units at the end of its columns' names.

    The caption says what is shown, n, the interval and its method, and whether energy is measured or modelled. ``points`` are
    the names of the records that it was drawn from; empty: all good ones of the study."""

    name: str
    title: str
    caption: str
    figure: Figure
    data: pd.DataFrame
    points: tuple[str, ...] = ()


def colour(strategy: str) -> str:
    return COLOURS.get(strategy, OTHER_COLOUR)


def marker(strategy: str) -> str:
    return MARKERS.get(strategy, OTHER_MARKER)


def hatch(strategy: str) -> str:
    return HATCHES.get(strategy, OTHER_HATCH)


def line_styles(strategies: Sequence[str]) -> list[dict[str, Any]]:
    """Arguments of ``plot`` for lines, one for each: colour and marker of its strategy, and where one strategy has several
    lines, another dash and marker for each."""
    seen: dict[str, int] = {}
    found = []
    for strategy in strategies:
        number = seen.get(strategy, 0)
        seen[strategy] = number + 1
        shape = marker(strategy) if number == 0 else MORE_MARKERS[number % len(MORE_MARKERS)]
        found.append({"color": colour(strategy), "marker": shape, "linestyle": LINES[number % len(LINES)]})
    return found


@contextlib.contextmanager
def drawing(layout: Layout) -> Iterator[None]:
    """Everything made inside, axes above all, has the layout's fonts and lines."""
    with plt.style.context([HERE / sheet for sheet in layout.sheets]):
        yield


CROWDED = 8
"""Configurations that one column of a page has room for."""


def crowded(configurations: int, layout: Layout) -> bool:
    return configurations > CROWDED * layout.column_in / IEEE.column_in


def turn_for(configurations: int, layout: Layout) -> int:
    """The angle at which names of configurations below an axis do not touch, in degrees."""
    room = layout.page_in if crowded(configurations, layout) else layout.column_in
    return 90 if configurations > 2.2 * room else 35 if configurations > 1.2 * room else 0


def new_figure(layout: Layout, height_in: float = 2.6, page: bool = False, **arguments: Any) -> tuple[Figure, Any]:
    """``plt.subplots`` at the width of the column, or of the page. Inside ``drawing`` only."""
    return plt.subplots(figsize=(layout.page_in if page else layout.column_in, height_in), **arguments)


def legend_above(figure: Figure, handles: Sequence[Any], labels: Sequence[str], title: str | None = None) -> Legend:
    """A legend above the axes with as many columns as the figure's width has room for."""
    wide_px = figure.bbox.width
    for columns in range(max(1, len(handles)), 0, -1):
        legend = figure.legend(handles, labels, loc="outside upper center", ncols=columns, title=title)
        if columns == 1 or legend.get_window_extent().width <= 0.98 * wide_px:
            return legend
        legend.remove()
    raise AssertionError("one column is always taken")


def energy_label(kind: str, what: str = "Energy per sample (J)") -> str:
    """An axis of energy says whether it was measured or modelled."""
    return f"{what}, {kind}"


def save(drawn: Drawn, folder: Path, formats: Sequence[str], layout: Layout) -> None:
    """Write the figure as each of ``formats``; the same records give the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    with drawing(layout):
        for kind in formats:
            dates = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind, {})
            drawn.figure.savefig(folder / f"{drawn.name}.{kind}", metadata=dates)


def svg_text(drawn: Drawn, layout: Layout) -> bytes:
    buffer = io.BytesIO()
    with drawing(layout):
        drawn.figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def close(drawn: Drawn) -> None:
    plt.close(drawn.figure)
