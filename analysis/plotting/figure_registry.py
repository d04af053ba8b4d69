"""The figures of a report. Each registers itself with its name, its section on the page and its place among the figures.

In the file of a figure:

    @report_figure("energy_time", section="Trade-off", order=10)
    def draw(study: Study, layout: Layout) -> list[DrawnFigure]: ...

Built-in ones lie in ``analysis/figures``; others come from a folder of ``EDGEJOULE_PLUGINS`` or from the entry point group
``edgejoule.figures`` of an installed distribution (``strategies/common/registry.py``).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeAlias

from analysis.plotting.page_layouts import Layout
from strategies.common.registry import Registry

if TYPE_CHECKING:  # drawing libraries take a second to import, and whoever lists figures draws none
    from analysis.plotting.figure_style import DrawnFigure
    from analysis.study.study import Study

Draw: TypeAlias = "Callable[[Study, Layout], list[DrawnFigure]]"
SECTIONS = (
    "Trade-off",
    "Bars",
    "Scaling",
    "Network",
    "Time and energy",
    "Failures",
    "Memory and traffic",
    "Learning",
    "Sensitivity",
    "Quality",
)
"""The sections of the page in their order. A section that is not among them comes after them."""


class ReportFigure:
    """One kind of figure: called with a study and a layout it draws its figures, none where the study has nothing for it.

    Attributes:
        name: Its name in the registry, which the names of its files begin with where they can.
        section: The title of its section on the page.
        order: Its place among all figures, the lowest first.
    """

    def __init__(self, draw: Draw, name: str, section: str, order: float) -> None:
        functools.update_wrapper(self, draw)  # its module too, by which the registry tells two figures of one name apart
        self.draw, self.name, self.section, self.order = draw, name, section, order

    def __call__(self, study: Study, layout: Layout) -> list[DrawnFigure]:
        """Draw the figures of ``study`` at the widths of ``layout``."""
        return self.draw(study, layout)


FIGURES: Registry[ReportFigure] = Registry(
    "figure", "analysis.figures", "edgejoule.figures", order=lambda figure: (figure.order, figure.name)
)


def report_figure(name: str, *, section: str, order: float) -> Callable[[Draw], ReportFigure]:
    """Register the decorated function as a figure of every report.

    Args:
        name: Its name, which no other figure has.
        section: The title of its section on the page: one of ``SECTIONS``, or a new one, which comes after those.
        order: Its place among all figures, the lowest first; the built-in ones have multiples of ten.

    Returns:
        The decorator. What it makes of the function is still called like it.

    Raises:
        ValueError: Another module registered a figure of this name.
    """

    def registered(draw: Draw) -> ReportFigure:
        return FIGURES.register(ReportFigure(draw, name, section, order))

    return registered


def report_figures() -> tuple[ReportFigure, ...]:
    """Every figure, built in or plugged in, in the order of a report."""
    return tuple(FIGURES.all().values())


def in_order(sections: Iterable[str]) -> list[str]:
    """Titles of sections, each once, in the order of the page; those that ``SECTIONS`` does not have as they come, last.

    Args:
        sections: Titles, with repetitions, as the figures come.

    Returns:
        The titles in order.
    """
    titles = list(dict.fromkeys(sections))
    return [*(title for title in SECTIONS if title in titles), *(title for title in titles if title not in SECTIONS)]
