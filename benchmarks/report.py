"""What a report costs as a study grows: seconds, processor time, and their ratios to those of the smallest study.

    python -m benchmarks.report docs/gallery/records/quickstart --times 1,4,16 --rounds 5

The study is taken so many times, each time as further repeats of its configurations. A round makes the report of each size
once, in an order that is drawn, so that what else the machine does meets all of them; the ratios are of one round, and the
table has their medians with rank-based 95 % intervals. Large studies are drawn by several processes, whose time counts.
"""

from __future__ import annotations

import argparse
import os
import random
import tempfile
from dataclasses import replace
from pathlib import Path

from analysis.page.report_files import FORMATS, write_report
from analysis.plotting.page_layouts import LAYOUTS
from analysis.study.study import Study, load_study, study_of
from analysis.study.study_record import StudyRecord
from bench.common.median_interval import median_interval


def multiplied(study: Study, times: int) -> Study:
    """The study with ``times`` as many repeats of every configuration."""
    repeats = 1 + max(record.point.repeat for record in study.records)
    records = [_again(record, copy, repeats) for copy in range(times) for record in study.records]
    return study_of(study.name, study.folder, records, [])


def _again(record: StudyRecord, copy: int, repeats: int) -> StudyRecord:
    point = replace(record.point, repeat=record.point.repeat + copy * repeats, name=f"{record.point.name}-{copy}")
    return replace(record, point=point)


def report_s(study: Study, formats: list[str]) -> tuple[float, float]:
    """Seconds of one report, and its processor time; reading not counted."""
    with tempfile.TemporaryDirectory() as folder:
        before = os.times()
        write_report(study, Path(folder), formats, LAYOUTS["ieee"])
        after = os.times()
    return after.elapsed - before.elapsed, sum(after[:4]) - sum(before[:4])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("--times", default="1,4,16", help="how many times the study is taken, the smallest first")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--format", default="svg,pdf", help=f"some of {','.join(FORMATS)}")
    given = parser.parse_args()
    read, formats = load_study(given.study), given.format.split(",")
    times = [int(word) for word in given.times.split(",")]
    report_s(read, formats)  # imports and fonts
    rounds: list[dict[int, tuple[float, float]]] = []
    for number in range(given.rounds):
        order = random.Random(number).sample(times, len(times))
        rounds.append({size: report_s(multiplied(read, size), formats) for size in order})
    print(f"{given.study.name}, {given.format}: {given.rounds} rounds\n")
    print("| records | seconds | ratio to the smallest | processor time (s) | ratio |\n|---|---|---|---|---|")
    for size in times:
        columns = []
        for which in (0, 1):
            spent = median_interval([own[size][which] for own in rounds])["median"]
            columns += [f"{spent:.1f}", _ratio([own[size][which] / own[times[0]][which] for own in rounds])]
        print(f"| {size * len(read.records)} | {' | '.join(columns)} |")


def _ratio(ratios: list[float]) -> str:
    found = median_interval(ratios)
    low, high = found["ci_low"], found["ci_high"]
    return f"{found['median']:.2f}" + ("" if low is None else f" [{low:.2f}, {high:.2f}]")


if __name__ == "__main__":
    main()
