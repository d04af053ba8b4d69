"""How figures look: colour and marker of each strategy, hatching of each state; legible in grey."""

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

STYLE = Path(__file__).with_name("edgejoule.mplstyle")

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
STATE_COLOURS = {"compute": "#0072B2", "communicate": "#E69F00", "wait": "#BBBBBB"}
STATE_HATCHES = {"compute": "", "communicate": "////", "wait": "...."}
OTHER_COLOUR, OTHER_MARKER = "#888888", "X"


@dataclass(frozen=True)
class Drawn:
    """A finished figure: its file name, title, caption, and the table behind it."""

    name: str
    title: str
    caption: str
    figure: Figure
    data: pd.DataFrame


def colour(strategy: str) -> str:
    return COLOURS.get(strategy, OTHER_COLOUR)


def marker(strategy: str) -> str:
    return MARKERS.get(strategy, OTHER_MARKER)


@contextlib.contextmanager
def drawing() -> Iterator[None]:
    with plt.style.context(STYLE):
        yield


CROWDED = 8
"""Configurations that one column of a page has room for."""


def shape_for(configurations: int) -> dict[str, Any]:
    """Arguments of ``new_figure``: a column's width, or the page's where there are many configurations side by side."""
    return {"figsize": (7.16, 3.6)} if configurations > CROWDED else {}


def turn_for(configurations: int) -> int:
    """The angle at which names of configurations below an axis do not touch, in degrees."""
    return 90 if configurations > CROWDED else 35 if configurations > 4 else 0


def new_figure(**arguments: Any) -> tuple[Figure, Any]:
    return plt.subplots(**arguments)


def save(drawn: Drawn, folder: Path, formats: Sequence[str]) -> None:
    """Write the figure as each of ``formats``; the same records give the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    with drawing():
        for kind in formats:
            dates = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind, {})
            drawn.figure.savefig(folder / f"{drawn.name}.{kind}", metadata=dates)


def svg_text(drawn: Drawn) -> bytes:
    buffer = io.BytesIO()
    with drawing():
        drawn.figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def close(drawn: Drawn) -> None:
    plt.close(drawn.figure)


def kind_words(kinds: Sequence[str]) -> str:
    """``modelled`` or ``measured``, for axes and captions."""
    return " and ".join(sorted(set(kinds) - {"none"})) or "no"
