"""Names in a figure, put where they lie on no other name and on as little else as can be."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.transforms import Bbox
from numpy.typing import NDArray

Array = NDArray[np.float64]
BEHIND = 1
"""Lines of a lower zorder may be covered by names."""


class NamePlacer:
    """Puts names where they lie on no other name, inside the axes, and as little as can be on lines and markers.

    For a figure whose layout is done: every artist that takes room is there and ``draw_without_rendering`` has been called.
    """

    def __init__(self, axes: Axes) -> None:
        self.axes = axes
        self.inside = axes.get_window_extent()
        self.taken: list[Bbox] = []
        shown = [line for line in axes.lines if line.get_zorder() >= BEHIND]
        places = [axes.transData.transform(line.get_xydata()) for line in shown]
        self.markers = np.concatenate([p for p, line in zip(places, shown, strict=True) if line.get_marker() != "None"])
        joined = [_dense(p) for p, line in zip(places, shown, strict=True) if line.get_linestyle() != "None"]
        bars = [c.get_segments() for c in axes.collections if isinstance(c, LineCollection)]
        joined += [_dense(axes.transData.transform(segment)) for segments in bars for segment in segments if len(segment)]
        self.lines = np.concatenate([np.empty((0, 2)), *joined])

    def beside(self, name: str, point: tuple[float, float]) -> bool:
        """Write a name near a data point, with a thin line to it where it is not beside it.

        Args:
            name: The name.
            point: The point in data coordinates.

        Returns:
            False where there is no room.
        """
        anchor = self.axes.transData.transform(point)
        width, height = self._size(name)
        dot_px = rcParams["figure.dpi"] / 72
        spots = []
        for reach in (6, 10, 15, 21, 28, 36):
            for turn in range(16):
                x, y = math.cos(turn * math.pi / 8), math.sin(turn * math.pi / 8)
                spots.append(anchor + np.array([x * (reach * dot_px + width / 2), y * (reach * dot_px + height / 2)]))
        best = self._best(spots, width, height, [0.6 * (index // 16) ** 2 + 0.02 * (index % 16) for index in range(len(spots))])
        if best is None:
            return False
        self._write(name, best)
        half = np.array([width, height]) / 2
        end = np.clip(anchor, best - half, best + half)
        if float(np.hypot(*(end - anchor))) > 10 * dot_px:
            ends = self.axes.transData.inverted().transform([anchor, end])
            self.axes.plot(ends[:, 0], ends[:, 1], color="#888888", linewidth=0.5, zorder=0.9)
        return True

    def along(self, name: str, x: Array, y: Array) -> bool:
        """Write a name on a faint line, which it interrupts, as far to the right as there is room.

        Args:
            name: The name.
            x: The line in data coordinates, rising.
            y: The same of the other axis.

        Returns:
            False where there is no room.
        """
        width, height = self._size(name)
        spots = list(self.axes.transData.transform(np.column_stack([x, y])))[::-1]
        best = self._best(spots, width, height, [0.01 * index for index in range(len(spots))])
        if best is not None:
            self._write(name, best, color="#777777", bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5})
        return best is not None

    def _size(self, name: str) -> tuple[float, float]:
        text = self.axes.text(0, 0, name)
        box = text.get_window_extent()
        text.remove()
        return box.width, box.height

    def _best(self, spots: Iterable[Array], width: float, height: float, costs: Sequence[float]) -> Array | None:
        best, least = None, math.inf
        for spot, cost in zip(spots, costs, strict=True):
            box = Bbox.from_extents(spot[0] - width / 2, spot[1] - height / 2, spot[0] + width / 2, spot[1] + height / 2)
            wide = box.padded(0.12 * height)
            if not _holds(self.inside, wide) or any(wide.overlaps(name_box) for name_box in self.taken):
                continue
            total = cost + 8 * _within(box.padded(0.5 * height), self.markers) + 0.5 * _within(wide, self.lines)
            if total < least:
                best, least = spot, total
        if best is not None:
            self.taken.append(Bbox.from_bounds(best[0] - width / 2, best[1] - height / 2, width, height))
        return best

    def _write(self, name: str, middle: Array, **look: Any) -> None:
        x, y = self.axes.transAxes.inverted().transform(middle)
        text = self.axes.text(x, y, name, transform=self.axes.transAxes, ha="center", va="center", zorder=4, **look)
        text.set_in_layout(False)


def _holds(outer: Bbox, inner: Bbox) -> bool:
    return outer.x0 <= inner.x0 and inner.x1 <= outer.x1 and outer.y0 <= inner.y0 and inner.y1 <= outer.y1


def _within(box: Bbox, points: Array) -> int:
    x, y = points[:, 0], points[:, 1]
    return int(((x > box.x0) & (x < box.x1) & (y > box.y0) & (y < box.y1)).sum())


def _dense(points: Array) -> Array:
    """Points every few pixels along a polyline."""
    pieces = [points[:1]]
    for a, b in itertools.pairwise(points):
        steps = max(2, int(np.hypot(*(b - a)) / 4))
        pieces.append(a + np.linspace(0, 1, steps)[1:, None] * (b - a))
    return np.concatenate(pieces)
