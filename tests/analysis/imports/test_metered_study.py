"""The study that an import writes: no total that is smaller than it should be, the old study as it was, and bad words."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from analysis.plotting.figure_registry import report_figures
from analysis.plotting.figure_style import close
from analysis.plotting.page_layouts import IEEE
from analysis.study.study import load_study
from bench.common.user_error import UserError
from tests.analysis.imports.logged_studies import (
    BOTH,
    check_of,
    constant,
    fingerprint,
    only,
    point,
    ramp,
    run,
    times,
    write_csv,
    write_study,
)


def test_a_gap_makes_the_point_invalid(tmp_path: Path) -> None:
    """Four seconds from one reading to the next where they come each second; the other host is whole."""
    study = write_study(tmp_path / "s", [point()])
    log = write_csv(tmp_path / "log.csv", {"a": constant, "b": constant})
    rows = log.read_text().splitlines()
    rows = [row if not 40 <= number < 43 else ",".join([*row.split(",")[:2], ""]) for number, row in enumerate(rows)]
    log.write_text("\n".join(rows))
    assert run(log, study, tmp_path / "new", *BOTH) == 1
    record = only(tmp_path / "new")
    why = "power covers every host: pi-2: gap"
    assert (record["status"], record["reason"]) == ("invalid", why)
    assert record["energy"]["by_host"][1]["errors"] == 3


def test_a_log_that_ends_in_a_window_gives_no_total(tmp_path: Path) -> None:
    study = write_study(tmp_path / "s", [point()])
    log = write_csv(tmp_path / "log.csv", {"a": constant, "b": constant}, times(last=79))
    assert run(log, study, tmp_path / "new", *BOTH) == 1
    record = only(tmp_path / "new")
    assert record["energy"]["total_J"] is None
    assert record["reason"].startswith(
        "power covers every host: pi-1: a has 2026-03-01 11:59:55.2 UTC to 2026-03-01 12:01:19.2 UTC, "
    )
    assert "a window is 2026-03-01 12:00:20.2 UTC to 2026-03-01 12:01:20.2 UTC" in record["reason"]


def test_a_host_without_a_column_gives_no_total(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = write_study(tmp_path / "s", [point()])
    log = write_csv(tmp_path / "log.csv", {"a_W": constant, "b_W": constant})
    assert run(log, study, tmp_path / "new", "--column", "a_W=pi-1", "--level", "wall") == 1
    record = only(tmp_path / "new")
    assert record["energy"]["total_J"] is None
    assert record["energy"]["coverage"]["missing"] == ["pi-2"]
    assert record["reason"] == "power covers every host: pi-2: no readings"
    assert "not used  column b_W\n" in capsys.readouterr().out


def test_readings_that_are_too_far_apart_give_no_total(tmp_path: Path) -> None:
    study = write_study(tmp_path / "s", [point("single", hosts=["pi-1"])])
    log = write_csv(tmp_path / "log.csv", {"power_W": constant}, [-100, -20, 60, 140, 220])
    assert run(log, study, tmp_path / "new", "--level", "wall") == 1
    record = only(tmp_path / "new")
    assert record["energy"]["total_J"] is None
    assert record["reason"] == "power covers every host: pi-1: 1 reading(s) in a window of 60 s, power_W has one every 80 s"


@pytest.mark.parametrize(
    ("every_s", "status", "detail"),
    [
        (2, "passed", "31 readings, 60 wanted or a standard uncertainty of 2.5 %: they leave 0.33 %"),
        (8, "passed", "8 readings, 60 wanted or a standard uncertainty of 2.5 %: they leave 1.3 %"),
        (15, "failed", "4 readings; fewer than 5 do not tell what was between them"),
    ],
)
def test_few_readings_are_enough_where_they_tell_the_joules(tmp_path: Path, every_s: float, status: str, detail: str) -> None:
    """At two edges of 60 s a load of the readings' own period T could hide 0.07 T each: sqrt(2) 0.07 T / 60 s."""
    study = write_study(tmp_path / "s", [point("single", hosts=["pi-1"])])
    log = write_csv(tmp_path / "log.csv", {"power_W": constant}, times(-24, 120, every_s))
    assert run(log, study, tmp_path / "new", "--level", "wall") == (1 if status == "failed" else 0)
    check = check_of(only(tmp_path / "new"), "enough power samples")
    assert (check["status"], check["detail"]) == (status, detail)


