"""Joules of the regions that a program named: the attribution of a point's phases, at every depth of nesting.

Regions of one depth do not overlap on a rank's main thread, so they share its time with what lies outside of them, and each
has all of its own time: the joules of ``step`` contain those of ``step/forward``. What another thread or a further process of
a rank names beside is not attributed, for a rank is in one region at a time; the record says so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from bench.joules.attribution import Attribution, attribute
from bench.joules.cover import Part
from bench.monitor.monitored_energy import MeteredRun
from bench.monitor.region_log import RegionLane
from bench.record.monitored_record import RegionHostRecord, RegionMethodRecord, RegionRecord, RegionTotalRecord

OUTSIDE = ""
"""The label of time in no region of a depth; no region has it."""
MOST_OUTSIDE = 0.01
Span = tuple[float, float]


@dataclass(frozen=True)
class RankRegions:
    """The regions of one rank in its host's window: for each depth and path the stretches, in seconds on the axis."""

    rank: int
    host: str
    by_depth: Mapping[int, Mapping[str, Sequence[Span]]]
    problems: Sequence[str] = field(default_factory=list)


@dataclass(frozen=True)
class RegionJoules:
    """The record's blocks on regions."""

    totals: list[RegionTotalRecord]
    by_rank: list[RegionRecord]
    methods: list[RegionMethodRecord]
    not_attributed: list[str]


def region_joules(metered: MeteredRun) -> RegionJoules:
    """Joules of all regions.

    Args:
        metered: The readings of the run, with the regions of its hosts.

    Returns:
        Totals, ranks, and how they were found; joules are None where that was refused.
    """
    ranks = [one for number in range(len(metered.axis.parts)) for one in rank_regions(metered, number)]
    rows: list[RegionRecord] = []
    methods: list[RegionMethodRecord] = []
    by_host: dict[str, list[RegionHostRecord]] = {}
    covered = set[str]()
    for part in metered.cover.parts:
        covered |= set(part.hosts)
        mine = [one for one in ranks if one.host in part.hosts]
        for depth in sorted({depth for one in mine for depth in one.by_depth}):
            shared, of_depth = _share(metered, part, mine, depth)
            methods += of_depth
            rows += _rows(part, mine, depth, shared)
            for path in _paths(mine, depth):
                by_host.setdefault(path, []).append(_of_host(part, path, shared))
    for one in (one for one in ranks if one.host not in covered):
        for depth, paths in one.by_depth.items():
            rows += [_row(one.host, one, depth, path, None, None) for path in paths]
    rows.sort(key=lambda row: (row.rank, row.region))
    problems = [problem for one in ranks for problem in one.problems]
    return RegionJoules(_totals(rows, by_host), rows, methods, problems)


def rank_regions(metered: MeteredRun, number: int) -> list[RankRegions]:
    """The regions of the ranks of one host.

    Args:
        metered: The run.
        number: The host's place.

    Returns:
        One for each rank that runs there, also for one that named none; nothing where no rank named any.
    """
    part = metered.axis.parts[number]
    if not part.lanes:
        return []
    inner = any(lane.launcher not in (None, part.launcher) for lane in part.lanes)
    # A launcher inside of the monitored command numbers its ranks itself.
    ranks = {lane.rank for lane in part.lanes} | (set() if inner else {end.rank for end in part.ranks})
    return [_of_rank(metered, number, rank, [lane for lane in part.lanes if lane.rank == rank]) for rank in sorted(ranks)]


