"""The figures of a page by section: a figure says itself in which it stands (``analysis/plotting/figure_registry.py``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from analysis.plotting.figure_registry import in_order


class Sectioned(Protocol):
    """Anything that has a section."""

    @property
    def section(self) -> str:
        """The title of its section."""


Figure = TypeVar("Figure", bound=Sectioned)


def grouped(figures: Sequence[Figure]) -> list[tuple[str, list[Figure]]]:
    """Figures by section.

    Args:
        figures: In the order that they keep inside of their sections.

    Returns:
        Title and figures of each section, in the order of the page. There are no empty sections.
    """
    return [(title, [f for f in figures if f.section == title]) for title in in_order(figure.section for figure in figures)]