def test_few_readings_of_a_load_that_jumps_are_not_enough(tmp_path: Path) -> None:
    """What neighbours do not agree about may have happened between them too: 2 W and 18 W in turn, every 2 s."""
    study = write_study(tmp_path / "s", [point("single", hosts=["pi-1"])])
    log = write_csv(tmp_path / "log.csv", {"power_W": lambda t_s: 2.0 if t_s % 4 < 2 else 18.0}, times(every_s=2))
    assert run(log, study, tmp_path / "new", "--level", "wall") == 1
    assert check_of(only(tmp_path / "new"), "enough power samples")["status"] == "failed"


def test_the_study_is_not_changed_and_the_rest_is_copied(tmp_path: Path) -> None:
    study = write_study(tmp_path / "s", [point(), point("tensor", status="oom", reason="out of memory on rank 1")])
    before = fingerprint(study)
    assert run(write_csv(tmp_path / "log.csv", {"a": constant, "b": constant}), study, tmp_path / "new", *BOTH) == 0
    assert fingerprint(study) == before
    new = load_study(tmp_path / "new")
    assert new.name == "new"
    assert {record.point.study for record in new.records} == {"new"}
    assert sorted(record.status for record in new.records) == ["ok", "oom"]
    name = next(record.point.name for record in new.good)
    copied, was = (folder / name / "events.parquet" for folder in (tmp_path / "new", study))
    assert copied.read_bytes() == was.read_bytes()


def test_power_is_written_as_our_own(tmp_path: Path) -> None:
    study = write_study(tmp_path / "s", [point("single", hosts=["pi-1"])])
    run(write_csv(tmp_path / "log.csv", {"power_W": ramp}, times(-19, 500)), study, tmp_path / "new", "--level", "board")
    folder = only(tmp_path / "new")["folder"]
    table = pq.read_table(folder / "power.parquet")
    (about,) = json.loads(table.schema.metadata[b"channels"])
    frame = table.to_pandas()
    assert (about["host"], about["source"], about["kind"], about["in_total"]) == ("pi-1", "power_W", "measured", ["power_W"])
    assert frame["t_s"].tolist() == pytest.approx(times(-3, 92))  # of the run, which ended at 89.75 s, and three beside it
    assert (frame["raw"] * about["channels"][0]["scale"]).tolist() == pytest.approx([ramp(t_s) for t_s in times(-3, 92)])


def test_figures_draw(tmp_path: Path) -> None:
    """An imported study is a study: measured, and every figure takes it."""
    records = [point("single", repeat, hosts=["pi-1"]) for repeat in range(2)] + [point("data", repeat) for repeat in range(2)]
    study = write_study(tmp_path / "s", records)
    seconds = [*times(), *times(295, 395)]
    run(write_csv(tmp_path / "log.csv", {"a": constant, "b": ramp}, seconds), study, tmp_path / "new", *BOTH)
    new = load_study(tmp_path / "new")
    assert set(new.points["kind"]) == {"measured"}
    names = []
    for draw in report_figures():
        for figure in draw(new, IEEE):
            names.append(figure.name)
            close(figure)
    assert {"energy_time_measured", "power_measured"} <= set(names)


def test_repeats_are_judged_with_their_new_energy(tmp_path: Path) -> None:
    study = write_study(tmp_path / "s", [point("single", repeat, hosts=["pi-1"]) for repeat in range(2)])
    log = write_csv(tmp_path / "log.csv", {"power_W": ramp}, [*times(), *times(295, 395)])
    run(log, study, tmp_path / "new", "--level", "wall")
    first, second = load_study(tmp_path / "new").records
    # 300 s later the ramp has 60 W more: 840 J, then 4440 J; and the log tells of a second before, 0.2 W more.
    assert second.energy.total_J == pytest.approx(840 + 3600 + 0.2 * 60)
    assert check_of(first, "repeats agree")["status"] == "skipped"
    assert check_of(second, "repeats agree")["status"] == "warned"