def _of_rank(metered: MeteredRun, number: int, rank: int, lanes: Sequence[RegionLane]) -> RankRegions:
    host, window = metered.axis.parts[number].label, metered.axis.window(number)
    if not lanes:
        return RankRegions(rank, host, {})
    problems = [
        f"rank {rank}: {len(lane.path)} regions of {'process' if lane.main else 'a further thread of process'} {lane.pid}, "
        f"beside those of process {lanes[0].pid}"
        for lane in lanes[1:]
    ]
    lane, by_depth = lanes[0], dict[int, dict[str, list[Span]]]()
    begin_s = _seconds(metered, number, lane.t0_ns)
    end_s = np.where(lane.t1_ns > 0, _seconds(metered, number, lane.t1_ns), window[1])
    left_open = int((lane.t1_ns == 0).sum())
    if left_open:
        problems.append(f"rank {rank}: {left_open} regions were never left; they are counted to the end of the run")
    begin_s, end_s = np.clip(begin_s, *window), np.clip(end_s, *window)
    for depth in range(int(lane.depth.max()) + 1):
        chosen = np.flatnonzero((lane.depth == depth) & (end_s > begin_s))
        if (begin_s[chosen][1:] < end_s[chosen][:-1] - 1e-9).any():
            problems.append(f"rank {rank}: regions of depth {depth} overlap (coroutines beside each other)")
            continue
        for index in chosen.tolist():
            spans = by_depth.setdefault(depth, {}).setdefault(lane.paths[lane.path[index]], [])
            spans.append((float(begin_s[index]), float(end_s[index])))
    return RankRegions(rank, host, by_depth, problems)


def _seconds(metered: MeteredRun, number: int, t_ns: np.ndarray) -> np.ndarray:
    """Times of one host on the axis: the clock model is a straight line, so two points of it are enough."""
    first, last = float(t_ns.min()), float(max(t_ns.max(), t_ns.min() + 1e9))
    a, b = metered.axis.to_common(number, first), metered.axis.to_common(number, last)
    return a + (t_ns - first) * ((b - a) / (last - first))


def _paths(ranks: Sequence[RankRegions], depth: int) -> list[str]:
    return list(dict.fromkeys(path for one in ranks for path in one.by_depth.get(depth, {})))


def _share(
    metered: MeteredRun, part: Part, ranks: Sequence[RankRegions], depth: int
) -> tuple[_Shared | None, list[RegionMethodRecord]]:
    """The joules of all regions of one depth on one part; None where that was refused for one of its curves."""
    window = _hull(ranks, depth, metered.run_of(part.hosts).windows[0])
    closed = {one.rank: closed_gaps(one.by_depth.get(depth, {}), window) for one in ranks}
    labels = [OUTSIDE, *_paths(ranks, depth)]
    shared = [attribute(curve, {rank: one.spans for rank, one in closed.items()}, [window], labels) for curve in part.curves]
    methods = [
        RegionMethodRecord(
            host=part.name,
            source=curve.trace.meter or curve.trace.source,
            depth=depth,
            method=one.method,
            why=one.why.replace("phases", "regions"),
            condition_number=one.condition,
        )
        for curve, one in zip(part.curves, shared, strict=True)
    ]
    refused = any(one.method == "refused" for one in shared)
    return (None if refused else _Shared(shared, closed)), methods


@dataclass(frozen=True)
class ClosedGaps:
    """A rank's regions without the short gaps between them: ``added_s`` is what each region was given of them."""

    spans: Mapping[str, Sequence[Span]]
    seconds: Mapping[str, float]
    added_s: Mapping[str, float]

    def of_region(self, path: str, joules: float, error_J: float) -> tuple[float, float]:
        """A region's joules without those of the gaps that it was given, which may have had any power up to twice its own.

        Args:
            path: The region.
            joules: With the gaps.
            error_J: Standard error of these.

        Returns:
            Joules and their standard error.
        """
        seconds, added_s = self.seconds.get(path, 0.0), self.added_s.get(path, 0.0)
        if not added_s:
            return joules, error_J
        gap_J = joules * added_s / (seconds + added_s)
        return joules - gap_J, math.hypot(error_J, gap_J / math.sqrt(3))


