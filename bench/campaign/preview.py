"""What a dry run says of the campaign: its matrix, its settings, and how long it will take."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.campaign.campaign_settings import Settings
from bench.campaign.duration_estimate import estimate, of_studies
from bench.campaign.point_history import read_history
from bench.campaign.point_order import Config
from bench.campaign.sweep_matrix import Matrix
from bench.common.median_interval import SMALLEST_N


def preview(order: Sequence[Config], settings: Settings, sweep: Matrix, results: Path) -> list[str]:
    """Lines for the points in their order. Reads the study's records, writes nothing.

    Args:
        order: Every repeat of every point.
        settings: Those of the campaign.
        sweep: What the composed configurations are, with its own lines.
        results: The folder of all studies.

    Returns:
        The lines for a reader.
    """
    each: dict[str, int] = {}
    for point in order:
        each[point.hash] = each.get(point.hash, 0) + 1
    repeats = sorted(set(each.values()))
    points = {point.hash: point for point in order}
    history = read_history(points.values(), repeats[-1], results)
    todo = [p for p in order if not ((p.hash, p.repeat) in history and history[p.hash, p.repeat].finished)]
    times = " or ".join(map(str, repeats))
    lines = [f"matrix: {len(each)} configurations x {times} repeats = {len(order)} points, {len(order) - len(todo)} finished"]
    lines += sweep.lines
    lines.append(estimate(todo, history, of_studies(points.values())))
    if settings.ci_target is not None:
        least, percent = max(SMALLEST_N, repeats[0]), 100 * settings.ci_target
        lines.append(
            f"repeats go on until the 95 % interval of {' and '.join(settings.target)} is within ±{percent:g} % of the median: "
            f"{least} to {settings.max_repeats} of each point, which the time above does not count"
        )
    if settings.time_limit_s is not None:
        lines.append(f"time limit: {settings.time_limit_s:g} s; no point is begun that would not end in it")
    if settings.fail_fast:
        lines.append("fail_fast: nothing more is begun after a point that failed or timed out")
    return lines