def test_points_can_come_from_several_logs(tmp_path: Path) -> None:
    study = write_study(tmp_path / "s", [point(), point("single", hosts=["pi-1"])])
    log = write_csv(tmp_path / "log.csv", {"a": constant, "b": constant})
    assert run(log, study, tmp_path / "new", *BOTH, "--point", "data-*") == 0
    assert run(log, study, tmp_path / "new", *BOTH, "--point", "single-*") == 0
    assert len(load_study(tmp_path / "new").good) == 2
    with pytest.raises(UserError, match=r"new has data-.* already, and records are never changed; give another --into$"):
        run(log, study, tmp_path / "new", *BOTH)
    for inside in (study, study / "new"):
        with pytest.raises(UserError, match=r"is in the study that is read, which stays as it is; give another folder$"):
            run(log, study, inside, *BOTH)


def test_no_overlap_names_both_spans(tmp_path: Path) -> None:
    study = write_study(tmp_path / "s", [point("single", hosts=["pi-1"])])
    log = write_csv(tmp_path / "log.csv", {"power_W": constant}, times(3600, 3700))
    with pytest.raises(
        UserError, match=r"readings from 2026-03-01 13:00:00.2 UTC to 2026-03-01 13:01:40.2 UTC, the points of .* ran from "
    ) as raised:
        run(log, study, tmp_path / "new", "--level", "wall")
    assert "2026-03-01 12:00:00.2 UTC to 2026-03-01 12:01:20.2 UTC: nothing overlaps; check --time-zone" in str(raised.value)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--column", "a=pi-3"], "pi-3 is no host of the study; hosts are pi-1, pi-2; did you mean pi-2?"),
        (["--column", "a"], "--column a must be NAME=HOST, or NAME=HOST,HOST for a meter of several hosts"),
        (["--column", "a=pi-1", "--column", "a=pi-2"], "--column names a twice; give all of its hosts at once: a=HOST,HOST"),
        (["--column", "a=pi-1,pi-1"], "--column a names pi-1 twice; give it once"),
        (
            ["--column", "a=pi-1,pi-2", "--column", "b=pi-2"],
            "columns a and b both have pi-2, beside other hosts; its energy would count twice",
        ),
        (["--host", "pi-1", "--column", "a=pi-1"], "--host is for a log of one column, --column for each of several; give one"),
        (["--host", "pi-1"], "has a, b; say whose each is: --column a=pi-1 ..."),
        ([], "does not say whose power it has: columns are a, b, hosts pi-1, pi-2; give --column a=pi-1"),
        (["--column", "c=pi-1"], "has no column c; columns are a, b"),
        (
            ["--column", "a=pi-1", "--point", "pipeline-*"],
            "has no point with numbers that fits --point pipeline-*; points are data-",
        ),
        (["--column", "a=pi-1", "--accuracy", "150"], "--accuracy 150 must be per cent of the reading, from 0 to below 100"),
        (["--column", "a=pi-1", "--offset-s", "nan"], "--offset-s nan must be a number of seconds, ten years at most"),
        (["--column", "a=pi-1", "--alignment-s", "-1"], "--alignment-s -1 must be seconds, from 0 on"),
        (
            ["--column", "a=pi-1", "--time-zone", "Europe/Berlni"],
            "--time-zone=Europe/Berlni is unknown; give UTC, +01:00, or a name",
        ),
    ],
)
def test_bad_words_give_one_line(tmp_path: Path, words: list[str], message: str) -> None:
    study = write_study(tmp_path / "s", [point()])
    log = write_csv(tmp_path / "log.csv", {"a": constant, "b": constant})
    with pytest.raises(UserError) as raised:
        run(log, study, tmp_path / "new", *words, "--level", "wall", "--unit", "W")
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "new").exists()


def test_processors_name_their_hosts(tmp_path: Path) -> None:
    """A log whose columns are called as the machines call themselves needs no words."""
    study = write_study(tmp_path / "s", [point()])
    log = write_csv(tmp_path / "log.csv", {"pi-1.lan_W": constant, "PI-2 (W)": constant})
    assert run(log, study, tmp_path / "new", "--level", "wall") == 0
