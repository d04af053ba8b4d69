"""Reading the files of ``edgejoule.region``: which regions of which rank, when, and inside of which others."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.monitor.region import ENTRY, HEADER_BYTES

DTYPE = np.dtype([("name", "<u4"), ("around", "<u4"), ("t0", "<i8"), ("t1", "<i8"), ("thread", "<u4"), ("free", "<u4")])
assert DTYPE.itemsize == ENTRY.size


@dataclass(frozen=True)
class RegionLane:
    """The regions of one thread of one process, in the order in which they were entered.

    ``paths`` are the different ones, such as ``step/forward``; ``path`` [n] is an index into them, ``depth`` [n] is 0 for a
    region in no other. Times are CLOCK_MONOTONIC ns; ``t1_ns`` is 0 where a region was never left. ``main`` tells whether it is
    the main thread of the process.
    """

    rank: int
    pid: int
    launcher: str | None
    main: bool
    paths: tuple[str, ...]
    path: NDArray[np.int32]
    depth: NDArray[np.int32]
    t0_ns: NDArray[np.int64]
    t1_ns: NDArray[np.int64]


def read_regions(folder: Path) -> list[RegionLane]:
    """All lanes of a folder, by rank; of one rank the process that began first comes first, and of it the main thread.

    Args:
        folder: What ``EDGEJOULE_MONITOR`` named.

    Returns:
        The lanes; a file that has no entry has none.
    """
    lanes = [lane for file in sorted(folder.glob("*.regions")) for lane in _lanes(file)]
    return sorted(lanes, key=lambda lane: (lane.rank, not lane.main, int(lane.t0_ns[0])))


def _lanes(file: Path) -> list[RegionLane]:
    raw = file.read_bytes()
    try:
        about = json.loads(raw[:HEADER_BYTES])
        lines = file.with_suffix(".names").read_text().splitlines()
        names = [json.loads(line) for line in lines]
    except (OSError, ValueError):  # killed before it was ready: there is no entry either
        return []
    count = (len(raw) - HEADER_BYTES) // DTYPE.itemsize
    entries = np.frombuffer(raw, DTYPE, count, HEADER_BYTES) if count > 0 else np.empty(0, DTYPE)
    entries = entries[: int(np.flatnonzero(entries["t0"]).max(initial=-1)) + 1]
    paths, index, depth = _paths(entries, names)
    lanes = []
    for thread in dict.fromkeys(entries["thread"][entries["t0"] > 0].tolist()):
        chosen = np.flatnonzero((entries["thread"] == thread) & (entries["t0"] > 0))
        lanes.append(
            RegionLane(
                rank=about["rank"],
                pid=about["pid"],
                launcher=about["launcher"],
                main=thread == about["main"],
                paths=tuple(paths),
                path=index[chosen],
                depth=depth[chosen],
                t0_ns=entries["t0"][chosen].astype(np.int64),
                t1_ns=entries["t1"][chosen].astype(np.int64),
            )
        )
    return lanes


def _paths(entries: NDArray[np.void], names: Sequence[str]) -> tuple[list[str], NDArray[np.int32], NDArray[np.int32]]:
    """The path and depth of every entry: that of the region around it, and its own name. Those around come first."""
    known: dict[tuple[int, int], int] = {}
    paths: list[str] = []
    index, depth = np.zeros(len(entries), np.int32), np.zeros(len(entries), np.int32)
    for slot, (name, around) in enumerate(zip(entries["name"].tolist(), entries["around"].tolist(), strict=True)):
        outer = int(index[around - 1]) if around else -1
        key = outer, name
        if key not in known:
            known[key] = len(paths)
            paths.append((f"{paths[outer]}/" if around else "") + names[name])
        index[slot], depth[slot] = known[key], depth[around - 1] + 1 if around else 0
    return paths, index, depth
