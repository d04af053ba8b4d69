"""Power over time: joules of all hosts on one axis, and what the ranks did meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis.figures import power_over_time
from analysis.plotting.figure_style import close
from analysis.plotting.page_layouts import IEEE
from analysis.study.power_traces import phases_of
from analysis.study.study import load_study
from bench.common.atomic_files import write_power
from bench.joules.channel import Calibration, Channel, Trace
from tests.analysis.made_studies import paper_study, rich_record, with_traces
from tests.analysis.studies import study
from tests.records import make_record


def phases(record: dict[str, Any], last_s: float) -> list[tuple[str, float, float]]:
    """What the ranks did when, by a record as JSON."""
    return phases_of(study([record]).good[0], last_s)


def test_power_of_two_hosts_is_on_one_axis(tmp_path: Path) -> None:
    """Hosts whose clocks differ by an hour: 10 W and, after 5 s, 20 W on one, always 5 W on the other (a meter's 2 x 2 + 1).
    A cross-check of the same sensor is in no total."""
    record = make_record("data")
    folder = with_traces(tmp_path / "study", [record])
    t_ns = np.arange(0, 30_000_000_001, 100_000_000, dtype=np.int64)
    joules = np.where(t_ns < 5e9, 10 * t_ns / 1e9, 50 + 20 * (t_ns / 1e9 - 5))
    channel = Channel("c", "counter", 1e-6, "test")
    rising = (joules * 1e6).astype(np.int64).reshape(-1, 1)
    near = Trace("a", "1", "x", "rapl", "measured", 0.1, (channel,), t_ns, t_ns, rising, label="a")
    later, flat = t_ns + 3600 * 10**9, (2 * t_ns // 1000).reshape(-1, 1)
    calibration = Calibration(2.0, 1.0, 0.0, 0.0, 0.0, "meter", "wall", "2026-01-01")
    about = ("b", "2", "x", "rapl", "measured", 0.1, (channel,), later, later, flat)
    far = Trace(*about, label="b", rank=1, calibration=calibration)
    check = Trace("b", "2", "x", "pyjoules", "measured", 0.1, (channel,), later, later, flat, label="b", rank=1)
    write_power(
        folder / record["point"]["name"] / "power.parquet",
        [near, far, check],
        lambda rank, ns: (ns - rank * 3600e9) / 1e9,
        lambda trace: [] if trace is check else ["c"],
    )
    (figure,) = power_over_time.draw(load_study(folder), IEEE)
    close(figure)
    by_host = {host: rows.set_index("time_s")["power_W"] for host, rows in figure.data.groupby("host")}
    assert by_host["a"][:4.5].tolist() == pytest.approx([10.0] * 19, abs=1e-3)
    assert by_host["b"].tolist() == pytest.approx([5.0] * len(by_host["b"]), abs=1e-3)
    assert by_host["all"].tolist() == pytest.approx((by_host["a"] + by_host["b"]).tolist(), abs=1e-9)
    assert by_host["all"][5.25:].min() == pytest.approx(25.0, abs=1e-3)
    stack = figure.figure.axes[0].collections
    assert len(stack) == 2
    assert stack[1].get_paths()[0].vertices[:, 1].max() == pytest.approx(25.0, abs=1e-3), "stacked upon each other"


def test_what_the_ranks_did_when() -> None:
    """Idle as the record says; 3.9 s of warm-up before the window at 9 s; evaluation until idle. A first evaluation lies
    between idle and warm-up, one between two windows in their gap, and the weights were sent before all of it."""
    record = make_record("data")
    end = record["time"]["windows"][0]["end_s"]
    record["time"]["idle"] = [{"start_s": 1.5, "end_s": 4.5}, {"start_s": end + 2, "end_s": end + 5}]
    warm_up = ("warm-up", pytest.approx(5.1), 9.0)
    rest = [("timed", 9.0, end), ("evaluation", end, end + 2), ("idle", end + 2, end + 5)]
    assert phases(record, end + 9) == [("idle", 1.5, 4.5), warm_up, *rest]
    record["learning"]["initial"] = record["learning"]["final"]
    unread = {"kind": "none", "joules": None, "uncertainty_J": None, "quality": "no source of energy"}
    record["replication"] = {"start_s": 0.25, "seconds": 1.0, "payload_bytes": 9, **unread}
    before = [("replication", 0.25, 1.25), ("idle", 1.5, 4.5), ("evaluation", 4.5, pytest.approx(5.1))]
    assert phases(record, end + 9) == [*before, warm_up, *rest]
    record["time"]["windows"] = [{"start_s": 9.0, "end_s": 10.0, "steps": 1}, {"start_s": 11.0, "end_s": end, "steps": 11}]
    between = [("timed", 9.0, 10.0), ("evaluation", 10.0, 11.0), ("timed", 11.0, end), *rest[1:]]
    assert phases(record, end + 9) == [*before, warm_up, *between]


def test_older_records_have_idle_at_both_ends() -> None:
    """6 s of idle in all: 3 s before the warm-up at 5.1 s, or after start-up where an evaluation came first, and the last."""
    record = make_record("data")
    end = record["time"]["windows"][0]["end_s"]
    found = phases(record, end + 9)
    assert found[0] == ("idle", pytest.approx(2.1), pytest.approx(5.1))
    assert found[-2:] == [("evaluation", end, end + 6), ("idle", end + 6, end + 9)]
    record["learning"]["initial"], record["time"]["startup_s"] = record["learning"]["final"], 0.5
    assert phases(record, end + 9)[:2] == [("idle", 0.5, 3.5), ("evaluation", 3.5, pytest.approx(5.1))]


def test_many_traces_are_in_several_figures(tmp_path: Path) -> None:
    """13 configurations: the single process with the first strategy, then a figure for each; all of them somewhere."""
    records = [record for record in paper_study() if record["point"]["model"] == "minilm"]
    figures = power_over_time.draw(load_study(with_traces(tmp_path / "s", records)), IEEE)
    for figure in figures:
        close(figure)
    assert [figure.name for figure in figures] == [f"power_modelled_{number}" for number in (1, 2, 3, 4)]
    assert [figure.data["label"].nunique() for figure in figures] == [4, 3, 3, 3]
    assert "The 13 configurations are in 4 figures." in figures[0].caption
    assert len({label for figure in figures for label in figure.data["label"]}) == 13


def test_the_first_good_repeat_has_the_trace(tmp_path: Path) -> None:
    records = [rich_record("data", repeat) for repeat in range(3)]
    records[0]["status"], records[0]["reason"] = "invalid", "power covers every host: gap"
    folder = with_traces(tmp_path / "s", records[:1])
    with_traces(folder, [{**record, "point": {**record["point"], "repeat": 0}} for record in records[1:2]])
    (figure,) = power_over_time.draw(load_study(folder), IEEE)
    close(figure)
    assert figure.points == (records[1]["point"]["name"],)


def test_a_trace_that_is_too_short_is_named(tmp_path: Path) -> None:
    """A meter that died at once: the other configuration is drawn, and the caption says which has no trace."""
    records = [rich_record("data"), rich_record("tensor")]
    folder = with_traces(tmp_path / "s", records)
    t_ns = np.arange(0, 300_000_000, 100_000_000, dtype=np.int64)
    channel = Channel("c", "counter", 1e-6, "test")
    short = Trace("a", "1", "x", "rapl", "modelled", 0.1, (channel,), t_ns, t_ns, t_ns.reshape(-1, 1), label="a")
    path = folder / records[1]["point"]["name"] / "power.parquet"
    write_power(path, [short], lambda rank, ns: ns / 1e9, lambda trace: ["c"])
    (figure,) = power_over_time.draw(load_study(folder), IEEE)
    close(figure)
    assert set(figure.data["label"]) == {"data n=2"}
    assert figure.caption.endswith("No trace: tensor n=2.")
