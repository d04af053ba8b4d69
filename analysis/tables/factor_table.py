"""Factors and levels: what a study varied, what went with it, and what it kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from analysis.study.configuration_labels import plain
from analysis.study.study import Study
from analysis.study.sweeps import factors
from analysis.tables.table import Column, Table, is_missing
from analysis.tables.table_registry import TableOptions, study_table

FIRST = ("strategy", "model", "ranks")
LAST = ("cluster", "hosts", "boards", "task")
"""Factors that follow from others in most studies: they are asked last whether they tell points apart."""
MOST_LEVELS = 12


@study_table("factors", order=70)
def factor_table(study: Study, options: TableOptions) -> Table:
    """Each factor with its levels. ``varied``: it tells points apart; ``follows``: with those, nothing new; ``fixed``.

    Args:
        study: The study that the report is about.
        options: Choices of the report; none matters here.

    Returns:
        Columns ``factor``, ``role``, ``levels`` (their number), ``values``, ``strategies``; no rows without points.
    """
    points = study.points
    text = points[factors(points)].map(level) if len(points) else points
    names = [name for name in factors(points) if len(points) and (text[name] != "").any()]
    varied = varied_factors(text[names]) if len(points) else []
    rows = []
    for name in names:
        levels = _ordered(points[name])
        strategies_with = sorted(set(text["strategy"][text[name] != ""]))
        only = len(strategies_with) < text["strategy"].nunique() and name != "strategy"
        role = "varied" if name in varied else "fixed" if len(levels) == 1 else "follows"
        rows.append(
            {
                "factor": name.removeprefix("option."),
                "role": role,
                "levels": len(levels),
                "values": _values(levels),
                "strategies": ", ".join(strategies_with) if only else "all",
            }
        )
    rows.sort(key=lambda row: ("varied", "follows", "fixed").index(row["role"]))
    data = pd.DataFrame(rows, columns=["factor", "role", "levels", "values", "strategies"])
    return Table("factors", "Factors and levels", _caption(len(points)), COLUMNS, data)


COLUMNS = (
    Column("factor", "Factor"),
    Column("role", "Role"),
    Column("levels", "Levels", kind="number"),
    Column("values", "Values"),
    Column("strategies", "Strategies"),
)


def _caption(points: int) -> str:
    return (
        f"Of {points} valid points. Varied factors tell configurations apart; the levels of those that follow are given by "
        "these; fixed ones have one level wherever they apply. Repeats are no factor."
    )


def varied_factors(text: pd.DataFrame) -> list[str]:
    """The fewest factors, in their order, that tell apart whatever all of them do.

    Args:
        text: The levels as text: a row for each point, a column for each factor.

    Returns:
        Names of factors.
    """
    names = [str(name) for name in text]
    order = [name for name in FIRST if name in names]
    order += [name for name in names if name not in (*FIRST, *LAST) and not name.startswith(("mesh.", "option."))]
    order += [name for prefix in ("mesh.", "option.") for name in names if name.startswith(prefix)]
    order += [name for name in LAST if name in names]
    chosen: list[str] = []
    parts = 1
    for name in order:
        combinations = len(text[[*chosen, name]].drop_duplicates())
        if combinations > parts:
            chosen, parts = [*chosen, name], combinations
    return chosen


def level(value: Any) -> str:
    """A value as text: whole numbers in full, nothing for null.

    Args:
        value: A value of a data frame.

    Returns:
        The text.
    """
    if is_missing(value):
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return f"{value:g}" if abs(value) >= 1e6 and float(f"{value:g}") == value else f"{value:.0f}"
    return plain(value)


def _ordered(values: pd.Series) -> list[str]:
    """Levels: numbers by size, others as they came."""
    known = [value for value in dict.fromkeys(values) if not is_missing(value)]
    if all(isinstance(value, (int, float)) for value in known):
        known.sort()
    return list(dict.fromkeys(level(value) for value in known))


def _values(levels: Sequence[str]) -> str:
    more = len(levels) - MOST_LEVELS
    shown = ("; " if any("," in level for level in levels) else ", ").join(levels[:MOST_LEVELS])
    return shown if more <= 0 else f"{shown} and {more} more"
