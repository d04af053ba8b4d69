"""Where the time of a campaign goes, by its records: start-up, idle, warm-up, windows, evaluation, and what is between points.

    python -m benchmarks.campaign_time results/quickstart [results/OTHER ...]

Mean seconds of a point for each part, and its share of the whole; "between" is from the end of one record to the start of
the next point's rank 0: writing it, the end of one mpirun and the start of the next. Gaps of more than a minute are pauses of
the campaign and not counted. Records from before ``time.stages`` have loading in "between".
"""

from __future__ import annotations

import itertools
import sys
from datetime import datetime
from pathlib import Path

from bench.record.record import MeasuredRecord
from bench.record.record_file import load_record

PAUSE_S = 60.0
PARTS = ("between", "load", "set up", "idle", "warm up", "windows", "evaluate", "rest of the point")


def spent(record: MeasuredRecord) -> dict[str, float]:
    """Seconds of one point by part, from the start of its rank 0 to the end of its record."""
    time, about = record.time, record.environment
    assert about.started is not None
    assert about.finished is not None
    whole = (datetime.fromisoformat(about.finished) - datetime.fromisoformat(about.started)).total_seconds()
    idle = [window.end_s - window.start_s for window in time.idle or ()]
    parts = {
        "load": -time.stages[0].start_s if time.stages and time.stages[0].stage == "load" else 0.0,
        "set up": time.startup_s,
        "idle": sum(idle),
        "warm up": sum(time.warmup.step_s),
        "windows": time.window_s,
        "evaluate": _evaluation_s(record),
    }
    return {**parts, "rest of the point": max(0.0, whole - sum(parts.values()) + parts["load"])}


def _evaluation_s(record: MeasuredRecord) -> float:
    stages = record.time.stages
    if stages:
        return sum(one.end_s - one.start_s for one in stages if one.stage == "evaluate")
    return record.time.idle[-1].start_s - record.time.windows[-1].end_s if record.time.idle else 0.0


def table(folder: Path) -> list[str]:
    """The lines of one study."""
    records = [record for path in folder.glob("*/result.json") if isinstance(record := load_record(path), MeasuredRecord)]
    records.sort(key=lambda record: record.environment.started or "")
    if len(records) < 2:
        return [f"{folder}: fewer than two points that finished"]
    total = dict.fromkeys(PARTS, 0.0)
    for record in records:
        for part, seconds in spent(record).items():
            total[part] += seconds
    for record, following in itertools.pairwise(records):
        ended, began = (
            datetime.fromisoformat(t) for t in (record.environment.finished or "", following.environment.started or "")
        )
        gap_s = (began - ended).total_seconds() - spent(following)["load"]
        total["between"] += gap_s if gap_s < PAUSE_S else 0.0
    whole = sum(total.values())
    lines = [f"{folder}: {len(records)} points, {whole:.0f} s, {100 * total['windows'] / whole:.0f} % in timed windows"]
    return lines + [f"  {part:18s} {total[part] / len(records):6.2f} s  {100 * total[part] / whole:5.1f} %" for part in PARTS]


def main() -> None:
    if len(sys.argv) < 2:
        print(__doc__)
    for folder in sys.argv[1:]:
        print("\n".join(table(Path(folder))))


if __name__ == "__main__":
    main()
