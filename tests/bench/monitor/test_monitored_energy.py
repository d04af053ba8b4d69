"""Totals of a monitored run by hand, and how its hosts come onto one axis without MPI."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench.joules.channel import Trace
from bench.joules.host_limits import HostLimit
from bench.monitor.host_axis import HostAxis
from bench.monitor.host_clock import chrony_bound
from bench.monitor.host_part import read_parts, write_part
from bench.monitor.monitored_energy import MeteredRun
from bench.monitor.monitored_run import assemble, merge_parts
from bench.record.record_file import load_monitored
from tests.bench.monitor.parts import lane, part, trace


def watts(power_W: float, boot_s: float = 0.0, label: str = "a") -> Trace:
    return trace(lambda t: power_W * t, 12, 0.01, boot_s, label)


def test_each_host_counts_over_its_own_window() -> None:
    """a: 10 W from 0 to 10 s, b: 20 W from 2 to 7 s: 100 J + 100 J, and 10 s from the first begin to the last end."""
    parts = [
        part([watts(10)], size=2),
        part([watts(20, 5000, "b")], (), [(1, 2, 7)], "b", 5000, size=2),
    ]
    record = assemble(MeteredRun.of(HostAxis(parts)), "run")
    assert (record.status, record.seconds) == ("ok", pytest.approx(10, abs=1e-6))
    assert record.energy.total_J == pytest.approx(200, rel=1e-4)
    assert record.energy.mean_power_W == pytest.approx(30, rel=1e-4)
    assert [(w.host, w.start_s, w.end_s) for w in record.windows] == [
        ("a", pytest.approx(0), pytest.approx(10)), ("b", pytest.approx(2, abs=1e-6), pytest.approx(7, abs=1e-6))
    ]  # fmt: skip
    assert record.clock.method == "civil time"
    assert record.clock.bound_s == pytest.approx(0.004, abs=1e-5)  # both clocks may be off, to opposite sides


def test_idle_power_and_dynamic_joules() -> None:
    """5 W before second 0, 25 W after: 250 J in 10 s, of which 50 J would have been idle."""
    step = trace(lambda t: 5 * t + 20 * max(t, 0), 12, 0.01)
    energy = assemble(MeteredRun.of(HostAxis([part([step], idle_s=(-0.9, -0.1))])), "run").energy
    assert (energy.idle_W, energy.idle_J, energy.dynamic_J) == (
        pytest.approx(5, rel=1e-3),
        pytest.approx(50, rel=1e-3),
        pytest.approx(200, rel=1e-3),
    )


def test_an_unknown_clock_has_no_bound_and_a_warning() -> None:
    """Where nothing keeps a host's clock nobody can say how far it is off; the joules of each host stand."""
    parts = [
        part([watts(10)], size=2),
        part([watts(20, 5000, "b")], (), [(1, 2, 7)], "b", 5000, bound_s=None, size=2),
    ]
    record = assemble(MeteredRun.of(HostAxis(parts)), "run")
    assert record.clock.bound_s is None
    (check,) = [check for check in record.checks if check.name == "clocks of hosts agree"]
    assert check.status == "warned"
    assert "how far b may be off" in check.detail
    assert record.energy.total_J == pytest.approx(200, rel=1e-4)


def test_a_host_without_readings_leaves_no_total() -> None:
    record = assemble(MeteredRun.of(HostAxis([part([watts(10)], size=2), part([], (), [(1, 0, 5)], "b", 9, size=2)])), "run")
    assert (record.status, record.energy.total_J) == ("invalid", None)
    assert record.energy.by_host[0].total_J == pytest.approx(100, rel=1e-4)
    assert record.energy.coverage.missing == ["b"]


def test_readings_that_end_before_the_window_are_no_total(tmp_path: Path) -> None:
    """An agent whose sensor stopped early: uncovered, whatever the joules so far."""
    short = trace(lambda t: 10 * t, 5, 0.01)
    record = assemble(MeteredRun.of(HostAxis([part([short])])), "run")
    assert record.status == "invalid"
    assert "uncovered" in (record.reason or "")


def test_parts_come_back_as_they_were_written(tmp_path: Path) -> None:
    run = tmp_path / "study/run"
    run.mkdir(parents=True)
    whole = part([watts(10)], [lane([("work", 2, 5), ("work/in", 3, 4)])], idle_s=(-0.9, -0.1))
    write_part(run, whole)
    (back,) = read_parts(run)
    assert back.traces[0].raw.tolist() == whole.traces[0].raw.tolist()
    assert back.lanes[0].paths == ("work", "work/in")
    assert (back.ranks, back.clocks, back.idle_ns, back.host) == (whole.ranks, whole.clocks, whole.idle_ns, whole.host)
    assert "100 J" in merge_parts(run)
    record = load_monitored(run / "monitored.json")
    assert [total.region for total in record.regions] == ["work", "work/in"]
    assert not (run / "parts").exists()  # all of it is in power.parquet, regions.parquet and the record


@pytest.mark.parametrize(
    ("tracking", "bound"),
    [
        (
            "C0A80101,192.168.1.1,3,1700000000.1,-0.000120000,0.00001,0.00002,-1.2,0.001,0.02,0.004000000,0.001500000,64.5,Normal",
            (0.00012 + 0.002 + 0.0015, "chrony"),
        ),
        ("00000000,,0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,1.0,1.0,0.0,Not synchronised", None),
        ("506 Cannot talk to daemon", None),
        ("", None),
    ],
)
def test_what_chrony_says(tracking: str, bound: tuple[float, str] | None) -> None:
    """|offset| + root delay / 2 + root dispersion, from a line of ``chronyc -c tracking`` (written after its documentation)."""
    assert chrony_bound(tracking) == (bound and (pytest.approx(bound[0]), bound[1]))


def test_what_cannot_be_is_invalid_with_its_numbers() -> None:
    """40 W of a board that can draw 15 W, or 1.25 times as much at its plug; a counter that stands: as for points."""
    host = replace(part([watts(40)]), limit=HostLimit(15.0, "raspberry-pi-4", True))
    record = assemble(MeteredRun.of(HostAxis([host])), "run")
    assert record.status == "invalid"
    assert "reads 40 W" in (record.reason or "")
    assert "raspberry-pi-4 15 W" in (record.reason or "")
    standing = part([trace(lambda t: 0.0, 12, 0.01)])
    assert "does not move" in (assemble(MeteredRun.of(HostAxis([standing])), "run").reason or "")
