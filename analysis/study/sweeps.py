"""Sweeps in a study: lines of points in which one factor varies and everything else is the same.

A factor that goes with the swept one (``campaign.zip``: the batch that shrinks as sequences grow, the hosts that come with the
ranks) does not split a line: it *follows*, and captions name it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from analysis.study.configuration_labels import plain
from analysis.study.point_table import COLUMNS

LEAST_FOR_LINE = 3
"""Levels that a line needs: two would suggest a trend that nobody saw."""
NOT_FACTORS = {*COLUMNS, "steps"} - {"strategy", "model", "task", "ranks", "boards", "cluster"}


@dataclass(frozen=True)
class Series:
    """One line: ``points`` in the order of the swept factor, all repeats.

    ``label`` tells it from the other lines of its sweep and begins with its strategy.
    """

    strategy: str
    label: str
    points: pd.DataFrame


@dataclass(frozen=True)
class Sweep:
    """The lines over factor ``x``, and the factors that follow it."""

    x: str
    series: tuple[Series, ...]
    follow: tuple[str, ...]


def factors(points: pd.DataFrame) -> list[str]:
    """Columns that are factors.

    Args:
        points: Rows of ``analysis/study/point_table.py``.

    Returns:
        Names of columns, in their order.
    """
    return [column for column in points.columns if column not in NOT_FACTORS]


def varied(points: pd.DataFrame) -> list[str]:
    """Factors with more than one level.

    Args:
        points: Rows of ``analysis/study/point_table.py``.

    Returns:
        Names of columns, in their order.
    """
    text = _levels(points)
    return [name for name in factors(points) if text[name].nunique() > 1]


def sweep(points: pd.DataFrame, x: str, least: int = 2) -> Sweep:
    """The lines over one factor. Points without it are on no line.

    Args:
        points: Rows of one work.
        x: The factor.
        least: Levels of it that a line needs.

    Returns:
        The lines in the order of ``points``, each sorted by the factor; none where no point has it.
    """
    points = points[points[x].notna()] if x in points else points.iloc[:0]
    if points.empty:
        return Sweep(x, (), ())
    text = _levels(points)
    others = [name for name in varied(points) if name not in (x, "strategy")]
    follow = [name for name in others if _follows(text, name, x)]
    keys = ["strategy", *(name for name in others if name not in follow)]
    lines: list[tuple[dict[str, str], pd.DataFrame]] = []
    for values, rows in text.groupby(keys, sort=False):
        line = points.loc[rows.index]
        if line[x].nunique() >= least:
            factors_of_line = dict(zip(keys, map(str, values), strict=True))
            lines.append((factors_of_line, line.sort_values([x, "repeat"], kind="stable")))
    apart = [name for name in keys[1:] if len({levels[name] for levels, _ in lines}) > 1]
    series = tuple(Series(levels["strategy"], _label(levels, apart), line) for levels, line in lines)
    return Sweep(x, series, tuple(follow))


def _levels(points: pd.DataFrame) -> pd.DataFrame:
    """Factors as text, so that lists and nulls can be compared."""
    return points[factors(points)].map(lambda value: "" if value is None or value != value else plain(value))


def _follows(text: pd.DataFrame, name: str, x: str) -> bool:
    """Whether ``x`` and the strategy say what ``name`` is."""
    return bool(text.groupby(["strategy", x], sort=False)[name].nunique().max() == 1)


def _label(levels: dict[str, str], apart: list[str]) -> str:
    factors_apart = [f"{name.removeprefix('option.')}={levels[name]}" for name in apart if levels[name]]
    return " ".join([levels["strategy"], *factors_apart])


def short_labels(series: Sequence[Series]) -> list[str]:
    """The strategy of each line, with the factors that tell it from the others of its figure.

    And no more: ranks, not the mesh that follows from them.

    Args:
        series: The lines of one figure, at least one.

    Returns:
        A label for each line, in their order.
    """
    levels = [line.points.iloc[0] for line in series]
    constant = [
        name for name in factors(series[0].points) if all(line.points[name].nunique(dropna=False) == 1 for line in series)
    ]
    texts = [{name: "" if pd.isna(level[name]) else plain(level[name]) for name in constant} for level in levels]
    chosen = ["strategy"]
    for name in sorted(constant, key=lambda name: name.startswith("mesh.")):
        if len({tuple(text[n] for n in (*chosen, name)) for text in texts}) > len(
            {tuple(text[n] for n in chosen) for text in texts}
        ):
            chosen.append(name)
    return [
        " ".join([text["strategy"], *(f"{n.removeprefix('option.')}={text[n]}" for n in chosen[1:] if text[n])])
        for text in texts
    ]
