"""The spread between the repeats of a configuration, as a check of each record: how far its repeat is from those before it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from bench.common.median_interval import half_width
from bench.record.checks import Check, finding, skipped

MOST_HALF_WIDTH = 0.05
"""Half the 95 % interval of the median over the median: the spread that a campaign aims at (2.5 %), twice."""
QUANTITIES = (("time", "samples_per_s"), ("energy", "per_sample_J"))


def agree(record: Mapping[str, Any], folder: Path) -> Check:
    """Repeats of one configuration agree, in samples per second and joules per sample; earlier ones lie beside ``folder``.

    From six repeats on, half the 95 % interval of their median is at most 5 % of it. Below that there is no such interval,
    and half the range between the smallest and the largest is in its place.
    """
    name = "repeats agree"
    others = list(_earlier(record["point"], folder))
    if not others:
        return skipped(name, "no other repeat of this configuration has ended yet")
    found, worst = [], 0.0
    for block, key in QUANTITIES:
        values = [value for one in (*others, record) if (value := one[block][key]) is not None]
        if len(values) < 2:
            continue
        share = spread_share(values)
        worst = max(worst, share)
        found.append(f"{key} ±{100 * share:.1f} %")
    detail = f"{', '.join(found)} (n = {len(others) + 1})"
    return finding(name, worst <= MOST_HALF_WIDTH, detail, "warned")


def spread_share(values: Sequence[float]) -> float:
    """Half the 95 % interval of the median over the median; half the range where there are too few values for one."""
    width = half_width(values)
    return (max(values) - min(values)) / 2 / median(values) if width is None else width


def _earlier(point: Mapping[str, Any], folder: Path) -> Iterator[dict[str, Any]]:
    """Good records of other repeats. Names differ in the repeat alone; what cannot be read was not finished."""
    pattern = folder.name.replace(f"-r{point['repeat']}-", "-r*-")
    for path in sorted(folder.parent.glob(f"{pattern}/result.json")):
        if path.parent == folder:
            continue
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if record.get("status") == "ok" and record["point"]["hash"] == point["hash"]:
            yield record
