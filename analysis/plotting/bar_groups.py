"""The bars of a study: a group for each number of ranks and each level of what else varies there, in it the configurations."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from analysis.study.configuration_labels import natural, plain
from analysis.study.point_table import factor_row
from analysis.study.strategy_appearance import place
from analysis.study.study import Study
from analysis.study.sweeps import Series, short_labels, sweep

GROUP = ("cluster", "boards", "device")
"""Factors that make a group of their own beside the number of ranks, in this order."""
OF_WORK_OR_STRATEGY = ("model", "task", "mesh.", "option.")
"""Factors that a work or a strategy consists of: no caption says that they go with it."""


@dataclass(frozen=True)
class Bar:
    """One configuration.

    Attributes:
        work: Its model and task.
        group: Its place on the axis: the levels of the factors that make a group, a line each.
        strategy: Its strategy.
        factors: The factors that tell it from others of its strategy in its group.
        rows: Its good repeats, none where it ran out of memory.
        points: The names of its records.
    """

    work: str
    group: str
    strategy: str
    factors: str
    rows: pd.DataFrame
    points: tuple[str, ...]

    @property
    def name(self) -> str:
        """The strategy with those factors."""
        return f"{self.strategy} {self.factors}".strip()


def bars_of(study: Study, kind: str) -> tuple[list[Bar], list[str], list[str]]:
    """All bars of one kind of energy.

    A configuration of which some repeats ran out of memory has the bar of the others.

    Args:
        study: The study.
        kind: The kind of energy.

    Returns:
        The bars: works in their order, groups by ranks, strategies in the order of every figure; the names of the factors that
        make a group; and those that go with group and strategy.
    """
    good = study.points[study.points["kind"] == kind]
    without = [r for r in study.records if r.status == "oom" and r.point.hash not in set(good["hash"])]
    frame = pd.concat([good, pd.DataFrame([factor_row(record) for record in without])], ignore_index=True)
    names = ["ranks"]
    for name in GROUP:
        if name in frame and frame.groupby(names)[name].nunique().max() > 1:
            names.append(name)
    frame = frame.sort_values("ranks", kind="stable")
    works, groups = frame["model"] + ", " + frame["task"], frame[names].map(plain).agg("\n".join, axis=1)
    # Work and group are one factor: what goes with it tells no bars of a group apart.
    together = sweep(frame.assign(place=works + groups), "place", least=1)
    lines = [Series(line.strategy, line.label, frame.loc[line.points.index]) for line in together.series]
    bars = []
    for series, label in zip(lines, short_labels(lines), strict=True):
        factors_text = label.removeprefix(series.strategy).strip()
        for (work, group), rows in series.points.groupby([works, groups], sort=False):
            repeats = rows[rows["samples_per_s"].notna()]
            bars.append(Bar(str(work), str(group), series.strategy, factors_text, repeats, tuple(rows["point"])))
    work_order, group_order = list(works.sort_index().unique()), list(groups.unique())
    bars.sort(
        key=lambda bar: (work_order.index(bar.work), group_order.index(bar.group), place(bar.strategy), natural(bar.factors))
    )
    follow = [name for name in together.follow if not name.startswith(OF_WORK_OR_STRATEGY) and name not in names]
    return bars, names, follow
