"""The places on paper that figures are made for: the width of a column and of a page. Imports nothing that draws."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Layout:
    """A place on paper.

    Attributes:
        name: The word of ``--column``.
        column_in: The width of a column, inches.
        page_in: The width of a page, inches.
        sheets: The style sheets, which set 8 to 9 pt there.
    """

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
