"""How much each board that joins adds to the joules and to the time of a sample.

These are differences of medians along nested sets of hosts.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from analysis.statistics.scaling_bounds import Line, lines_of, medians
from analysis.study.comparability import works
from analysis.study.study import Study
from analysis.study.sweeps import Sweep

COSTS = ("per_sample_J", "seconds_per_sample")
UNITS = {"per_sample_J": "J", "seconds_per_sample": "s"}
COLUMNS = (
    *("kind", "model", "task", "strategy", "boards", "added", "ranks"),
    *("per_sample_J", "added_J_per_sample", "seconds_per_sample", "added_s_per_sample", "n", "note"),
)


def marginal_costs(study: Study) -> pd.DataFrame:
    """The costs that each board adds: one row for each board of each line, beginning with the first alone.

    Args:
        study: Of its good points those on lines of nested sets of hosts count.

    Returns:
        ``COLUMNS``, no rows where no line is of nested sets of hosts. ``boards`` is their number, ``per_sample_J`` and
        ``seconds_per_sample`` are medians of ``n`` repeats, ``added_...`` their differences from the row before: null for the
        first. ``note`` says where the ranges of the two overlap (intervals where both have one), so that a difference is not
        shown.
    """
    classes, parts = board_classes(study), []
    for work in works(study.points):
        for line in nested_lines(work.points)[0]:
            parts.append(_costs_of_line(line, classes).assign(kind=work.kind))
    columns = list(COLUMNS)
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def _costs_of_line(line: Line, classes: Mapping[str, str]) -> pd.DataFrame:
    rows = board_rows(line)
    levels = medians(rows, "boards", COSTS)
    first = rows.drop_duplicates("boards").set_index("boards")
    levels["added"] = [", ".join(with_class(name, classes) for name in names) for names in joining_hosts(line)]
    levels["ranks"] = levels["boards"].map(first["ranks"])
    levels["note"] = _notes(levels, rows, alone=not line.base.empty)
    for column in COSTS:
        levels[column] = levels[f"median_{column}"].astype(float)
    levels["added_J_per_sample"] = levels["per_sample_J"].diff()
    levels["added_s_per_sample"] = levels["seconds_per_sample"].diff()
    return levels.assign(model=rows["model"].iloc[0], task=rows["task"].iloc[0], strategy=line.label)


def nested_lines(points: pd.DataFrame) -> tuple[list[Line], Sweep]:
    """Lines over the number of ranks on which hosts join and none leaves, and their sweep.

    The single process begins a line if it ran on a host that all of its levels have.

    Args:
        points: Rows of one work.

    Returns:
        The lines and their sweep; no lines where the points have no column ``hosts``.
    """
    if "hosts" not in points:
        return [], Sweep("ranks", (), ())
    candidates, swept = lines_of(points)
    lines = []
    for line in candidates:
        first = hosts_of(line.points.sort_values("ranks")["hosts"].iloc[0])
        fits = all(set(hosts_of(hosts)) < set(first) for hosts in line.base["hosts"])
        line = line if fits else replace(line, base=line.base.iloc[:0])
        sets = [{frozenset(hosts_of(hosts)) for hosts in level["hosts"]} for _, level in line.all.groupby("ranks")]
        one_each = all(len(level) == 1 for level in sets)
        if len(sets) > 1 and one_each and all(min(a) < min(b) for a, b in itertools.pairwise(sets)):
            lines.append(line)
    return lines, swept


def board_rows(line: Line) -> pd.DataFrame:
    """All repeats of a line by their boards.

    Args:
        line: Its points have ``hosts`` and ``samples_per_s``.

    Returns:
        The rows with ``boards`` (their number) and ``seconds_per_sample`` (s) added.
    """
    rows = line.all
    boards = rows["hosts"].map(lambda hosts: len(hosts_of(hosts)))
    return rows.assign(boards=boards, seconds_per_sample=1 / rows["samples_per_s"])


def hosts_of(text: Any) -> list[str]:
    """The hosts of a cell of the column ``hosts``.

    Args:
        text: Names with commas between them.

    Returns:
        The names in their order.
    """
    return str(text).split(",")


def joining_hosts(line: Line) -> list[list[str]]:
    """The hosts that are new at each level.

    Args:
        line: Of nested sets of hosts.

    Returns:
        A list for each number of ranks, rising; at the first level all of its hosts.
    """
    levels = [hosts_of(rows["hosts"].iloc[0]) for _, rows in line.all.groupby("ranks")]
    return [levels[0], *([host for host in b if host not in a] for a, b in itertools.pairwise(levels))]


def board_classes(study: Study) -> dict[str, str]:
    """The board class of every host that a record describes.

    Args:
        study: Its good records count.

    Returns:
        The class by the name of the host; hosts of no class are left out.
    """
    hosts = [host for record in study.good for host in record.environment.hosts or ()]
    return {host.host: host.board for host in hosts if host.board}


def with_class(host: str, classes: Mapping[str, str]) -> str:
    """A host as tables name it, with its board class.

    Args:
        host: Its name.
        classes: The board class by the name of the host.

    Returns:
        ``pi-1 (raspberry-pi-5)``, and the name alone where the class is not known.
    """
    return f"{host} ({classes[host]})" if host in classes else host


def _notes(levels: pd.DataFrame, rows: pd.DataFrame, alone: bool) -> list[str]:
    notes = []
    ranges = {column: [_range(levels.iloc[index], rows, column) for index in range(len(levels))] for column in COSTS}
    for index in range(len(levels)):
        remarks = ["the single process"] if alone and index == 0 else []
        if index and max(levels["n"].iloc[index - 1 : index + 1]) == 1:
            remarks.append("one repeat each: the spread is unknown")
        elif index:
            remarks += [
                f"ranges of {UNITS[column]} overlap" for column in COSTS if _overlap(*ranges[column][index - 1 : index + 1])
            ]
        notes.append("; ".join(remarks))
    return notes


def _range(level: pd.Series, rows: pd.DataFrame, column: str) -> tuple[float, float] | None:
    """The interval of a level, else the range of its repeats; None where they have no value."""
    values = rows[rows["boards"] == level["boards"]][column]
    if values.isna().any():
        return None
    low, high = level[f"low_{column}"], level[f"high_{column}"]
    return (values.min(), values.max()) if pd.isna(low) else (low, high)


def _overlap(one: tuple[float, float] | None, other: tuple[float, float] | None) -> bool:
    return one is not None and other is not None and one[0] <= other[1] and other[0] <= one[1]
