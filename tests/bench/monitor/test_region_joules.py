"""Regions by hand: joules of stretches that a fast counter shows, of nested and repeated ones, and what is refused."""

from __future__ import annotations

import math

import pytest

from bench.monitor.host_axis import HostAxis
from bench.monitor.host_part import HostPart
from bench.monitor.monitored_energy import MeteredRun
from bench.monitor.region_joules import RegionJoules, region_joules
from tests.bench.monitor.parts import lane, part, trace


def stairs(t: float) -> float:
    """10 W until second 2, 30 W until 5, 20 W after: joules from 0."""
    return 10 * t + 20 * (min(max(t, 2), 5) - 2) + 10 * (max(t, 5) - 5)


def joules_of(*parts: HostPart) -> RegionJoules:
    return region_joules(MeteredRun.of(HostAxis(parts)))


def test_joules_are_those_of_the_stretches() -> None:
    """work 2..5 s at 30 W: 90 J; rest 5..9 s at 20 W: 80 J. Each edge is known to the reading: P T / sqrt(12)."""
    found = joules_of(part([trace(stairs, 10, 0.01)], [lane([("work", 2, 5), ("rest", 5, 9)])]))
    rows = {row.region: row for row in found.by_rank}
    assert rows["work"].joules == pytest.approx(90, abs=0.3)
    assert rows["rest"].joules == pytest.approx(80, abs=0.3)
    assert [(row.calls, row.seconds) for row in rows.values()] == [(1, pytest.approx(4)), (1, pytest.approx(3))]
    mean_W = 170 / 7
    edges_J = mean_W * math.hypot(0.01, 0.001) / math.sqrt(12) * math.sqrt(2)
    # 'rest' and 'work' follow each other without a gap, so nothing but their two edges each is unknown.
    assert rows["work"].standard_error_J == pytest.approx(edges_J, rel=0.02)
    assert {total.region: total.joules for total in found.totals} == {r: pytest.approx(row.joules) for r, row in rows.items()}


def test_a_region_contains_those_inside_of_it() -> None:
    """step 2..9 s is 170 J, of which step/a 2..5 s has 90 J; 'a' alone elsewhere is another region."""
    calls = [("step", 2, 9), ("step/a", 2, 5), ("a", 9.2, 9.9)]
    found = {total.region: total for total in joules_of(part([trace(stairs, 10, 0.01)], [lane(calls)])).totals}
    assert found["step"].joules == pytest.approx(170, abs=0.3)
    assert found["step/a"].joules == pytest.approx(90, abs=0.3)
    assert found["a"].joules == pytest.approx(14, abs=0.3)
    assert [one.depth for one in found.values()] == [0, 0, 1]


def test_microseconds_between_calls_take_no_joules_from_them() -> None:
    """A loop of 1,000 calls with 5 us between: the loop's 90 J, not a fit of what no sensor sees."""
    calls = [("work", 2 + 0.003 * i, 2 + 0.003 * (i + 1) - 5e-6) for i in range(1000)]
    found = joules_of(part([trace(stairs, 10, 0.05)], [lane(calls)]))
    (row,) = found.by_rank
    assert (row.calls, row.seconds) == (1000, pytest.approx(2.995))
    assert row.joules == pytest.approx(90 * 2.995 / 3, abs=3 * (row.standard_error_J or 0))
    assert row.standard_error_J == pytest.approx(0.7, abs=0.35)
    assert found.methods[0].method == "interpolated"


def test_ranks_of_a_host_share_its_power() -> None:
    """Two ranks: each has half of the host's power in its own stretches, as in a point."""
    lanes = [lane([("work", 2, 5), ("rest", 5, 9)], 0), lane([("work", 2, 7), ("rest", 7, 9)], 1)]
    found = joules_of(part([trace(stairs, 10, 0.01)], lanes, [(0, 0, 10), (1, 0, 10)], size=2))
    rows = {(row.rank, row.region): row.joules for row in found.by_rank}
    assert rows[0, "work"] == pytest.approx(45, abs=0.3)
    assert rows[1, "work"] == pytest.approx(45 + 20, abs=0.3)
    assert rows[0, "rest"] == pytest.approx(40, abs=0.3)
    assert rows[1, "rest"] == pytest.approx(20, abs=0.3)
    total = {one.region: one.joules for one in found.totals}
    assert total["work"] == pytest.approx(110, abs=0.4)


def test_hosts_are_each_on_their_own_clock() -> None:
    """The other host booted 4,910 s later: its region is where its own readings are, not at the end of the first one's."""
    other = part(
        [trace(lambda t: 100 * t, 10, 0.01, 4910, "b")],
        [lane([("work", 3, 4)], 1, boot_s=4910)],
        [(1, 0, 10)],
        "b",
        4910,
        size=2,
    )
    found = joules_of(part([trace(stairs, 10, 0.01)], [lane([("work", 2, 5)])], size=2), other)
    assert {row.host: row.joules for row in found.by_rank} == {
        "a": pytest.approx(90, abs=0.3), "b": pytest.approx(100, abs=0.5)
    }  # fmt: skip
    assert {one.host: one.joules for one in found.totals[0].by_host}.keys() == {"a", "b"}


def test_a_slow_sensor_is_refused_with_the_reason() -> None:
    """One reading a second cannot tell a hundredth of a second from the other."""
    calls = [(("a", "b")[i % 2], 0.01 * i, 0.01 * (i + 1)) for i in range(1000)]
    found = joules_of(part([trace(stairs, 10, 1.0)], [lane(calls)]))
    assert {row.joules for row in found.by_rank} == {None}
    assert found.totals[0].joules is None
    (method,) = found.methods
    assert method.method == "refused"
    assert "readings every 10" in method.why


def test_what_is_not_attributed_is_named() -> None:
    """A further thread, regions that overlap, a region that was never left: each is said, none is silently lost."""
    overlapping = lane([("a", 1, 3), ("b", 2, 4)])
    found = joules_of(part([trace(stairs, 10, 0.01)], [overlapping, lane([("c", 1, 2)], main=False)]))
    assert found.by_rank == []
    assert found.not_attributed == [
        "rank 0: 1 regions of a further thread of process 100, beside those of process 100",
        "rank 0: regions of depth 0 overlap (coroutines beside each other)",
    ]
    still_open = lane([("a", 6, 7)])
    still_open.t1_ns[:] = 0
    found = joules_of(part([trace(stairs, 10, 0.01)], [still_open]))
    assert found.by_rank[0].seconds == pytest.approx(4)
    assert "never left" in found.not_attributed[0]


def test_ranks_of_a_launcher_inside_are_its_own() -> None:
    """``edgejoule monitor -- torchrun``: the wrapper is rank 0 of 1, the regions are of torchrun's ranks."""
    lanes = [lane([("work", 2, 5)], rank, launcher="torchrun") for rank in (0, 1)]
    found = joules_of(part([trace(stairs, 10, 0.01)], lanes))
    assert {row.rank: row.joules for row in found.by_rank} == {0: pytest.approx(45, abs=0.3), 1: pytest.approx(45, abs=0.3)}
