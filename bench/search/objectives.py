"""What a point came to as numbers to minimise: for the search, and as the value of Hydra's task for any other sweeper."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from bench.campaign.point_history import Result, read_history
from bench.config.point_config import PointConfig
from bench.search.pareto_front import Objectives, medians

UNKNOWN = math.inf
"""Of a point without a valid result, and of joules that were not measured: worse than any number."""
UNITS = {"step_s": "s/step", "sample_s": "s/sample", "sample_J": "J/sample"}


def of_result(result: Result, names: Sequence[str]) -> Objectives | None:
    """The objectives of one repeat.

    Args:
        result: How it ended.
        names: Keys of UNITS.

    Returns:
        A positive number for each name; null where the repeat is not ok or one of them is not known.
    """
    if result.status != "ok":
        return None
    sample_s = None if result.samples_per_s is None else 1 / result.samples_per_s
    values = {"step_s": result.step_s, "sample_s": sample_s, "sample_J": result.per_sample_J}
    known = tuple(value for name in names if (value := values[name]) is not None and value > 0)
    return known if len(known) == len(names) else None


def of_repeats(results: Iterable[Result], names: Sequence[str]) -> list[Objectives]:
    """The objectives of those repeats that have them.

    Args:
        results: The repeats of one configuration.
        names: Keys of UNITS.

    Returns:
        Those of each repeat that is ok.
    """
    return [one for result in results if (one := of_result(result, names)) is not None]


def task_value(point: PointConfig, repeats: int, results: Path, names: Sequence[str]) -> Objectives:
    """The value of Hydra's task function for one point that ran.

    Args:
        point: The point.
        repeats: How many of its repeats count.
        results: The folder of all studies.
        names: Keys of UNITS.

    Returns:
        The median over the repeats that are ok of each objective; UNKNOWN for one that no repeat has.
    """
    history = read_history([point], repeats, results).values()
    each = (of_repeats(history, [name]) for name in names)
    return tuple(medians(values)[0] if values else UNKNOWN for values in each)


def unknown(names: Sequence[str]) -> Objectives:
    """The value of Hydra's task function for a combination that cannot run.

    Args:
        names: Those of the objectives.

    Returns:
        UNKNOWN for each.
    """
    return (UNKNOWN,) * len(names)