def closed_gaps(paths: Mapping[str, Sequence[Span]], window: Span) -> ClosedGaps:
    """Give the time between regions to its neighbours, where it is a hundredth of the window or less.

    A loop leaves microseconds between two calls. No sensor can tell their power, and a fit that is asked for it answers
    with anything; without them regions that follow each other are one long stretch, which needs no fit.

    Args:
        paths: The stretches of each region of one depth, in seconds; they do not overlap.
        window: Begin and end of the time that is shared.

    Returns:
        The stretches; as they were where more time lies outside.
    """
    rows = sorted((span, path) for path, spans in paths.items() for span in spans)
    seconds = {path: math.fsum(end - begin for begin, end in spans) for path, spans in paths.items()}
    outside_s = window[1] - window[0] - math.fsum(seconds.values())
    if not rows or outside_s > MOST_OUTSIDE * (window[1] - window[0]):
        return ClosedGaps(paths, seconds, {})
    spans: dict[str, list[Span]] = {path: [] for path in paths}
    last = ""
    for number, ((begin_s, _), path) in enumerate(rows):
        begin_s = window[0] if number == 0 else begin_s
        end_s = rows[number + 1][0][0] if number + 1 < len(rows) else window[1]
        if path == last:
            spans[path][-1] = spans[path][-1][0], end_s
        else:
            spans[path].append((begin_s, end_s))
        last = path
    added_s = {path: math.fsum(end - begin for begin, end in of) - seconds[path] for path, of in spans.items()}
    return ClosedGaps(spans, seconds, added_s)


@dataclass(frozen=True)
class _Shared:
    """The attributions of all curves of a part."""

    attributions: Sequence[Attribution]
    closed: Mapping[int, ClosedGaps]

    def of_rank(self, rank: int, path: str) -> tuple[float, float]:
        joules = math.fsum(one.by_rank[rank][path] for one in self.attributions)
        error_J = math.hypot(*(one.error_by_rank[rank][path] for one in self.attributions))
        return self.closed[rank].of_region(path, joules, error_J)

    def of_all(self, path: str) -> tuple[float, float]:
        joules = math.fsum(self.of_rank(rank, path)[0] for rank in self.closed)
        error_J = math.hypot(*(one.error_J[path] for one in self.attributions))
        gaps_J = (
            math.fsum(one.by_rank[rank][path] for one in self.attributions) - self.of_rank(rank, path)[0]
            for rank in self.closed
        )
        return joules, math.hypot(error_J, math.fsum(gaps_J) / math.sqrt(3))


def _hull(ranks: Sequence[RankRegions], depth: int, window: Span) -> Span:
    """From the first begin to the last end of a depth: what lies before and after needs no part in the sharing."""
    spans = [span for one in ranks for of_path in one.by_depth.get(depth, {}).values() for span in of_path]
    return (min(begin for begin, _ in spans), max(end for _, end in spans)) if spans else window


def _rows(part: Part, ranks: Sequence[RankRegions], depth: int, shared: _Shared | None) -> list[RegionRecord]:
    rows = []
    for one in ranks:
        for path in one.by_depth.get(depth, {}):
            joules, error_J = (None, None) if shared is None else shared.of_rank(one.rank, path)
            rows.append(_row(part.name, one, depth, path, joules, error_J))
    return rows


def _row(host: str, one: RankRegions, depth: int, path: str, joules: float | None, error_J: float | None) -> RegionRecord:
    spans = one.by_depth[depth][path]
    return RegionRecord(
        region=path,
        depth=depth,
        rank=one.rank,
        host=host,
        calls=len(spans),
        seconds=math.fsum(end - begin for begin, end in spans),
        joules=joules,
        standard_error_J=error_J,
    )


def _of_host(part: Part, path: str, shared: _Shared | None) -> RegionHostRecord:
    joules, error_J = (None, None) if shared is None else shared.of_all(path)
    return RegionHostRecord(host=part.name, joules=joules, standard_error_J=error_J)


def _totals(rows: Sequence[RegionRecord], by_host: Mapping[str, Sequence[RegionHostRecord]]) -> list[RegionTotalRecord]:
    """Regions over all ranks, in the order of their paths, so that what lies inside follows what is around it."""
    totals = []
    for path in sorted({row.region for row in rows}):
        mine, hosts = [row for row in rows if row.region == path], list(by_host.get(path, ()))
        known = all(row.joules is not None for row in mine)
        totals.append(
            RegionTotalRecord(
                region=path,
                depth=mine[0].depth,
                calls=sum(row.calls for row in mine),
                seconds=math.fsum(row.seconds for row in mine),
                joules=math.fsum(one.joules or 0.0 for one in hosts) if known else None,
                standard_error_J=math.hypot(*(one.standard_error_J or 0.0 for one in hosts)) if known else None,
                by_host=hosts,
            )
        )
    return totals
