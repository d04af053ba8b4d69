"""Signs beside the markers of a scatter: the ranks of a configuration, or the number of its name in a key."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.transforms import Bbox
from numpy.typing import NDArray

Array = NDArray[np.float64]
LONGEST_KEY = 16
MARKER_PT, DOT_PT = 4.0, 1.2
RADII_PT = (4.0, 9.0, 14.0, 20.0, 27.0)
LEADER_FROM_PT = 9.0
DIRECTIONS = 16
APART_PT = 2.0
CLEAR = 1.5
"""How many times as far as its own marker any other one is, where there is room for that."""


@dataclass(frozen=True)
class MarkerSigns:
    """``texts`` has one for each configuration, or none where the legend names them all. ``note`` is for the caption."""

    texts: tuple[str, ...]
    names: tuple[tuple[str, str], ...]
    note: str

    def key(self) -> list[Line2D]:
        """Legend entries that say what each sign stands for."""
        return [Line2D([], [], linestyle="none", label=f"{sign}: {name}") for sign, name in self.names]


def marker_signs(configurations: Sequence[tuple[str, str]]) -> MarkerSigns:
    """The signs of configurations.

    None where each strategy has one configuration; the number of ranks where only that tells those of a strategy apart;
    otherwise the number in a key, and none where the key would be too long.

    Args:
        configurations: Name and strategy of each.

    Returns:
        The signs, in the same order, the key to them and a sentence for the caption.
    """
    strategies = [strategy for _, strategy in configurations]
    if len(set(strategies)) == len(strategies):
        return MarkerSigns((), (), "")
    factors = [name.split()[1:] for name, _ in configurations]
    shared = set.intersection(*(set(factor_list) for factor_list in factors if factor_list))
    rests = [" ".join(factor for factor in factor_list if factor not in shared) for factor_list in factors]
    if all(rest == "" or (rest.startswith("n=") and " " not in rest) for rest in rests):
        return MarkerSigns(tuple(rest.removeprefix("n=") for rest in rests), (), "Numbers beside the markers are ranks. ")
    known = list(dict.fromkeys(rest for rest in rests if rest))
    if len(known) > LONGEST_KEY:
        return MarkerSigns(tuple("" for _ in rests), (), "The table behind the figure names every configuration. ")
    signs = {rest: str(number) for number, rest in enumerate(known, 1)}
    return MarkerSigns(tuple(signs.get(rest, "") for rest in rests), tuple((signs[rest], rest) for rest in known), "")


def place_signs(axes: Axes, covered: Sequence[Sequence[tuple[float, float]]], texts: Sequence[str]) -> list[int]:
    """Write each text beside its marker, on no marker and on no other text, farther off with a line to it where it is crowded.

    After everything that the layout depends on.

    Args:
        axes: The axes of the scatter.
        covered: The places of each configuration in data coordinates, its marker's first.
        texts: The text of each configuration; empty ones are not written.

    Returns:
        The indices of those that found no room.
    """
    if not any(texts):
        return []
    figure: Any = axes.figure
    figure.draw_without_rendering()
    px = figure.dpi / 72
    centres = [axes.transData.transform(places[0]) for places in covered]
    dots = np.concatenate([axes.transData.transform(places)[1:] for places in covered])
    occupied = [*_around(np.array(centres), MARKER_PT * px), *_around(dots, DOT_PT * px)]
    inside, untold = axes.get_window_extent().padded(-2), []
    for index, text in enumerate(texts):
        if not text:
            continue
        annotation = axes.annotate(
            text, covered[index][0], xytext=(0, 0), textcoords="offset points", ha="center", va="center", zorder=5
        )
        box = annotation.get_window_extent()
        room = _room(centres, index, (box.width, box.height), px, inside, np.array(occupied))
        if room is None:
            annotation.remove()
            untold.append(index)
        else:
            occupied.append(room[0].padded(APART_PT * px).extents)  # 2 beside 4 is not 24
            _settle(annotation, *room[1:])
    return untold


def _room(
    centres: Sequence[Any], index: int, size: tuple[float, float], px: float, inside: Bbox, occupied: Array
) -> tuple[Bbox, float, float, bool] | None:
    """The first free place, as a box and in points from the marker; among those as near, one that no other marker is near."""
    width, height = size
    for clear in (CLEAR, 0.0):
        for dx, dy, far in _offsets(width / px, height / px):
            x, y = centres[index][0] + dx * px, centres[index][1] + dy * px
            box = Bbox.from_bounds(x - width / 2, y - height / 2, width, height)
            distance = math.hypot(dx, dy) * px
            others = (math.hypot(x - cx, y - cy) for number, (cx, cy) in enumerate(centres) if number != index)
            lonely = far or all(neighbour >= clear * distance for neighbour in others)
            if lonely and _contains(inside, box) and not _overlaps(box, occupied):
                return box, dx, dy, far
    return None


def _settle(text: Any, dx: float, dy: float, far: bool) -> None:
    text.set_position((dx, dy))
    if far:
        line = {"arrowstyle": "-", "linewidth": 0.4, "color": "#777777", "shrinkA": 0, "shrinkB": MARKER_PT - 1}
        held = text.axes.annotate("", text.xy, xytext=(0.8 * dx, 0.8 * dy), textcoords="offset points", arrowprops=line)
        held.set_zorder(2)


def _around(centres: Array, radius: float) -> Array:
    """Boxes [n, 4] around places [n, 2]: left, bottom, right, top."""
    return np.hstack([centres - radius, centres + radius])


def _overlaps(box: Bbox, boxes: Array) -> bool:
    lefts, bottoms, rights, tops = boxes.T
    return bool(np.any((lefts <= box.x1) & (box.x0 <= rights) & (bottoms <= box.y1) & (box.y0 <= tops)))


def _offsets(width: float, height: float) -> Iterator[tuple[float, float, bool]]:
    """Where the middle of a text may be, in points from its marker: near first, right of it first."""
    for radius in RADII_PT:
        far = radius > LEADER_FROM_PT
        for step in range(DIRECTIONS):
            turn = (step + 1) // 2 * (1 if step % 2 else -1) * 2 * math.pi / DIRECTIONS + math.pi / 4
            across, up = math.cos(turn), math.sin(turn)
            yield across * (radius + MARKER_PT / 2 + width / 2), up * (radius + MARKER_PT / 2 + height / 2), far


def _contains(outer: Bbox, inner: Bbox) -> bool:
    return outer.x0 <= inner.x0 and inner.x1 <= outer.x1 and outer.y0 <= inner.y0 and inner.y1 <= outer.y1
