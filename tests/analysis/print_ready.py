"""What a figure must be to go into a paper as it is: its width, its letters, nothing on top of anything, told apart in grey."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import Collection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from analysis.plotting.figure_style import DrawnFigure, drawing
from analysis.plotting.page_layouts import Layout

TOUCH_PX = 1.0
LEAST_PT, MOST_PT = 8.0, 9.0
NOTHING = ("None", "none", "", " ")
GREY_STEP = 0.2
"""How far apart two tones must be, of 1 from black to white, to be told apart on paper without anything else."""


def assert_print_ready(drawn: DrawnFigure, layout: Layout, unitless: tuple[str, ...] = ()) -> None:
    """``unitless``: labels of axes that have no unit (counts, names of things, shares given as such)."""
    with drawing(layout):  # fonts are looked up when text is measured
        _assert_ready(drawn, layout, unitless)


def _assert_ready(drawn: DrawnFigure, layout: Layout, unitless: tuple[str, ...]) -> None:
    assert drawn.figure.get_figwidth() in (layout.column_in, layout.page_in), drawn.name
    assert drawn.figure.get_figheight() <= 9.0, "a column of a page is 9 in high"
    drawn.figure.draw_without_rendering()
    sizes = {text.get_text(): text.get_fontsize() for text in shown_texts(drawn.figure)}
    small = {text: size for text, size in sizes.items() if not LEAST_PT <= size <= MOST_PT}
    assert not small, f"{drawn.name}: {small}"
    assert overlaps(drawn.figure) == [], drawn.name
    for label in axis_labels(drawn.figure):
        assert "(" in label or label in unitless, f"{drawn.name}: the axis {label!r} has no unit"
    assert_grey_safe(drawn)
    assert drawn.caption
    assert not drawn.data.empty


def overlaps(figure: Figure) -> list[str]:
    """Texts that lie on each other, on a legend, or beyond the edge of the figure."""
    texts = [(text.get_text(), corners(text), text.get_window_extent()) for text in shown_texts(figure)]
    found = [
        f"{a!r} on {b!r}"
        for (a, one, box), (b, other, around) in itertools.combinations(texts, 2)
        if _touch(box, around) and turned_touch(one, other)
    ]
    edge = figure.bbox
    for name, _, box in texts:
        if (
            box.x0 < edge.x0 - TOUCH_PX
            or box.x1 > edge.x1 + TOUCH_PX
            or box.y0 < edge.y0 - TOUCH_PX
            or box.y1 > edge.y1 + TOUCH_PX
        ):
            found.append(f"{name!r} is cut off at the edge")
    for legend in (legend for holder in (figure, *figure.axes) for legend in _legends(holder)):
        box = legend.get_window_extent()
        for axes in figure.axes:
            if axes.get_visible() and axes.axison and _touch(box, axes.get_window_extent()):
                found.append("a legend lies on the data")
    return found


def corners(text: Text) -> np.ndarray:  # type: ignore[type-arg]
    """The corners of the box that the text fills, turned as the text is: [4, 2], in pixels, one after the other."""
    flat = copy.copy(text)
    flat.set_rotation(0)
    flat.set_transform_rotates_text(False)
    size, around = flat.get_window_extent().size, text.get_window_extent()
    middle = np.array([(around.x0 + around.x1) / 2, (around.y0 + around.y1) / 2])
    turn = np.deg2rad(text.get_rotation())
    spin = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    found: np.ndarray = middle + (np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * size / 2) @ spin  # type: ignore[type-arg]
    return found


def turned_touch(one: np.ndarray, other: np.ndarray) -> bool:  # type: ignore[type-arg]
    """Whether two turned boxes overlap: not if along the side of one of them a gap lies between them (separating axes)."""
    for box in (one, other):
        for side in (box[1] - box[0], box[2] - box[1]):
            along = side / np.hypot(*side)
            a, b = one @ along, other @ along
            if min(a.max(), b.max()) - max(a.min(), b.min()) <= TOUCH_PX:
                return False
    return True


@dataclass(frozen=True)
class Look:
    """What an entry of a legend looks like: its colours, and what remains of it in grey."""

    label: str
    colours: tuple[tuple[float, ...], ...]
    shapes: tuple[str, ...]
    tone: float


def assert_grey_safe(drawn: DrawnFigure) -> None:
    """Entries of a legend that differ in colour differ in marker, dash or hatch too, or are clearly lighter or darker."""
    figure = drawn.figure
    for legend in (legend for holder in (figure, *figure.axes) for legend in _legends(holder)):
        for one, other in itertools.combinations(looks(legend), 2):
            alike = one.shapes == other.shapes and abs(one.tone - other.tone) < GREY_STEP
            assert one.colours == other.colours or not alike, (
                f"{drawn.name}: {one.label!r} and {other.label!r} differ only in colour"
            )


def looks(legend: Legend) -> list[Look]:
    """Of each entry, all artists in it: a line with its marker, caps and bar are several."""
    columns = legend._legend_handle_box.get_children()  # type: ignore[attr-defined]
    found = []
    for entry in (entry for column in columns for entry in column.get_children()):
        box, text = entry.get_children()
        parts = [_part(artist) for artist in box.get_children()]
        shapes = tuple(shape for shape, _ in parts)
        colours = tuple(tuple(float(value) for value in to_rgba(colour)) for _, colour in parts)
        found.append(Look(text.get_text(), colours, shapes, min(map(grey, colours), default=1.0)))
    return found


def _part(artist: Artist) -> tuple[str, Any]:
    """What an artist looks like without its colour, and its colour."""
    if isinstance(artist, Line2D):
        marker, line = str(artist.get_marker()), artist.get_linestyle() not in NOTHING
        filled = marker not in NOTHING and to_rgba(artist.get_markerfacecolor())[3] > 0
        dash = artist._dash_pattern if line else ""  # type: ignore[attr-defined]
        return f"{marker} {dash} {'filled' if filled else 'open'}", artist.get_color()
    if isinstance(artist, Patch):
        return f"{artist.get_hatch()} {artist.get_fill()}", artist.get_facecolor()
    assert isinstance(artist, Collection), f"{type(artist).__name__} in a legend is not known here"
    paths = [path.vertices.round(3).tolist() for path in artist.get_paths()]
    colours = [*artist.get_facecolor(), *artist.get_edgecolor(), (0, 0, 0, 0)]
    return f"{paths} {artist.get_hatch()} {artist.get_linestyle()}", colours[0]


def grey(colour: tuple[float, ...]) -> float:
    """How light a colour is on white paper, from black (0) to white (1), by the luma of ITU-R BT.601."""
    red, green, blue, alpha = colour
    return 1 - alpha * (1 - (0.299 * red + 0.587 * green + 0.114 * blue))


def shown_texts(figure: Figure) -> Iterator[Text]:
    """Everything that can be read, but axis ticks outside of their range."""
    hidden = {id(text) for axes in figure.axes for text in _ticks_out_of_sight(axes)}
    off = {id(text) for axes in figure.axes if not axes.get_visible() for text in axes.findobj(Text)}
    for text in figure.findobj(Text):
        if (
            text.get_visible()
            and text.get_text().strip()
            and id(text) not in hidden | off
            and not _in_hidden_axis(text, figure)
        ):
            yield text


def axis_labels(figure: Figure) -> list[str]:
    labels = [label for axes in figure.axes if axes.get_visible() for label in (axes.get_xlabel(), axes.get_ylabel())]
    labels += [text.get_text() for text in (figure._supxlabel, figure._supylabel) if text is not None]  # type: ignore[attr-defined]
    return [label for label in labels if label]


def _ticks_out_of_sight(axes: Axes) -> Iterator[Text]:
    for axis, (low, high) in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
        low, high = min(low, high), max(low, high)
        slack = 1e-9 * max(abs(low), abs(high))
        for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
            inside = low - slack <= tick.get_loc() <= high + slack
            for text, on in ((tick.label1, tick.label1.get_visible()), (tick.label2, tick.label2.get_visible())):
                if not inside or not on or not axis.get_visible():
                    yield text


def _in_hidden_axis(text: Text, figure: Figure) -> bool:
    return any(not axes.axison and text in (*axes.get_xticklabels(), *axes.get_yticklabels()) for axes in figure.axes)


def _legends(holder: Figure | Axes) -> list:  # type: ignore[type-arg]
    if isinstance(holder, Figure):
        return list(holder.legends)
    return [holder.get_legend()] if holder.get_legend() is not None else []


def _touch(one: Bbox, other: Bbox) -> bool:
    across = min(one.x1, other.x1) - max(one.x0, other.x0)
    up = min(one.y1, other.y1) - max(one.y0, other.y0)
    return across > TOUCH_PX and up > TOUCH_PX
