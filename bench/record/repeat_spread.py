"""The spread between the repeats of a configuration, as a check of each record: how far its repeat is from those before it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

from bench.common.median_interval import half_width
from bench.common.user_error import UserError
from bench.record.check_record import Check
from bench.record.checks import finding, skipped
from bench.record.point_record import PointRecord
from bench.record.record import MeasuredRecord
from bench.record.record_file import load_record

MOST_HALF_WIDTH = 0.05
"""Half the 95 % interval of the median over the median: the spread that a campaign aims at (2.5 %), twice."""
QUANTITIES = (("time", "samples_per_s"), ("energy", "per_sample_J"))


def agree(record: MeasuredRecord, folder: Path) -> Check:
    """Repeats of one configuration agree, in samples per second and joules per sample.

    From six repeats on, half the 95 % interval of their median is at most 5 % of it. Below that there is no such interval,
    and half the range between the smallest and the largest is in its place.

    Args:
        record: The point that ends now; its checks are not looked at.
        folder: Its folder; those of earlier repeats lie beside it.

    Returns:
        Warned where they are further apart; skipped where no other repeat has ended.
    """
    name = "repeats agree"
    others = list(_earlier(record.point, folder))
    if not others:
        return skipped(name, "no other repeat of this configuration has ended yet")
    spreads, worst = [], 0.0
    for block, key in QUANTITIES:
        known = (getattr(getattr(one, block), key) for one in (*others, record))
        values = [value for value in known if value is not None]
        if len(values) < 2:
            continue
        share = spread_share(values)
        worst = max(worst, share)
        spreads.append(f"{key} ±{100 * share:.1f} %")
    detail = f"{', '.join(spreads)} (n = {len(others) + 1})"
    return finding(name, worst <= MOST_HALF_WIDTH, detail, "warned")


def spread_share(values: Sequence[float]) -> float:
    """The spread of some repeats as a share of their median.

    Args:
        values: One value a repeat; two at least.

    Returns:
        Half the 95 % interval of the median over the median; half the range where there are too few values for one.
    """
    width = half_width(values)
    return (max(values) - min(values)) / 2 / median(values) if width is None else width


def _earlier(point: PointRecord, folder: Path) -> Iterator[MeasuredRecord]:
    """Good records of other repeats. Names differ in the repeat alone; what cannot be read was not finished."""
    pattern = folder.name.replace(f"-r{point.repeat}-", "-r*-")
    for path in sorted(folder.parent.glob(f"{pattern}/result.json")):
        if path.parent == folder:
            continue
        try:
            record = load_record(path)
        except UserError:
            continue
        if isinstance(record, MeasuredRecord) and record.status == "ok" and record.point.hash == point.hash:
            yield record
