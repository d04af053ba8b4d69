"""Readings of another meter under a run's own windows: golden joules, phases, and how well they are known."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import pytest

from analysis.imports.metered import run_timeline
from analysis.study.study import load_study
from bench.record.record import Record
from bench.record.record_file import problem
from tests.analysis.imports.logged_studies import (
    BOTH,
    SAMPLES,
    check_of,
    constant,
    events,
    only,
    point,
    ramp,
    run,
    times,
    write_csv,
    write_events,
    write_study,
)
from tests.project import ROOT

LATE_J = 0.2 * 60 * 1.0
"""Of the ramp, 0.2 W/s for 60 s: a value that is logged each second is up to a second old, and is the mean of a second before
that. In the middle it tells of one second earlier."""


def test_constant_power_gives_hand_computed_joules(tmp_path: Path) -> None:
    """10 W on each of two hosts for 60 s: 1200 J for 1920 samples; the accuracy of 1 % of each adds in quadrature."""
    study = write_study(tmp_path / "s", [point()])
    log = write_csv(tmp_path / "log.csv", {"a": constant, "b": constant})
    assert run(log, study, tmp_path / "new", *BOTH, "--accuracy", "1") == 0
    record = only(tmp_path / "new")
    energy = record["energy"]
    assert problem({key: value for key, value in record.items() if key != "folder"} | {"point": _plain(record)}) is None
    assert (record["status"], energy["kind"], energy["source"]) == ("ok", "measured", "csv")
    assert energy["total_J"] == pytest.approx(1200, rel=1e-9)
    assert energy["per_sample_J"] == pytest.approx(0.625, rel=1e-9)
    assert energy["mean_power_W"] == pytest.approx(20, rel=1e-9)
    assert energy["systematic_J"] == pytest.approx(math.hypot(6, 6), rel=1e-9)
    assert energy["uncertainty_J"] == pytest.approx(math.hypot(energy["random_J"], math.hypot(6, 6)))
    # Of two edges on two hosts: what a load could hide that has the period of the readings, 0.07 of 10 W times 1 s each.
    assert energy["random_J"] == pytest.approx(math.sqrt(4) * 0.07 * 10 * 1.0, rel=1e-4)
    idle = dict(energy["idle"])
    assert idle.pop("random_W") > 0  # of a meter read once a second, over six
    assert idle == {"before_W": pytest.approx(20), "after_W": None, "seconds": pytest.approx(6)}
    assert energy["carbon"]["total_g"] == pytest.approx(360 * 1200 / 3.6e6)
    assert [host["samples"] for host in energy["by_host"]] == [61, 61]
    imported = record["environment"]["imported"]
    assert (imported["study"], imported["file"], imported["alignment_s"]) == ("s", "log.csv", 0.0)
    assert imported["meters"] == {"a": ["pi-1"], "b": ["pi-2"]}
    assert imported["words"] == {"column": ["a=pi-1", "b=pi-2"], "unit": ["W"], "level": "wall", "accuracy": 1.0}


def _plain(record: dict) -> dict:  # type: ignore[type-arg]
    return {key: value for key, value in record["point"].items() if key != "label"}


def test_ramp_gives_hand_computed_joules(tmp_path: Path) -> None:
    """A straight line is integrated exactly where readings fall on the edges: 4 * 60 + 0.1 * (80^2 - 20^2), a second late."""
    study = write_study(tmp_path / "s", [point(hosts=["pi-1"], strategy="single")])
    assert run(write_csv(tmp_path / "log.csv", {"power_W": ramp}), study, tmp_path / "new", "--level", "board") == 0
    energy = only(tmp_path / "new")["energy"]
    assert energy["total_J"] == pytest.approx(840 + LATE_J, rel=1e-9)
    assert energy["per_sample_J"] == pytest.approx((840 + LATE_J) / SAMPLES, rel=1e-9)
    assert energy["idle_W"] == pytest.approx((4 * 6 + 0.1 * (8.6**2 - 2.6**2)) / 6 + 0.2)


def test_steps_and_evaluations_have_their_joules(tmp_path: Path) -> None:
    """10 W and 4 W + 0.2 W/s. The warm-up begins 4 s before the window, at 16 s: 20 + 8 + 0.1 * (18^2 - 16^2) = 34.8 J, then
    10 + 4 + 3.7 J and 10 + 4 + 3.9 J; the timed step of 1.1 s is 11 + 4.4 + 0.1 * (21.1^2 - 20^2) J, two of them 36.4 J.
    The log of ten readings a second tells of 0.1 s earlier, 0.02 W more."""
    study = write_study(tmp_path / "s", [point()])
    run(write_csv(tmp_path / "log.csv", {"a": constant, "b": ramp}, times(every_s=0.1)), study, tmp_path / "new", *BOTH)
    learning = only(tmp_path / "new")["learning"]
    spent = [34.8, 34.8 + 17.7, 34.8 + 17.7 + 17.9, 70.4 + 15.4 + 4.521, 70.4 + 20 + 8 + 8.4]
    spent = [joules + 0.02 * seconds for joules, seconds in zip(spent, [2, 3, 4, 5.1, 6], strict=True)]
    assert learning["curve"]["energy_J"][:5] == pytest.approx(spent, rel=1e-6)
    assert learning["curve"]["energy_J"][-1] == pytest.approx(70.4 + 600 + 840 + 0.02 * 64, rel=1e-6)
    assert learning["evaluations"][0]["energy_J"] == learning["final"]["energy_J"] == learning["curve"]["energy_J"][-1]


def test_steps_have_no_joules_where_the_warm_up_was_not_read(tmp_path: Path) -> None:
    """A sum that leaves out the warm-up would be smaller than the training."""
    study = write_study(tmp_path / "s", [point()])
    log = write_csv(tmp_path / "log.csv", {"a": constant, "b": constant}, times(first=18))
    assert run(log, study, tmp_path / "new", *BOTH) == 0
    record = only(tmp_path / "new")
    assert record["energy"]["total_J"] == pytest.approx(1200)
    assert record["energy"]["idle_W"] is None
    assert record["learning"]["curve"]["energy_J"] is None
    assert record["learning"]["final"]["energy_J"] is None


def test_a_gap_in_the_rest_leaves_the_windows(tmp_path: Path) -> None:
    study = write_study(tmp_path / "s", [point()])
    log = write_csv(tmp_path / "log.csv", {"a": constant, "b": constant}, [*times(last=2), *times(first=9)])
    assert run(log, study, tmp_path / "new", *BOTH) == 0
    energy = only(tmp_path / "new")["energy"]
    assert (energy["total_J"], energy["idle_W"], energy["dynamic_J"]) == (pytest.approx(1200), None, None)


def test_energy_of_phases_follows_the_ranks(tmp_path: Path) -> None:
    """In each second both ranks compute 0.3 s forward and 0.3 s backward (the last 0.4 s); the first waits 0.1 s for the last,
    both communicate 0.2 s, the optimizer takes 0.1 s. Each host has 10 W."""
    study = write_study(tmp_path / "s", [point()])
    log = write_csv(tmp_path / "log.csv", {"a": constant, "b": constant}, times(every_s=0.01))
    run(log, study, tmp_path / "new", *BOTH)
    energy = only(tmp_path / "new")["energy"]
    joules = {row["phase"]: row["joules"] for row in energy["phases"]}
    expected = {"forward": 360, "backward": 420, "wait": 60, "communicate": 240, "optimizer": 120, "other": 0}
    assert energy["attribution"]["method"] == "interpolated"
    assert joules == pytest.approx(expected, abs=0.1)
    assert energy["by_phase"] == pytest.approx({"compute_J": 900, "communicate_J": 240, "wait_J": 60}, abs=0.1)


def test_states_are_those_of_the_ledger(tmp_path: Path) -> None:
    """Events read back say the same as the entries that they were written from."""
    from bench.timeline import rank_states
    from strategies.comm.ledger import Entry

    rows = events(2)
    write_events(tmp_path / "events.parquet", rows)
    entries: dict[int, list[Entry]] = {0: [], 1: []}
    for row in rows:
        about = [row[key] for key in ("step", "kind", "axis", "op", "phase", "payload_bytes")]
        match = tuple(row["match"].split())
        entries[row["rank"]].append(Entry(*about, 0.0, row["t0_s"], row["t1_s"], row["thread"], match))
    found = rank_states.rank_states(entries, lambda _, t_s: t_s)
    expected = {rank: rank_states.stretches(entries[rank], found[rank], rank, lambda _, t_s: t_s) for rank in entries}
    assert run_timeline.stretches(Record.from_dict(point()), run_timeline.read_events(tmp_path)) == (expected, None)
    assert expected[0]["wait"]


def test_phases_are_refused_without_what_belongs_together(tmp_path: Path) -> None:
    """Events of older versions do not tell waiting from communicating."""
    study = write_study(tmp_path / "s", [point()], match=False)
    run(write_csv(tmp_path / "log.csv", {"a": constant, "b": constant}), study, tmp_path / "new", *BOTH)
    energy = only(tmp_path / "new")["energy"]
    assert energy["by_phase"] is None
    assert energy["attribution"]["why"] == "events.parquet does not tell which operations belong together, as of older versions"


def test_one_meter_of_several_hosts(tmp_path: Path) -> None:
    study = write_study(tmp_path / "s", [point()])
    words = ("--column", "shelf (W)=pi-1,pi-2", "--level", "wall")
    assert run(write_csv(tmp_path / "log.csv", {"shelf (W)": constant}), study, tmp_path / "new", *words) == 0
    energy = only(tmp_path / "new")["energy"]
    assert energy["total_J"] == pytest.approx(600)
    assert [(host["host"], host["meter"], host["levels"]) for host in energy["by_host"]] == [
        ("pi-1 + pi-2", "shelf (W)", ["wall"])
    ]


def test_a_meter_with_more_than_the_participants_is_said(tmp_path: Path) -> None:
    study = write_study(tmp_path / "s", [point(), point("single", hosts=["pi-1"])])
    words = ("--host", "pi-1,pi-2", "--level", "wall")
    assert run(write_csv(tmp_path / "log.csv", {"shelf (W)": constant}), study, tmp_path / "new", *words) == 0
    alone = next(record for record in load_study(tmp_path / "new").records if record.point.strategy == "single")
    assert check_of(alone, "only participants are metered")["detail"] == "in the total without a rank: pi-2"


def test_columns_of_one_host_add_up(tmp_path: Path) -> None:
    study = write_study(tmp_path / "s", [point("single", hosts=["pi-1"])])
    words = ("--column", "cpu_W=pi-1", "--column", "gpu_W=pi-1", "--level", "component")
    run(write_csv(tmp_path / "log.csv", {"cpu_W": constant, "gpu_W": ramp}), study, tmp_path / "new", *words)
    energy = only(tmp_path / "new")["energy"]
    assert energy["total_J"] == pytest.approx(600 + 840 + LATE_J)
    assert [channel["id"] for channel in energy["by_host"][0]["channels"]] == ["cpu_W", "gpu_W"]


def test_a_start_that_is_known_to_the_second_is_said(tmp_path: Path) -> None:
    """The unknown second is in the uncertainty of both edges and in a warning; a given offset takes it out."""
    old = point("single", hosts=["pi-1"])
    old["environment"]["started"] = "2026-03-01T12:00:00+00:00"
    study = write_study(tmp_path / "s", [old])
    log = write_csv(tmp_path / "log.csv", {"power_W": constant})
    run(log, study, tmp_path / "new", "--level", "wall")
    record = only(tmp_path / "new")
    assert record["energy"]["random_J"] == pytest.approx(10 * math.sqrt(2 * (0.07**2 + 1)), rel=1e-4)
    aligned = check_of(record, "meter and run are aligned")
    assert (aligned["status"], aligned["detail"]) == ("warned", "within 1 s; windows of 60.0 s")
    fast = write_csv(tmp_path / "fast.csv", {"power_W": constant}, times(every_s=0.02))
    run(fast, study, tmp_path / "fast", "--level", "wall")
    why = only(tmp_path / "fast")["energy"]["attribution"]["why"]
    assert why == "meter and run are aligned within 1 s, and readings come every 0.02 s"
    run(log, study, tmp_path / "exact", "--level", "wall", "--offset-s", "-0.25")
    record = only(tmp_path / "exact")
    assert check_of(record, "meter and run are aligned")["status"] == "passed"
    assert record["energy"]["random_J"] == pytest.approx(10 * math.sqrt(2 * 0.07**2), rel=1e-4)


def test_offset_moves_the_log(tmp_path: Path) -> None:
    """A clock that is 10 s behind: its ramp of 0.2 W/s was 2 W higher 10 s later by that clock."""
    study = write_study(tmp_path / "s", [point("single", hosts=["pi-1"])])
    log = write_csv(tmp_path / "log.csv", {"power_W": ramp}, times(last=90))
    run(log, study, tmp_path / "new", "--level", "wall", "--offset-s", "10")
    assert only(tmp_path / "new")["energy"]["total_J"] == pytest.approx(840 + LATE_J - 60 * 2)


def test_replication_has_joules_where_its_time_is_told(tmp_path: Path) -> None:
    """Older records have how long the weights were sent, and not when."""
    sent = {
        "seconds": 1.0,
        "payload_bytes": 10,
        "kind": "none",
        "joules": None,
        "uncertainty_J": None,
        "quality": "no readings",
    }
    study = write_study(tmp_path / "s", [{**point(), "replication": sent}])
    run(write_csv(tmp_path / "log.csv", {"a": constant, "b": constant}), study, tmp_path / "new", *BOTH)
    assert only(tmp_path / "new")["replication"]["quality"] == "the record does not say when the weights were sent"


def test_rests_are_told_or_follow_from_the_configuration(tmp_path: Path) -> None:
    record = point()
    assert run_timeline.rests(Record.from_dict(record), tmp_path) == [(20.0, 20.0), (20.0, 20.0)]
    (tmp_path / "config.json").write_text('{"idle_s": 0.4}')
    assert run_timeline.rests(Record.from_dict(record), tmp_path) == [(2.5, 2.9), (2.9, 2.9)]
    record["time"]["idle"] = [{"start_s": 3.0, "end_s": 9.0}, {"start_s": 82.0, "end_s": 88.0}]
    assert run_timeline.rests(Record.from_dict(record), tmp_path) == [(3.0, 9.0), (82.0, 88.0)]


def test_needs_neither_torch_nor_mpi() -> None:
    """A laptop reads logs. (bench.timeline.rank_states must not import strategies when it runs.)"""
    heavy = ("torch", "mpi4py", "hydra", "strategies.plan", "strategies.base", "strategies.comm", "strategies.models")
    code = f"import sys, analysis.imports.import_command; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
