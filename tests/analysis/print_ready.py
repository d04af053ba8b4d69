"""What a figure must be to go into a paper as it is: its width, its letters, nothing on top of anything, told apart in grey."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from analysis.style import Drawn, Layout

TOUCH_PX = 1.0
LEAST_PT, MOST_PT = 8.0, 9.0


def assert_print_ready(drawn: Drawn, layout: Layout, unitless: tuple[str, ...] = ()) -> None:
    """``unitless``: labels of axes that have no unit (counts, names of things, shares given as such)."""
    assert drawn.figure.get_figwidth() in (layout.column_in, layout.page_in), drawn.name
    assert drawn.figure.get_figheight() <= 9.0, "a column of a page is 9 in high"
    drawn.figure.draw_without_rendering()
    sizes = {text.get_text(): text.get_fontsize() for text in shown_texts(drawn.figure)}
    small = {text: size for text, size in sizes.items() if not LEAST_PT <= size <= MOST_PT}
    assert not small, f"{drawn.name}: {small}"
    assert overlaps(drawn.figure) == [], drawn.name
    for label in axis_labels(drawn.figure):
        assert "(" in label or label in unitless, f"{drawn.name}: the axis {label!r} has no unit"
    assert drawn.caption
    assert not drawn.data.empty


def overlaps(figure: Figure) -> list[str]:
    """Texts that lie on each other, on a legend, or beyond the edge of the figure."""
    boxes = [(text.get_text(), text.get_window_extent()) for text in shown_texts(figure)]
    found = [f"{a!r} on {b!r}" for (a, one), (b, other) in itertools.combinations(boxes, 2) if _touch(one, other)]
    edge = figure.bbox
    for name, box in boxes:
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
