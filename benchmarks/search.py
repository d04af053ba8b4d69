"""How much of a recorded grid's front a search finds with a part of the grid's points.

    python -m benchmarks.search                                    # benchmarks/data/search_grid.csv, a third, 20 seeds
    python -m benchmarks.search GRID.csv --share 0.25 --seeds 40 --samplers gp,random

A grid is a table with a column for each key and the objectives of each combination, medians of its record (an empty cell: no
valid result). Each search chooses from it with the code that a campaign chooses with, and is told what was recorded; nothing
runs. The hypervolume is the area that a front dominates, up to a reference point: 1.1 times the largest seconds and joules on
the grid's own front, so that a point far from the front adds nothing. Its ratio to the grid's is 1 where all of the front was
found.

docs/how-to/search.md has the result, and the command that recorded the grid: 48 points on four emulated boards.
"""

from __future__ import annotations

import argparse
import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from bench.config.search_config import SAMPLERS
from bench.search.next_choice import next_choice, start_of
from bench.search.optuna_sampler import Told
from bench.search.pareto_front import Objectives, front
from bench.search.search_space import Candidate, Dimension, Space

GRID = Path(__file__).parent / "data" / "search_grid.csv"
OBJECTIVES = ("step_s", "sample_J")
MARGIN = 1.1
TARGET = 0.98

Grid = Mapping[Candidate, Objectives | None]


def read_grid(path: Path) -> tuple[Space, Grid]:
    """The space and the objectives of a recorded grid."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    keys = [key for key in rows[0] if key not in OBJECTIVES]
    levels = {key: list(dict.fromkeys(row[key] for row in rows)) for key in keys}
    space = Space(tuple(Dimension((key,), tuple((text,) for text in levels[key])) for key in keys), ())
    grid: dict[Candidate, Objectives | None] = {}
    for row in rows:
        candidate = tuple(levels[key].index(row[key]) for key in keys)
        known = all(row[name] for name in OBJECTIVES)
        grid[candidate] = tuple(float(row[name]) for name in OBJECTIVES) if known else None
    return space, grid


def hypervolume(points: Sequence[Objectives], reference: Objectives) -> float:
    """The area that some points dominate, up to the reference point."""
    area, lowest = 0.0, reference[1]
    for first, second in sorted(point for point in points if point[0] < reference[0]):
        if second < lowest:
            area += (reference[0] - first) * (lowest - second)
            lowest = second
    return area


def reference_of(grid: Grid) -> Objectives:
    """MARGIN times the largest seconds and joules of the grid's front."""
    good = {str(candidate): one for candidate, one in grid.items() if one is not None}
    best = [good[name] for name in front(good)]
    return tuple(MARGIN * max(values) for values in zip(*best, strict=True))


def searched(space: Space, grid: Grid, sampler: str, budget: int, seed: int) -> list[Told]:
    """What a search with this budget tries, in its order."""
    told: list[Told] = []
    start = start_of(space, budget, seed, {})
    while len(told) < budget:
        choice = next_choice(space, start, told, sampler, len(OBJECTIVES), seed)
        if choice is None:
            break
        told.append(Told(choice.candidate, grid.get(choice.candidate)))
    return told


def ratio(space: Space, grid: Grid, sampler: str, budget: int, seed: int) -> float:
    """The hypervolume that one search finds, as a share of the grid's."""
    reference = reference_of(grid)
    whole = hypervolume([one for one in grid.values() if one is not None], reference)
    tried = searched(space, grid, sampler, budget, seed)
    return hypervolume([one.objectives for one in tried if one.objectives is not None], reference) / whole


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("grid", type=Path, nargs="?", default=GRID)
    parser.add_argument("--share", type=float, default=1 / 3, help="of the grid's points that a search may try")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--samplers", default=",".join(SAMPLERS))
    options = parser.parse_args()
    space, grid = read_grid(options.grid)
    budget = math.floor(options.share * len(grid))
    good = {str(candidate): one for candidate, one in grid.items() if one is not None}
    print(f"{options.grid.name}: {len(grid)} points, {len(front(good))} on the front; each search tries {budget}")
    print("\n| sampler | median | smallest | lower quartile | seeds at 0.98 or more |\n|---|---|---|---|---|")
    for sampler in options.samplers.split(","):
        ratios = sorted(ratio(space, grid, sampler, budget, seed) for seed in range(options.seeds))
        reached = sum(one >= TARGET for one in ratios)
        quartile = ratios[len(ratios) // 4]
        print(
            f"| {sampler} | {median(ratios):.3f} | {ratios[0]:.3f} | {quartile:.3f} | {reached} of {len(ratios)} |", flush=True
        )


if __name__ == "__main__":
    main()
