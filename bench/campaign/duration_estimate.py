"""How long points will take: by their own records, by others of the study, or by their settings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import mean, median

from bench.campaign.live_bar import duration
from bench.campaign.point_history import History, duration_of, of_point
from bench.common.user_error import UserError
from bench.config.point_config import PointConfig
from bench.record.record_file import load_record

START_AND_WARM_UP_S = 20.0  # of a small model on a small machine; where there is nothing better


def least_s(point: PointConfig) -> float:
    """Time that a point takes at least by its settings.

    Args:
        point: A resolved point.

    Returns:
        Seconds of idling before and after, and of the window unless its steps are given.
    """
    window = point.window_s if point.train.steps is None else 0.0
    return float(2 * point.idle_s + window)


def own_s(point: PointConfig, history: History) -> float | None:
    """Time that a point takes by its own repeats.

    Args:
        point: A resolved point.
        history: What is on record, by hash and repeat.

    Returns:
        The mean in seconds; null where no repeat says.
    """
    known = [one.seconds for one in of_point(history, point.hash).values() if one.seconds is not None]
    return mean(known) if known else None


def of_studies(points: Iterable[PointConfig]) -> list[float]:
    """Durations of all records in the studies of some points, whatever their configuration.

    Args:
        points: Resolved points.

    Returns:
        Seconds of each record that says.
    """
    durations = []
    for folder in sorted({point.folder.parent for point in points}):
        for path in sorted(folder.glob("*/result.json")):
            try:
                seconds = duration_of(load_record(path))
            except UserError:
                continue
            if seconds is not None:
                durations.append(seconds)
    return durations


def estimate(todo: Sequence[PointConfig], history: History, study: Sequence[float]) -> str:
    """One line: how long points take, and from what that is known.

    Args:
        todo: The points that will run.
        history: What is on record, by hash and repeat.
        study: Seconds of any points of the study.

    Returns:
        The line for a reader.
    """
    total, by = 0.0, {"own": 0, "study": 0, "settings": 0}
    for point in todo:
        recorded = own_s(point, history)
        if recorded is not None:
            total, source = total + recorded, "own"
        elif study:
            total, source = total + median(study), "study"
        else:
            total, source = total + START_AND_WARM_UP_S + least_s(point), "settings"
        by[source] += 1
    words = {
        "own": "by records of the same configuration",
        "study": f"by the median of the study's {len(study)} records",
        "settings": f"by settings (start and warm-up {START_AND_WARM_UP_S:.0f} s, 2 x idle_s, window_s)",
    }
    known = "; ".join(f"{count} {words[source]}" for source, count in by.items() if count)
    open_end = any(point.train.steps is not None for point in todo) and by["settings"]
    unknown = "; the given train.steps take longer than that" if open_end else ""
    return (
        f"time: about {duration(total)} for {len(todo)} points: {known}{unknown}" if todo else "time: all points are finished"
    )
